// What a step learns from: images, and what is wanted of them.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetunePipeline
internal import FinetuneRanks

/// Reads the batches of a training, this rank's rows of each.
struct BatchReader {
    struct Batch {
        let images: Tensor
        /// Probabilities, shape `[images, classes]`.
        let targets: Tensor
        /// Which of the whole batch these images are, and how many that has.
        let rows: (first: Int, of: Int)
    }

    private let session: TrainingSession
    private let dataset: ImageDataset
    private let steps: StepSettings
    private let seed: UInt64

    init(_ session: TrainingSession, _ dataset: ImageDataset, _ settings: TrainingSettings) {
        (self.session, self.dataset) = (session, dataset)
        (steps, seed) = (settings.steps, settings.seed)
    }

    /// - Parameters:
    ///   - items: Those of the whole batch.
    ///   - stream: Of the random numbers that decide what is mixed with what; nil mixes nothing.
    func read(_ items: [Int], _ view: ImageView, mixingBy stream: UInt64? = nil) async throws -> Batch {
        let rows = session.ranks.rows(of: items.count)
        var (images, wanted): (Tensor, Tensor)
        if let stream, steps.mixing.isOn {
            // A partner may be another rank's, so each looks at the whole batch.
            var random = RandomNumbers(seed: seed, stream: stream)
            (images, wanted) = steps.mixing.apply(
                try await session.inputs(items, view), session.order, targets(items), &random)
            if rows.count < items.count { (images, wanted) = (images.rows(Array(rows)), wanted.rows(Array(rows))) }
        } else {
            let own = Array(items[rows])
            (images, wanted) = (try await session.inputs(own, view), targets(own))
        }
        return Batch(images: images, targets: wanted, rows: (rows.lowerBound, items.count))
    }

    /// What is wanted of some items: their labels, smoothed as `torch.nn.CrossEntropyLoss(label_smoothing=…)` does.
    private func targets(_ items: [Int]) -> Tensor {
        let classes = dataset.classes.count
        let spread = steps.labelSmoothing / Double(classes)
        return Tensor(shape: [items.count, classes]) { values in
            values.update(repeating: Float(spread))
            for (row, item) in items.enumerated() {
                values[row * classes + (dataset.items[item].label ?? 0)] = Float(1 - steps.labelSmoothing + spread)
            }
        }
    }
}

extension TrainingSession {
    /// Loss and gradients of a batch. Collective.
    func evaluate(_ batch: BatchReader.Batch, dropoutKey: UInt64) async throws -> TrainingProgram.Result {
        try await program.evaluate(
            batch.images, targets: batch.targets, dropoutKey: dropoutKey, rows: batch.rows)
    }
}
