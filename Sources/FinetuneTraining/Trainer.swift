// Adapts a base to a data set: one path for every strategy, which part ways only at what learns.

internal import FinetuneCheckpoints
package import FinetuneDatasets
package import FinetuneEngine
package import FinetuneEvaluation
package import FinetuneFiles
package import FinetuneModels
package import FinetunePipeline
internal import FinetuneRanks

/// One split's scores with the names of its images.
package struct SplitScore: Sendable {
    package let part: Split.Part
    package let evaluation: Evaluation
    /// Indices into the data set's items.
    package let items: [Int]
    package let images: [String]
}

/// What came out of a training.
package struct TrainingResult: Sendable {
    package let model: Model
    package let plan: FreezePlan
    /// How the head was fitted, where that was done to its optimum or on features alone.
    package let headRecord: JSON?
    /// How features were scaled before the head, where they were.
    package let scalingRecord: JSON?
    package let epochs: [EpochRecord]
    /// From 1; nil where nothing validated.
    package let bestEpoch: Int?
    /// The scores before the first step; nil if nothing is trained in epochs, or nothing validates.
    package let start: ValidationScores?
    /// The initial learning rate of steps through the network.
    package let rate: Double?
    package let scores: [SplitScore]
    /// What the model's temperature does; nil where it has none.
    package let calibration: Calibration?
    package let parts: [(name: String, part: Split.Part, group: String?)]
    package let skipped: [FeatureExtractor.Skipped]
    /// What is wrong with the images, or odd.
    package let findings: [Finding]
    package let trainImages: Int
    package let featureSeconds: Double
    package let trainSeconds: Double
}

