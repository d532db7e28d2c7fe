// The part of a network after the freeze boundary, scored on what the frozen part gave.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneModels

/// Evaluates weights on the values at a freeze boundary.
struct BoundaryScorer {
    private let values: BoundaryValues
    private let scaling: FittedScaling?
    private let program: InferenceProgram
    private let batch: Int

    /// - Parameters:
    ///   - part: The network after the boundary.
    ///   - scaling: What the part wants done to the values first.
    init(
        _ part: Network, _ weights: Weights, _ values: BoundaryValues, scaling: FittedScaling? = nil, batch: Int,
        precision: Precision, thread: EngineThread
    ) async throws {
        self.values = values
        self.scaling = scaling
        self.batch = batch
        let shape = values.imageShape(scaling)
        program = try await InferenceProgram(
            part, weights, output: part.nodes.last?.name ?? Node.image, batch: batch, height: shape.height,
            width: shape.width, order: shape.order, precision: precision, thread: thread)
    }

    func evaluate(on items: [Int]) async throws -> Evaluation {
        var probabilities: [[Double]] = []
        for start in stride(from: 0, to: items.count, by: batch) {
            let chunk = Array(items[start..<min(start + batch, items.count)])
            probabilities += Softmax.probabilities(try await program.run(values.inputs(chunk, .plain, scaling)))
        }
        let dataset = values.dataset
        return Evaluation(
            probabilities: probabilities, labels: items.map { dataset.items[$0].label ?? 0 }, classes: dataset.classes)
    }
}
