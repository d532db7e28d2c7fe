// Training by steps, from the head alone to the whole network: the phases of a strategy, one session each.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneRanks

extension Trainer {
    func runSteps(_ report: @escaping EventHandler) async throws -> TrainingResult? {
        let started = ContinuousClock.now
        let steps = settings.steps
        let isFrozen = settings.strategy == .frozen
        let start = try withNewHead()
        let first = isFrozen ? Stage.head : try steps.unfreezing.firstStage(of: start.network)
        let phases = TrainingPhase.plan(
            settings.strategy, from: first, of: start.network, epochs: steps.epochs, sides: try sides())
        let identity = identity()
        let checkpoint = try loadCheckpoint(identity)

        let looked = try await look(at: start, phases[0].first, report)
        let survey = looked.survey
        let counts = survey.counts(skipped: looked.skipped.count)
        report(.note(counts.text, ["counts": counts.json]))
        let training = survey.items(.train)
        let labels = training.map { dataset.items[$0].label ?? 0 }
        var model = start
        var scaling: FittedScaling?
        var headRecord: JSON?
        if isFrozen {
            let fitted = try fitScaling(
                try await looked.values.rows(training) { _, _ in }, report)
            model = try withNewHead(inputs: fitted.outputs)
            scaling = fitted
        } else if settings.strategy == .headFirst {
            let features = try await self.values(before: Stage.head, start, survey, known: looked.values)
            (model, headRecord) = try await withHeadFirst(features, survey, report)
        }
        let extracted = ContinuousClock.now
        try reportRanks(batch: FineTuning.batch(steps, images: training.count), report)

        var tuning = FineTuning(
            model, dataset, training: training, validation: survey.items(.validation), settings, context,
            identity: identity, from: checkpoint, thread: thread, report: report)
        var plan = try self.plan()
        var values = looked.values
        var isUnderWay = true
        context.looksForStop(true)
        while isUnderWay {
            do {
                for phase in phases where phase.epochs.upperBound > tuning.progress.epoch || phase == phases.last {
                    values = try await self.values(before: phase.first, model, survey, known: values)
                    let session = try await TrainingSession(
                        model, learningFrom: phase.first, settings, shown(in: phase, values, survey), scored: values,
                        scaling: scaling, labels: labels, batch: FineTuning.batch(steps, images: training.count),
                        ranks: context.ranks, thread: thread)
                    if !isFrozen { plan = session.plan }
                    if let note = phase.sizeNote(of: phases) { report(.note(note, [:])) }
                    try await tuning.run(phase, session)
                    warnOfKeeping(values, report)
                    if tuning.progress.isFinished { break }
                }
                isUnderWay = false
            } catch let error as TrainingError where error.kind == .diverged {
                let progress = tuning.progress
                guard tuning.beginAnew() else { throw error }
                report(
                    .warning(
                        "The training diverged in epoch \(progress.epoch + 1) with a learning rate of \(progress.rate ?? 0); it begins anew with a smaller one."
                    ))
            }
        }
        context.looksForStop(false)
        let trained = ContinuousClock.now
        values = try await self.values(before: first, model, survey, known: values)
        guard context.ranks.isFirst else { return nil }

        var result = tuning.result
        if let scaling { result = result.adapted(Head(of: result).folding(scaling), classes: dataset.classes) }
        result.precision = settings.precision
        let boundary = try result.network.boundary(before: first)
        if boundary != result.network.featureNode {
            result.trainedPart = TrainedPart(boundary: boundary, precision: steps.precision)
        }
        let scores = try await score(
            result, values, survey, batch: isFrozen ? Self.scoredRows : FineTuning.batch(steps, images: training.count),
            precision: isFrozen ? settings.precision : steps.precision, report)
        result.trainingImages = survey.trainingHashes
        let scored = calibrated(result, scores, report)
        return TrainingResult(
            model: scored.model, plan: plan, headRecord: headRecord, scalingRecord: scaling?.record,
            epochs: tuning.progress.epochs, bestEpoch: tuning.progress.bestEpoch, start: tuning.progress.start,
            rate: tuning.progress.rate,
            scores: scored.scores, calibration: scored.calibration, parts: parts(survey), skipped: looked.skipped,
            findings: survey.findings, trainImages: training.count,
            featureSeconds: seconds(extracted - started), trainSeconds: seconds(trained - extracted))
    }

    /// Says how a batch is shared out.
    ///
    /// - Throws: `SettingsError` where it cannot be.
    private func reportRanks(batch: Int, _ report: EventHandler) throws {
        let count = context.ranks.count
        guard count > 1 else { return }
        let isLive = try plan().rows.contains { $0.normalization == .train }
        guard batch >= count, !isLive || batch % count == 0 else {
            throw SettingsError(
                reason:
                    "\(count) processes cannot share a batch of \(batch.counted("image"))\(isLive ? " evenly, which --batch-norm train needs" : ""). Choose a --batch that is a multiple of \(count)."
            )
        }
        report(
            .note(
                "\(count) processes share each batch of \(batch.counted("image")), \((batch + count - 1) / count) per process. The learning rate is that of the whole batch.",
                ["ranks": .integer(count), "batch": .integer(batch)]))
    }

    /// The values at the boundary before a stage: those that are known, or others.
    private func values(before first: String, _ model: Model, _ survey: Survey, known: BoundaryValues) async throws
        -> BoundaryValues
    {
        let boundary = try model.network.boundary(before: first)
        guard boundary != known.node else { return known }
        let rows = survey.items.count + (TrainingSession.views(settings.steps) - 1) * survey.places(.train).count
        let extractor = try await extractor(of: model, before: first, rows: rows)
        return BoundaryValues(extractor, dataset, survey, ranks: context.ranks)
    }

    /// The images of a phase as they are shown while the network learns.
    private func shown(in phase: TrainingPhase, _ values: BoundaryValues, _ survey: Survey) async throws
        -> BoundaryValues
    {
        guard let side = phase.side else { return values }
        var model = base
        model.recipe = base.recipe?.resized(shortSide: side)
        let extractor = try await FeatureExtractor(
            model, node: Node.image, precision: settings.precision, thread: thread)
        return BoundaryValues(extractor, dataset, survey, ranks: context.ranks)
    }

    /// The short sides of the first epoch's images and of the network's input; nil where they are the same.
    ///
    /// - Throws: `SettingsError` where images cannot be smaller.
    func sides() throws -> ClosedRange<Int>? {
        guard let start = settings.steps.startSize else { return nil }
        guard dataset.inputShape == nil, let recipe = base.recipe else {
            throw SettingsError(
                reason: "--start-size \(start) is for pictures; '\(dataset.path)' holds inputs of one size.")
        }
        let full = min(recipe.height, recipe.width)
        guard start < full else {
            throw SettingsError(
                reason: "--start-size \(start) is not smaller than the network's input of \(full) pixels.")
        }
        return start...full
    }

    /// The model with the head of `lp-ft`: logistic regression to its optimum on the base's features.
    private func withHeadFirst(
        _ values: BoundaryValues, _ survey: Survey, _ report: EventHandler
    ) async throws -> (Model, JSON?) {
        let training = survey.items(.train)
        let labels = training.map { dataset.items[$0].label ?? 0 }
        let features = try await values.rows(training) { done, total in
            report(.progress(stage: "features", done: done, total: total))
        }
        let scaling = try fitScaling(features, report)
        let head = try fit(.logistic, scaling.apply(features), labels, folds(survey), report)
        let layers = Head(head, named: base.headName, reading: base.network.featureNode).folding(scaling)
        return (base.adapted(layers, classes: dataset.classes), head.record)
    }
}
