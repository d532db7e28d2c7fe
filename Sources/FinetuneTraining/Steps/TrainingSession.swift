// One cut of a network, ready to learn: what is frozen gives values at the boundary, what comes after it is trained.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneRanks

/// A freeze plan at work on a data set.
struct TrainingSession {
    let plan: FreezePlan
    /// What learns.
    private let values: BoundaryValues
    /// What is scored.
    private let scored: BoundaryValues
    let program: TrainingProgram
    /// Images a step, of all ranks.
    let batch: Int
    let ranks: Ranks
    private let part: Network
    /// What is scored: more than `part` if other stages are trained later.
    private let scoredPart: Network
    private let model: Model
    private let settings: TrainingSettings
    private let scaling: FittedScaling?
    private let thread: EngineThread

    /// - Parameters:
    ///   - model: The base with its new head, which reads scaled features where there is a scaling.
    ///   - first: The first stage that learns.
    ///   - values: The values at the boundary before that stage, of images as they are shown while it learns.
    ///   - scored: The same of images as they are scored.
    ///   - scaling: What the head wants done to features first.
    ///   - labels: Those of the images that learn.
    ///   - batch: Images a step, of all ranks.
    ///   - ranks: Those that share each batch. Collective.
    init(
        _ model: Model, learningFrom first: String, _ settings: TrainingSettings, _ values: BoundaryValues,
        scored: BoundaryValues, scaling: FittedScaling?, labels: [Int], batch: Int, ranks: Ranks, thread: EngineThread
    ) async throws {
        let steps = settings.steps
        plan = try FreezePlan(
            model.network, learningFrom: first, normalization: steps.normalization,
            stageRateDecay: steps.stageRateDecay)
        self.values = values
        self.scored = scored
        (self.batch, self.ranks) = (batch, ranks)
        let shape = values.imageShape(scaling)
        part = model.network.part(
            after: values.node, outputShape: scaling.map { [$0.outputs] } ?? values.extractor.outputShape)
        scoredPart =
            scored.node == values.node
            ? part : model.network.part(after: scored.node, outputShape: scored.extractor.outputShape)
        let classes = values.dataset.classes.count
        program = try await TrainingProgram(
            part, model.weights, rules: plan.rules(for: model.network, l1: steps.l1, l2: steps.l2, pull: steps.pull),
            optimizer: steps.optimizer,
            live: plan.liveNormalizations(of: part), dropout: Self.dropout(steps.dropout, part),
            classWeights: settings.classWeights.factors(labels: labels, classCount: classes).map { Float($0) },
            averages: steps.averageKept != nil, batch: (batch + ranks.count - 1) / ranks.count, height: shape.height,
            width: shape.width, order: shape.order, precision: steps.precision, ranks: ranks, thread: thread)
        self.model = model
        self.settings = settings
        self.scaling = scaling
        self.thread = thread
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

    /// How images are shown to the network in an epoch, counted from 0: one of the kept views, the plain one among
    /// them; or, where nothing is frozen, one that was never shown before.
    func view(epoch: Int) -> ImageView {
        let steps = settings.steps
        let number = values.node == Node.image ? epoch + 1 : epoch % Self.views(steps)
        return ImageView(steps.augmentation, number: number, seed: settings.seed)
    }

    /// The memory order of what `inputs` gives.
    var order: ImageOrder { values.imageShape(scaling).order }

    /// The boundary's values for some items, in the shape that the program wants.
    func inputs(_ items: [Int], _ view: ImageView) async throws -> Tensor {
        try await values.inputs(items, view, scaling)
    }

    /// Keeps what an epoch will show, where that is kept, a share by each rank. Collective.
    func share(_ items: [Int], _ view: ImageView, _ report: EventHandler) async throws {
        try await values.share(items, view, report)
    }

    /// Scores weights on some items, a share by each rank. Collective.
    ///
    /// - Parameter weights: Tensors that take the place of the model's.
    func evaluate(_ weights: Weights, on items: [Int]) async throws -> Evaluation {
        // A batch is computed whole, however few images are in it.
        let own = max(1, (items.count + ranks.count - 1) / ranks.count)
        return try await BoundaryScorer(
            scoredPart, model.weights.merging(weights) { _, new in new }, scored, scaling: scaling,
            batch: min(program.batch, own), precision: settings.steps.precision, ranks: ranks, thread: thread
        ).evaluate(on: items)
    }
}
