// FinetuneTraining
