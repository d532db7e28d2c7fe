// The library's surface: what is declared here, and the public words of the rooms below (settings, events, scores),
// which a program that imports `Finetune` sees with their members.

@_exported public import FinetuneDatasets
@_exported public import FinetuneEngine
@_exported public import FinetuneEvaluation
@_exported public import FinetuneFiles
@_exported public import FinetuneModels
@_exported public import FinetuneTraining
