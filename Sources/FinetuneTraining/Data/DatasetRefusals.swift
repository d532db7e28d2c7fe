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
        if let (label, part) = emptyClass {
            throw TrainingError(.unusableData, "cannot learn from '\(path)': \(Self.missing(classes[label], part))")
        }
        if let item = items.first(where: { $0.label == nil }) {
            throw TrainingError(.unusableData, "cannot learn from '\(path)': '\(item.name)' has no label.")
        }
    }
}

extension ImageDataset {
    /// A class without an image, and the split that lacks it: training, or another that the data set itself has.
    private var emptyClass: (label: Int, part: Split.Part)? {
        for part in ownParts.isEmpty ? [.train] : ownParts {
            var counts = [Int](repeating: 0, count: classes.count)
            for item in items where item.part ?? .train == part {
                if let label = item.label { counts[label] += 1 }
            }
            if let label = counts.firstIndex(of: 0) { return (label, part) }
        }
        return nil
    }

    /// Says that a split has no image of a class, and what to do.
    static func missing(_ name: String, _ part: Split.Part) -> String {
        part == .train
            ? "no image of the class '\(name)' is left for training. Add images of it, or remove its folder."
            : "The class '\(name)' has no image in the split '\(part.rawValue)'. Add some, or merge the splits and let --val choose."
    }
}

extension Survey {
    /// Why a training would refuse the images that were looked at; nil if it would not.
    ///
    /// - Parameter needsClasses: False for images without labels, which can be looked at all the same.
    static func refusal(of dataset: ImageDataset, _ look: FirstLook, _ survey: Survey, needsClasses: Bool = true) -> (
        any Error
    )? {
        do {
            if needsClasses || dataset.obstacle != nil { try dataset.checkClasses() }
            try PipelineError.check(look.skipped, of: dataset.items.count)
            if needsClasses { try survey.check() }
            return nil
        } catch {
            return error
        }
    }
}
