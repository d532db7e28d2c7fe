// How many images a command found, read and used: one sentence for all commands.

internal import FinetuneDatasets
package import FinetuneFiles

/// The images of a command.
package struct ImageCounts: Sendable, Equatable {
    /// Files and arrays of the data set that were taken for images.
    package let found: Int
    /// Those of them that could not be read.
    package let skipped: Int
    /// What became of the others, each use with its number, such as `("for training", 244)`.
    package let uses: [(String, Int)]

    /// Those that were read.
    package var read: Int { found - skipped }

    package init(found: Int, skipped: Int, uses: [(String, Int)] = []) {
        (self.found, self.skipped, self.uses) = (found, skipped, uses)
    }

    package static func == (a: ImageCounts, b: ImageCounts) -> Bool { a.text == b.text }

    /// Such as `Images: 398 found, 397 read, 1 skipped; 244 for training, 153 for validation.`
    package var text: String {
        let first = skipped > 0 ? "\(found) found, \(read) read, \(skipped) skipped" : "\(found) found, all read"
        let shown = uses.filter { $0.1 > 0 }.map { "\($0.1) \($0.0)" }.joined(separator: ", ")
        return "Images: \(first)\(shown.isEmpty ? "" : "; \(shown)")."
    }

    package var json: JSON {
        ["found": .integer(found), "read": .integer(read), "skipped": .integer(skipped)]
    }
}

extension Survey {
    /// The images of a training.
    ///
    /// - Parameter skipped: Images that could not be read.
    func counts(skipped: Int) -> ImageCounts {
        ImageCounts(
            found: items.count + skipped, skipped: skipped,
            uses: [
                ("for training", places(.train).count), ("for validation", places(.validation).count),
                ("for testing", places(.test).count),
            ])
    }
}

extension ComparisonDesign {
    /// The images of a comparison; with several divisions they have several uses, which are not told apart.
    ///
    /// - Parameter skipped: Images that could not be read.
    func counts(skipped: Int) -> ImageCounts {
        let parts = divisions[0]
        func count(_ part: Split.Part) -> Int { parts.count { $0 == part } }
        return ImageCounts(
            found: parts.count + skipped, skipped: skipped,
            uses: divisions.count > 1
                ? []
                : [("for training", count(.train)), ("for validation", count(.validation)), ("scored", count(.test))])
    }
}

extension TrainingResult {
    /// The images of the training.
    package var counts: ImageCounts {
        func count(_ part: Split.Part) -> Int { parts.count { $0.part == part } }
        return ImageCounts(
            found: parts.count + skipped.count, skipped: skipped.count,
            uses: [
                ("for training", count(.train)), ("for validation", count(.validation)), ("for testing", count(.test)),
            ])
    }
}

extension Predictor.Score {
    /// The images of an evaluation.
    ///
    /// - Parameters:
    ///   - unknown: Images of classes that the model does not have, which were not read.
    ///   - unlabelled: Images without a label, likewise.
    package func counts(unknown: Int = 0, unlabelled: Int = 0) -> ImageCounts {
        ImageCounts(
            found: images.count + known.count + skipped.count + unknown + unlabelled, skipped: skipped.count,
            uses: [
                ("scored", images.count), ("left out because the model was trained on them", known.count),
                ("left out because the model does not have their class", unknown),
                ("left out because they have no label", unlabelled),
            ])
    }
}
