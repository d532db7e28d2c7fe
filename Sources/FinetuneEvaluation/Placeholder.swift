// FinetuneEvaluation