/// Trains a model.
package struct Trainer: Sendable {
    package let base: Model
    package let dataset: ImageDataset
    package let settings: TrainingSettings
    let context: TrainingContext
    let thread: EngineThread
    /// Nil where the training looks at the images and divides them itself.
    private let division: Division?

    /// - Throws: `TrainingError` for a data set that nothing can be learnt from, `SettingsError` for settings that mean
    ///   nothing.
    package init(
        _ base: Model, _ dataset: ImageDataset, _ settings: TrainingSettings, _ context: TrainingContext,
        thread: EngineThread
    ) throws {
        try self.init(base, dataset, settings, context, on: nil, thread: thread)
    }

    /// - Parameter division: Of images that were looked at before; nil to do that.
    init(
        _ base: Model, _ dataset: ImageDataset, _ settings: TrainingSettings, _ context: TrainingContext,
        on division: Division?, thread: EngineThread
    ) throws {
        try settings.check()
        try dataset.checkClasses()
        self.base = base
        self.dataset = dataset
        self.settings = settings
        self.context = context
        self.thread = thread
        self.division = division
        _ = try sides()
    }

    /// What learns in the end, and how.
    ///
    /// - Throws: `FreezeError` for a stage that the base does not have.
    package func plan() throws -> FreezePlan {
        let model = try withNewHead()
        guard settings.strategy != .frozen else {
            return try FreezePlan(model.network, learningFrom: Stage.head, normalization: .frozen)
        }
        return try FreezePlan(
            model.network, learningFrom: try settings.steps.unfreezing.firstStage(of: model.network),
            normalization: settings.steps.normalization, stageRateDecay: settings.steps.stageRateDecay)
    }

    /// Looks at the images, divides them, trains and scores.
    ///
    /// - Returns: Nil on all ranks of a run but the first. Collective.
    package func run(_ report: @escaping EventHandler) async throws -> TrainingResult? {
        for note in settings.advice { report(.note(note, ["advice": .string(note)])) }
        if settings.strategy == .frozen, case .convex(let head) = settings.head {
            return try await runConvex(head, report)
        }
        return try await runSteps(report)
    }

    // MARK: The images, once

    /// Reads every image once. Where something is frozen, what it makes of them is kept on the way.
    func look(at model: Model, _ first: String, _ report: EventHandler) async throws -> Look {
        let boundary = try model.network.boundary(before: first)
        if let division {
            let survey = Survey(division)
            let extractor = try await extractor(of: model, before: first)
            return Look(
                survey: survey, values: BoundaryValues(extractor, dataset, survey, ranks: context.ranks), skipped: [])
        }
        Survey.report(dataset.remarks, report)
        let fingerprints = try FingerprintStore(
            settings.cache, model.recipe, ranks: context.ranks)
        let extractor = try await extractor(of: model, before: first, fingerprints)
        var forecast = StoreForecast(
            extractor, boundary: boundary, featureNode: base.network.featureNode, images: dataset.items.count,
            rows: forecastRows)
        let stage = boundary == base.network.featureNode ? "features" : "images"
        let look = try await FirstLook(
            dataset, through: [extractor], fingerprints, ranks: context.ranks
        ) { done, total in
            report(.progress(stage: stage, done: done, total: total))
            forecast.advance(to: done, of: total, report)
        }
        forecast.finish(read: look.items.count, report)
        for image in look.skipped { report(.skipped(name: image.name, reason: image.reason)) }
        try PipelineError.check(look.skipped, of: dataset.items.count)
        if context.ranks.isFirst { try context.settle(look.hashes) }
        let survey = Survey(look, settings, inputSize: model.recipe.map { ($0.width, $0.height) })
        try survey.check()
        Survey.report(survey.findings.filter { !$0.kind.isOfListing }, report)
        return Look(
            survey: survey, values: BoundaryValues(extractor, dataset, survey, ranks: context.ranks),
            skipped: look.skipped)
    }

    /// What gives the values at the boundary before a stage.
    ///
    /// - Parameter rows: How many are to come; nil for as many as are forecast.
    func extractor(
        of model: Model, before first: String, _ fingerprints: FingerprintStore? = nil, rows: Int? = nil
    ) async throws -> FeatureExtractor {
        let boundary = try model.network.boundary(before: first)
        return try await FeatureExtractor(
            model, node: boundary, inputShape: dataset.inputShape, precision: settings.precision,
            keeping: boundary == Node.image
                ? nil : .writing(settings.cache, rows: rows ?? forecastRows, ranks: context.ranks),
            fingerprints: fingerprints, thread: thread)
    }

    /// What a first look at the images gave.
    struct Look {
        let survey: Survey
        /// The values at the boundary before the first stage that learns.
        let values: BoundaryValues
        let skipped: [FeatureExtractor.Skipped]
    }

    /// How many outputs of the frozen part there will be: of every image one, of those that learn one a view. Who learns
    /// is decided when all have been read; so far the fractions say how many.
    private var forecastRows: Int {
        let parts = dataset.items.map(\.part)
        let free = Double(parts.count { $0 == nil || $0 == .train })
        let validation = parts.contains(.validation) ? 0 : settings.validation
        let test = parts.contains(.test) ? 0 : settings.test
        let learning = Int((free * (1 - test - validation)).rounded())
        return parts.count + (TrainingSession.views(settings.steps) - 1) * learning
    }

    /// The warning where what was computed is not kept for later runs.
    func warnOfKeeping(_ values: BoundaryValues, _ report: EventHandler) {
        guard let problem = values.extractor.keepingProblem else { return }
        report(.warning("The features are not cached for later runs: \(problem)."))
    }

    // MARK: The model

    /// The base with a head for the data set's classes that has learned nothing yet.
    ///
    /// - Parameter inputs: What the head reads, where that is not the base's features as they are.
    func withNewHead(inputs: Int? = nil) throws -> Model {
        let design = if case .layers(let design) = settings.head { design } else { HeadDesign() }
        return base.adapted(try newHead(design, inputs), classes: dataset.classes)
    }

    private func newHead(_ design: HeadDesign, _ inputs: Int?) throws -> Head {
        let size = dataset.inputShape ?? base.recipe.map { [$0.height, $0.width] } ?? [224, 224]
        let node = base.network.featureNode
        guard let shape = base.network.outputShape(of: node, height: size[0], width: size[1]), shape.count == 1 else {
            throw TrainingError(
                .unusableData,
                base.network.tooSmall(for: node, height: size[0], width: size[1]).description
            )
        }
        return design.head(
            named: base.headName, reading: node, inputs: inputs ?? shape[0], outputs: dataset.classes.count,
            seed: settings.seed)
    }

    // MARK: What came out

    func scoredParts(_ survey: Survey) -> [Split.Part] {
        Split.Part.allCases.filter { $0 != .train && !survey.places($0).isEmpty }
    }

    func parts(_ survey: Survey) -> [(name: String, part: Split.Part, group: String?)] {
        zip(survey.items, survey.parts).map { (dataset.items[$0].name, $1, dataset.items[$0].group) }
    }

    /// The model with the temperature that its validation images ask for, and its scores with it; unchanged where they
    /// are too few to tell, or where no temperature makes it better.
    func calibrated(_ model: Model, _ scores: [SplitScore], _ report: EventHandler) -> (
        model: Model, scores: [SplitScore], calibration: Calibration?
    ) {
        guard let validation = scores.first(where: { $0.part == .validation }),
            let calibration = Calibration(validation.evaluation)
        else { return (model, scores, nil) }
        var model = model
        model.temperature = calibration.temperature
        report(
            .note(
                calibration.sentence,
                ["calibration": calibration.json]))
        let scaled = scores.map {
            SplitScore(
                part: $0.part, evaluation: $0.evaluation.scaled(by: calibration.temperature), items: $0.items,
                images: $0.images)
        }
        return (model, scaled, calibration)
    }

    // MARK: Going on

    /// Everything that decides the result.
    package func identity() -> RunIdentity {
        let names = dataset.items.map { "\($0.name)\t\($0.label ?? -1)\t\($0.part?.rawValue ?? "")\t\($0.group ?? "")" }
        let weights = base.weights.sorted { $0.key < $1.key }.map { name, tensor in
            name + tensor.withSpan { ContentHash(of: $0.bytes).text }
        }
        return RunIdentity(
            [
                .init("strategy", .string(settings.strategy.rawValue)), .init("head", settings.head.json),
                .init("feature-scaling", .string(settings.scaling.text)),
                .init("class-weights", .string(settings.classWeights.rawValue)),
                .init("base", .string(ContentHash(of: weights.joined(separator: "\n")).text)),
                .init("data", .string(ContentHash(of: names.joined(separator: "\n")).text)),
                .init("preprocessing", base.recipe.map(\.json) ?? .null),
                .init("seed", .string("\(settings.seed)")), .init("val", .number(settings.validation)),
                .init("test", .number(settings.test)), .init("precision", .string(settings.precision.rawValue)),
                .init("threads", .integer(thread.count)), .init("arithmetic", .string(Machine.arithmetic)),
            ] + (settings.steps.json.members ?? []))
    }

    func loadCheckpoint(_ identity: RunIdentity) throws -> TrainingCheckpoint? {
        guard context.resumes, let path = context.checkpointPath, FileSystem.kind(of: path) != nil else { return nil }
        return try TrainingCheckpoint(path, identity: identity, helper: context.helper)
    }
}

/// A duration in seconds.
package func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
}
