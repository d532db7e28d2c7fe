// Why nothing can be learnt from a data set: one place, so that `check` refuses what `train` refuses, in the same words.

package import FinetuneDatasets
internal import FinetunePipeline

extension ImageDataset {
    /// Looks at the list of classes, before an image is read.
    ///
    /// - Throws: `TrainingError` for fewer than two classes, and for images without labels.
    package func checkClasses() throws {
        if let obstacle {
            throw TrainingError(.unusableData, "cannot learn from '\(path)': \(obstacle)")
        }
        guard classes.count >= 2 else {
            let found = classes.isEmpty ? "found no classes" : "found one class, '\(classes[0])'"
            throw TrainingError(
                .unusableData,
                "cannot learn from '\(path)': \(found); at least two are needed. \(noClasses ?? "Make a folder of images for each class.")"
            )
        }
        if let item = items.first(where: { $0.label == nil }) {
            throw TrainingError(.unusableData, "cannot learn from '\(path)': '\(item.name)' has no label.")
        }
    }
}

extension Survey {
    /// Why a training would refuse the images that were looked at; nil if it would not.
    static func refusal(of dataset: ImageDataset, _ look: FirstLook, _ survey: Survey) -> (any Error)? {
        do {
            try dataset.checkClasses()
            try PipelineError.check(look.skipped, of: dataset.items.count)
            try survey.check()
            return nil
        } catch {
            return error
        }
    }
}
