// Adapts a base to a data set: one path for every strategy, which part ways only at what learns.

package import FinetuneDatasets
package import FinetuneEngine
package import FinetuneEvaluation
package import FinetuneFiles
package import FinetuneModels
package import FinetunePipeline

/// One split's scores with the names of its images.
package struct SplitScore: Sendable {
    package let part: Split.Part
    package let evaluation: Evaluation
    package let images: [String]
}

/// What came out of a training.
package struct TrainingResult: Sendable {
    package let model: Model
    package let plan: FreezePlan
    /// How the head was fitted, where that was done to its optimum or on features alone.
    package let headRecord: JSON?
    package let epochs: [EpochRecord]
    /// From 1; nil where nothing validated.
    package let bestEpoch: Int?
    /// The initial learning rate of steps through the network.
    package let rate: Double?
    package let scores: [SplitScore]
    package let parts: [(name: String, part: Split.Part, group: String?)]
    package let skipped: [FeatureExtractor.Skipped]
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

    /// - Throws: `TrainingError` for a data set that nothing can be learnt from.
    package init(
        _ base: Model, _ dataset: ImageDataset, _ settings: TrainingSettings, _ context: TrainingContext,
        thread: EngineThread
    ) throws {
        guard dataset.classes.count >= 2 else {
            let found = dataset.classes.isEmpty ? "no classes" : "the one class '\(dataset.classes[0])'"
            throw TrainingError(
                .unusableData,
                "cannot learn from '\(dataset.path)': it has \(found), two were expected. Make a folder of images for each class."
            )
        }
        if let item = dataset.items.first(where: { $0.label == nil }) {
            throw TrainingError(.unusableData, "cannot learn from '\(dataset.path)': '\(item.name)' has no label.")
        }
        self.base = base
        self.dataset = dataset
        self.settings = settings
        self.context = context
        self.thread = thread
    }

    /// What learns in the end, and how.
    ///
    /// - Throws: `FreezeError` for a stage that the base does not have.
    package func plan() throws -> FreezePlan {
        let model = try withNewHead(nil)
        guard settings.strategy != .frozen else {
            return try FreezePlan(model.network, learningFrom: Stage.head, normalization: .frozen)
        }
        return try FreezePlan(
            model.network, learningFrom: try settings.steps.unfreezing.firstStage(of: model.network),
            normalization: settings.steps.normalization, stageRateDecay: settings.steps.stageRateDecay)
    }

    /// Looks at the images, divides them, trains and scores.
    package func run(_ report: @escaping EventHandler) async throws -> TrainingResult {
        settings.strategy == .frozen ? try await runFrozen(report) : try await runSteps(report)
    }

    // MARK: A head on frozen features

    private func runFrozen(_ report: @escaping EventHandler) async throws -> TrainingResult {
        let started = ContinuousClock.now
        let table = try await features(of: dataset, report)
        for image in table.skipped { report(.skipped(name: image.name, reason: image.reason)) }
        let extracted = ContinuousClock.now
        let survey = try Survey(table.items, table.hashes, of: dataset, settings, report: report)
        let head = try fit(settings.head, table, survey, report)
        var model = try withNewHead(head)
        model.precision = settings.precision
        model.trainingImages = survey.trainingHashes
        let scores = scoredParts(survey).map { part in
            let places = survey.places(part)
            let logits = table.features.rows(places).dense(weight: head.weight, bias: head.bias)
            return SplitScore(
                part: part,
                evaluation: Evaluation(
                    probabilities: Softmax.probabilities(logits), labels: places.map { survey.labels[$0] },
                    classes: dataset.classes),
                images: places.map { dataset.items[survey.items[$0]].name })
        }
        return TrainingResult(
            model: model, plan: try plan(), headRecord: head.record, epochs: [], bestEpoch: nil, rate: nil,
            scores: scores, parts: parts(survey), skipped: table.skipped, trainImages: survey.places(.train).count,
            featureSeconds: seconds(extracted - started), trainSeconds: seconds(.now - extracted))
    }

    /// The features of images under the frozen base, kept for the next run.
    private func features(of dataset: ImageDataset, _ report: EventHandler) async throws -> FeatureTable {
        let extractor = try await FeatureExtractor(
            base, node: base.network.featureNode, inputShape: dataset.inputShape, precision: settings.precision,
            keeping: settings.cache.map { FeatureKeeping($0, rows: dataset.items.count) }, thread: thread)
        let table = try await FeatureTable(extractor, dataset) { done, total in
            try stopBeforeSteps()
            report(.progress(stage: "features", done: done, total: total))
        }
        if let problem = extractor.keepingProblem {
            report(.warning("Features are not kept for later runs: \(problem)."))
        }
        return table
    }

    private func fit(_ kind: HeadKind, _ table: FeatureTable, _ survey: Survey, _ report: EventHandler) throws
        -> DenseHead
    {
        let training = survey.places(.train)
        let head = kind.fit(
            features: table.features.rows(training), labels: training.map { survey.labels[$0] },
            classCount: dataset.classes.count, folds: folds(training, survey.labels),
            standardizes: settings.standardizes, linear: settings.linear, threads: thread.count
        ) { done, _ in report(.share(stage: "head", done)) }
        guard head.weight.values.allSatisfy(\.isFinite), head.bias.values.allSatisfy(\.isFinite) else {
            throw TrainingError(
                .diverged, "the training diverged: the head's weights are no longer numbers. Try a smaller --lr.")
        }
        return head
    }

    /// Folds over the training images; nil where there are too few to choose a strength by.
    private func folds(_ training: [Int], _ labels: [Int]) -> [Int]? {
        guard training.count >= 2 * TrainingSettings.folds else { return nil }
        let hasGroups = dataset.items.contains { $0.group != nil }
        return StratifiedFolds.assign(
            labels: training.map { labels[$0] },
            groups: hasGroups ? training.map { dataset.items[$0].group ?? dataset.items[$0].name } : nil,
            count: TrainingSettings.folds)
    }

    // MARK: Steps through the network

    private func runSteps(_ report: @escaping EventHandler) async throws -> TrainingResult {
        let started = ContinuousClock.now
        let steps = settings.steps
        let start = try withNewHead(nil)
        let first = try steps.unfreezing.firstStage(of: start.network)
        let phases = TrainingPhase.plan(settings.strategy, from: first, of: start.network, epochs: steps.epochs)
        let fingerprint = try fingerprint()
        let checkpoint = try loadCheckpoint(fingerprint)

        let looked = try await look(at: start, phases[0].first, report)
        let survey = looked.survey
        let training = survey.items(.train)
        var head: DenseHead?
        if settings.strategy == .headFirst, checkpoint == nil {
            head = try await fitHeadFirst(survey, report)
        }
        let extracted = ContinuousClock.now

        let model = try withNewHead(head)
        var tuning = FineTuning(
            model, dataset, training: training, validation: survey.items(.validation), settings, context,
            fingerprint: fingerprint, from: checkpoint, thread: thread, report: report)
        var plan = try self.plan()
        for phase in phases where phase.epochs.upperBound > tuning.progress.epoch || phase == phases.last {
            let session = try await TrainingSession(
                model, learningFrom: phase.first, settings, inputShape: dataset.inputShape,
                batch: FineTuning.batch(steps, images: training.count), survey, thread: thread)
            plan = session.plan
            try await tuning.run(phase, session)
            if let problem = session.extractor.keepingProblem {
                report(.warning("The frozen part's outputs are not kept for later runs: \(problem)."))
            }
            if tuning.progress.isFinished { break }
        }
        let trained = ContinuousClock.now

        var result = tuning.result
        result.precision = settings.precision
        let boundary = try result.network.boundary(before: first)
        if boundary != result.network.featureNode {
            result.trainedPart = TrainedPart(boundary: boundary, precision: steps.precision)
        }
        let scores = try await score(result, survey, report)
        result.trainingImages = survey.trainingHashes
        return TrainingResult(
            model: result, plan: plan, headRecord: head?.record, epochs: tuning.progress.epochs,
            bestEpoch: tuning.progress.bestEpoch, rate: tuning.progress.rate, scores: scores, parts: parts(survey),
            skipped: looked.skipped, trainImages: training.count, featureSeconds: seconds(extracted - started),
            trainSeconds: seconds(trained - extracted))
    }

    /// Reads every image once. Where something is frozen, what it makes of them is kept on the way.
    private func look(at model: Model, _ first: String, _ report: EventHandler) async throws -> (
        survey: Survey, skipped: [FeatureExtractor.Skipped]
    ) {
        let boundary = try model.network.boundary(before: first)
        let rows = forecastRows
        let extractor = try await FeatureExtractor(
            model, node: boundary, inputShape: dataset.inputShape, precision: settings.precision,
            keeping: boundary == Node.image ? nil : FeatureKeeping(settings.cache, rows: rows),
            thread: thread)
        var forecast = StoreForecast(extractor, boundary: boundary, images: dataset.items.count, rows: rows)
        var items: [Int] = []
        var hashes: [ContentHash] = []
        let skipped = try await extractor.run(dataset) { done, total in
            try stopBeforeSteps()
            report(.progress(stage: "images", done: done, total: total))
            forecast.advance(to: done, of: total, report)
        } consume: { chunk in
            items += chunk.items
            hashes += chunk.hashes
        }
        forecast.finish(report)
        for image in skipped { report(.skipped(name: image.name, reason: image.reason)) }
        try PipelineError.check(skipped, of: dataset.items.count)
        return (try Survey(items, hashes, of: dataset, settings, report: report), skipped)
    }

    /// How many outputs of the frozen part there will be: of every image one, of those that learn one a view. Who learns
    /// is decided when all have been read; so far the fractions say how many.
    private var forecastRows: Int {
        let parts = dataset.items.map(\.part)
        let free = Double(parts.count { $0 == nil || $0 == .train })
        let validation = parts.contains(.validation) ? 0 : settings.validation
        let test = parts.contains(.test) ? 0 : settings.test
        let learning = Int((free * (1 - test) * (1 - validation)).rounded())
        return parts.count + (TrainingSession.views(settings.steps) - 1) * learning
    }

    /// The head of `lp-ft`: logistic regression to its optimum on the base's features.
    private func fitHeadFirst(_ survey: Survey, _ report: EventHandler) async throws -> DenseHead {
        let table = try await features(of: dataset, report)
        return try fit(.logistic, table, survey, report)
    }

    /// Scores the finished model as `evaluate` would.
    private func score(_ model: Model, _ survey: Survey, _ report: EventHandler) async throws -> [SplitScore] {
        let predictor = try await Predictor(
            model, classes: dataset.classes, inputShape: dataset.inputShape, precision: settings.precision,
            thread: thread)
        var scores: [SplitScore] = []
        for part in scoredParts(survey) {
            let part0 = dataset.selecting(survey.items(part))
            let score = try await predictor.evaluate(part0) { done, total in
                report(.progress(stage: "score", done: done, total: total))
            }
            scores.append(SplitScore(part: part, evaluation: score.evaluation, images: score.images))
        }
        return scores
    }

    // MARK: What both share

    /// The base with a head for the data set's classes: the given one, or zeros.
    private func withNewHead(_ head: DenseHead?) throws -> Model {
        let classes = dataset.classes
        if let head { return base.adapted(weight: head.weight, bias: head.bias, classes: classes) }
        let size = dataset.inputShape ?? base.recipe.map { [$0.height, $0.width] } ?? [224, 224]
        let node = base.network.featureNode
        guard let shape = base.network.outputShape(of: node, height: size[0], width: size[1]), shape.count == 1 else {
            throw TrainingError(
                .unusableData,
                "cannot give the network a new head: '\(node)' makes no row of features of an image of \(size[0])×\(size[1]) pixels. Try a larger --size."
            )
        }
        return base.adapted(
            weight: Tensor(shape: [classes.count, shape[0]], repeating: 0),
            bias: Tensor(shape: [classes.count], repeating: 0), classes: classes)
    }

    private func scoredParts(_ survey: Survey) -> [Split.Part] {
        Split.Part.allCases.filter { $0 != .train && !survey.places($0).isEmpty }
    }

    private func parts(_ survey: Survey) -> [(name: String, part: Split.Part, group: String?)] {
        zip(survey.items, survey.parts).map { (dataset.items[$0].name, $1, dataset.items[$0].group) }
    }

    private func stopBeforeSteps() throws {
        guard context.shouldStop() else { return }
        throw TrainingError(
            .interrupted, "interrupted before the training began. What was computed of the images is kept in the cache."
        )
    }

    // MARK: Going on

    /// Everything that decides the result.
    private func fingerprint() throws -> JSON {
        let names = dataset.items.map { "\($0.name)\t\($0.label ?? -1)\t\($0.part?.rawValue ?? "")\t\($0.group ?? "")" }
        let weights = base.weights.sorted { $0.key < $1.key }.map { name, tensor in
            name + tensor.withUnsafeBufferPointer { ContentHash(of: UnsafeRawBufferPointer($0)).text }
        }
        return .object(
            [
                .init("strategy", .string(settings.strategy.rawValue)),
                .init("base", .string(ContentHash(of: weights.joined(separator: "\n")).text)),
                .init("data", .string(ContentHash(of: names.joined(separator: "\n")).text)),
                .init("recipe", base.recipe.map { .string("\($0)") } ?? .null),
                .init("seed", .string("\(settings.seed)")), .init("val", .number(settings.validation)),
                .init("test", .number(settings.test)), .init("precision", .string(settings.precision.rawValue)),
                .init("threads", .integer(thread.count)), .init("arithmetic", .string(Machine.arithmetic)),
            ] + (settings.steps.json.members ?? []))
    }

    private func loadCheckpoint(_ fingerprint: JSON) throws -> TrainingCheckpoint? {
        guard context.resumes, let path = context.checkpointPath, FileSystem.kind(of: path) == .file else { return nil }
        return try TrainingCheckpoint(path, fingerprint: fingerprint, helper: context.helper)
    }
}

/// A duration in seconds.
package func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
}
