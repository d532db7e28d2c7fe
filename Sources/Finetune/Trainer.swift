// A base and images in, an adapted model and its scores out.

internal import FinetuneDatasets
public import FinetuneEngine
public import FinetuneEvaluation
internal import FinetuneModels
internal import FinetunePipeline
public import FinetuneTraining

/// Adapts a base to images.
public struct Trainer: Sendable {
    private let base: Base
    private let images: ImageDataset
    private let settings: TrainingSettings
    private let context: TrainingContext
    private let thread: EngineThread

    /// - Parameters:
    ///   - base: The pretrained network; it stays as it is.
    ///   - images: What to learn from; what is not divided is divided as `settings` say.
    ///   - settings: All choices; as they are, a logistic head on frozen features.
    ///   - cache: A folder where outputs of the frozen part stay for later trainings; nil keeps them for this one alone.
    ///   - checkpoint: A file where a training by steps keeps what it has reached; nil keeps nothing.
    ///   - resumes: Whether to go on from that checkpoint, where there is one.
    ///   - helper: See `Base`.
    ///   - threads: Of the computation.
    public init(
        _ base: Base, _ images: ImageDataset, settings: TrainingSettings = TrainingSettings(), cache: String? = nil,
        checkpoint: String? = nil, resumes: Bool = false, helper: String = Base.helperBesideProgram,
        threads: Int = Machine.availableProcessors
    ) {
        self.base = base
        self.images = images
        var settings = settings
        settings.cache = cache.map { FeatureCache(folder: $0) }
        self.settings = settings
        context = TrainingContext(checkpointPath: checkpoint, resumes: resumes, helper: helper)
        thread = EngineThread(threads: threads) { _ in }
    }

    /// A finished training.
    public struct Run: Sendable {
        /// Of the best epoch, where there were epochs.
        public let model: AdaptedModel
        /// The scores on the images that validated; nil where there were none.
        public let validation: Evaluation?
        /// The scores on the images that tested; nil where there were none.
        public let test: Evaluation?
        /// One for each epoch of a training by steps.
        public let epochs: [EpochRecord]
        /// From 1, or 0 for the start, if no epoch was better; nil if there were no epochs, or nothing validated.
        public let bestEpoch: Int?
    }

    /// Trains.
    ///
    /// - Parameter report: Told what happens, from any thread.
    /// - Throws: An error whose description says why nothing can be learnt from these images, or what happened to the
    ///   training, and what to try.
    public func run(_ report: @escaping @Sendable (Event) -> Void = { _ in }) async throws -> Run {
        try Machine.checkMatrixKernels()
        thread.reportUnknownKernels { report(.unknownKernel($0)) }
        for note in base.model.notes { report(.warning(note)) }
        let model = try await base.model.findingRecipe(on: images.dataset, thread, report).measured(
            for: settings.precision, on: images.dataset, cache: settings.cache, isBase: true, thread, report)
        let trainer = try FinetuneTraining.Trainer(model, images.dataset, settings, context, thread: thread)
        guard let result = try await trainer.run(report) else { preconditionFailure("one process is the first") }
        func score(_ part: Split.Part) -> Evaluation? { result.scores.first { $0.part == part }?.evaluation }
        return Run(
            model: AdaptedModel(model: result.model), validation: score(.validation), test: score(.test),
            epochs: result.epochs, bestEpoch: result.bestEpoch)
    }
}
