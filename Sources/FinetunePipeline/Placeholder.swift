// FinetunePipeline
