// FinetuneDatasets
