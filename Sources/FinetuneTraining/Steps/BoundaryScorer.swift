// The part of a network after the freeze boundary, scored on what the frozen part gave.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneModels
internal import FinetuneRanks

/// Evaluates weights on the values at a freeze boundary.
struct BoundaryScorer {
    private let values: BoundaryValues
    private let scaling: FittedScaling?
    private let program: InferenceProgram
    private let batch: Int
    private let ranks: Ranks

    /// - Parameters:
    ///   - part: The network after the boundary.
    ///   - scaling: What the part wants done to the values first.
    ///   - ranks: Those that share the images.
    init(
        _ part: Network, _ weights: Weights, _ values: BoundaryValues, scaling: FittedScaling? = nil, batch: Int,
        precision: Precision, ranks: Ranks = .alone, thread: EngineThread
    ) async throws {
        self.ranks = ranks
        self.values = values
        self.scaling = scaling
        self.batch = batch
        let shape = values.imageShape(scaling)
        program = try await InferenceProgram(
            part, weights, output: part.nodes.last?.name ?? Node.image, batch: batch, height: shape.height,
            width: shape.width, order: shape.order, precision: precision, thread: thread)
    }

    /// Collective.
    ///
    /// - Throws: `TrainingError` of kind `diverged` if a score is not finite.
    func evaluate(on items: [Int], progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }) async throws
        -> Evaluation
    {
        let dataset = values.dataset
        let own = ranks.rows(of: items.count)
        var numbers: [Double] = []
        let pieces = stride(from: own.lowerBound, to: own.upperBound, by: batch).map {
            Array(items[$0..<min($0 + batch, own.upperBound)])
        }
        var images = try await inputs(pieces.first)
        for number in pieces.indices {
            // The next images are read while these are computed.
            let following = number + 1 < pieces.count ? pieces[number + 1] : nil
            async let next = inputs(following)
            if let images {
                let logits = try await program.run(images)
                guard logits.isFinite else { throw notFinite(pieces[number], logits) }
                numbers += Softmax.probabilities(logits).joined()
            }
            images = try await next
            progress(min((number + 1) * batch, own.count), own.count)
        }
        let all = ranks.gather(numbers).flatMap(\.self)
        let classes = all.count / max(items.count, 1)
        let probabilities = items.indices.map { Array(all[$0 * classes..<($0 + 1) * classes]) }
        return Evaluation(
            probabilities: probabilities, labels: items.map { dataset.items[$0].label ?? 0 }, classes: dataset.classes)
    }

    private func notFinite(_ items: [Int], _ logits: Tensor) -> TrainingError {
        let row = items.indices.first { !logits.rows([$0]).isFinite } ?? 0
        return TrainingError(
            .diverged,
            "the training diverged: the scores of '\(values.dataset.items[items[row]].name)' are not finite. Try a smaller --lr, or --train-precision fp32."
        )
    }

    private func inputs(_ items: [Int]?) async throws -> Tensor? {
        guard let items else { return nil }
        return try await values.inputs(items, .plain, scaling)
    }
}
