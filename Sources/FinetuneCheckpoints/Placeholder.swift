// FinetuneCheckpoints
