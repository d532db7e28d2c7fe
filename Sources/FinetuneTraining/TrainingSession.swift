// One cut of a network, ready to learn: what is frozen gives values at the boundary, what comes after it is trained.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline

/// A freeze plan at work on a data set.
struct TrainingSession {
    let plan: FreezePlan
    /// The node at which the frozen part ends; `Node.image` where nothing is frozen.
    let boundary: String
    /// Gives the boundary's values, kept ones where they are known.
    let extractor: FeatureExtractor
    let program: TrainingProgram
    private let part: Network
    private let model: Model
    private let settings: TrainingSettings
    private let thread: EngineThread
    private let hashes: [Int: ContentHash]

    /// - Parameters:
    ///   - model: The base with its new head.
    ///   - first: The first stage that learns.
    ///   - batch: Images a step.
    ///   - survey: The images that will be seen.
    init(
        _ model: Model, learningFrom first: String, _ settings: TrainingSettings, inputShape: [Int]?, batch: Int,
        _ survey: Survey, thread: EngineThread
    ) async throws {
        let steps = settings.steps
        plan = try FreezePlan(
            model.network, learningFrom: first, normalization: steps.normalization,
            stageRateDecay: steps.stageRateDecay)
        boundary = try model.network.boundary(before: first)
        let rows = survey.items.count + (Self.views(steps) - 1) * survey.places(.train).count
        extractor = try await FeatureExtractor(
            model, node: boundary, inputShape: inputShape, precision: settings.precision,
            keeping: boundary == Node.image ? nil : FeatureKeeping(settings.cache, rows: rows),
            thread: thread)
        part = model.network.part(after: boundary, outputShape: extractor.outputShape)
        let shape = Self.imageShape(extractor.outputShape, boundary: boundary)
        program = try await TrainingProgram(
            part, model.weights, rules: plan.rules(for: model.network, l2: steps.l2, pull: steps.pull),
            live: plan.liveNormalizations(of: part), dropout: Self.dropout(steps.dropout, part),
            averages: steps.averageKept != nil,
            batch: batch, height: shape.height, width: shape.width, order: shape.order, precision: steps.precision,
            thread: thread)
        self.model = model
        self.settings = settings
        self.thread = thread
        hashes = Dictionary(zip(survey.items, survey.hashes)) { first, _ in first }
    }

    /// The views of an image that a training sees where they are kept.
    static func views(_ steps: StepSettings) -> Int { steps.augmentation == .none ? 1 : steps.views ?? 4 }

    /// Which dense layers of the head drop inputs: each that reads another layer's units, by their activation, or the
    /// only one.
    static func dropout(_ rate: Double, _ network: Network) -> [String: Dropout] {
        guard rate > 0 else { return [:] }
        let head = network.nodes.filter { $0.stage == Stage.head }
        let dense = head.filter { if case .dense = $0.operation { true } else { false } }
        return Dictionary(
            uniqueKeysWithValues: (dense.count > 1 ? Array(dense.dropFirst()) : dense).map { node in
                let source = head.first { $0.name == node.inputs.first }
                return (node.name, Dropout(source?.operation == .activation(.selu) ? .alpha : .inverted, rate: rate))
            })
    }

    private static func imageShape(_ shape: [Int], boundary: String) -> (order: ImageOrder, height: Int, width: Int) {
        if boundary == Node.image { return (.channelsLast, shape[0], shape[1]) }
        return shape.count == 1 ? (.channelsFirst, 1, 1) : (.channelsFirst, shape[1], shape[2])
    }

    /// The memory order of what `inputs` gives.
    var order: ImageOrder { boundary == Node.image ? .channelsLast : .channelsFirst }

    /// How images are shown to the network in an epoch, counted from 0: one of the kept views, the plain one among
    /// them; or, where nothing is frozen, one that was never shown before.
    func view(epoch: Int) -> ImageView {
        let steps = settings.steps
        let number = boundary == Node.image ? epoch + 1 : epoch % Self.views(steps)
        return ImageView(steps.augmentation, number: number, seed: settings.seed)
    }

    /// The boundary's values for some items, in the shape that the program wants.
    func inputs(_ items: [Int], _ dataset: ImageDataset, _ view: ImageView) async throws -> Tensor {
        let chunk = try await extractor.values(of: items, in: dataset, view: view, hashes: hashes)
        guard chunk.skipped.isEmpty else {
            throw TrainingError(
                .unusableData,
                "cannot go on: '\(chunk.skipped[0].name)' was readable before and is not now: \(chunk.skipped[0].reason)."
            )
        }
        return chunk.values.reshaped([items.count] + program.inputShape.dropFirst())
    }

    /// Scores weights on some items.
    ///
    /// - Parameter weights: Tensors that take the place of the model's.
    func evaluate(_ weights: Weights, on items: [Int], of dataset: ImageDataset) async throws -> Evaluation {
        let batch = program.batch
        let shape = Self.imageShape(extractor.outputShape, boundary: boundary)
        let inference = try await InferenceProgram(
            part, model.weights.merging(weights) { _, new in new }, output: part.nodes.last?.name ?? Node.image,
            batch: batch, height: shape.height, width: shape.width, order: shape.order,
            precision: settings.steps.precision,
            thread: thread)
        var probabilities: [[Double]] = []
        for start in stride(from: 0, to: items.count, by: batch) {
            let chunk = Array(items[start..<min(start + batch, items.count)])
            probabilities += Softmax.probabilities(try await inference.run(inputs(chunk, dataset, .plain)))
        }
        return Evaluation(
            probabilities: probabilities, labels: items.map { dataset.items[$0].label ?? 0 }, classes: dataset.classes)
    }
}
