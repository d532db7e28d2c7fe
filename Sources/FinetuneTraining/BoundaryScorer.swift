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
    func evaluate(on items: [Int]) async throws -> Evaluation {
        let dataset = values.dataset
        let own = ranks.rows(of: items.count)
        var numbers: [Double] = []
        for start in stride(from: own.lowerBound, to: own.upperBound, by: batch) {
            let chunk = Array(items[start..<min(start + batch, own.upperBound)])
            numbers += Softmax.probabilities(try await program.run(values.inputs(chunk, .plain, scaling))).joined()
        }
        let all = ranks.gather(numbers).flatMap(\.self)
        let classes = all.count / max(items.count, 1)
        let probabilities = items.indices.map { Array(all[$0 * classes..<($0 + 1) * classes]) }
        return Evaluation(
            probabilities: probabilities, labels: items.map { dataset.items[$0].label ?? 0 }, classes: dataset.classes)
    }
}
