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
        var model = start
        var scaling: FittedScaling?
        var headRecord: JSON?
        if isFrozen {
            let fitted = try fitScaling(
                try await looked.values.rows(training) { _, _ in }, report)
            model = try withNewHead(inputs: fitted.outputs)
            scaling = fitted
        } else if settings.strategy.beginsWithFittedHead {
            let features = try await self.values(before: Stage.head, start, survey, known: looked.values)
            (model, headRecord) = try await withHeadFirst(features, survey, report)
        }
        let extracted = ContinuousClock.now
        try reportRanks(batch: FineTuning.batch(steps, images: training.count), report)

        context.looksForStop(true)
        let tuned = try await tune(
            model, phases, looked.values, survey, scaling: scaling, identity: identity, from: checkpoint, report)
        context.looksForStop(false)
        let trained = ContinuousClock.now
        let (tuning, values) = (tuned.tuning, tuned.values)
        guard context.ranks.isFirst else { return nil }

        var result = tuning.result(folding: scaling)
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
            model: scored.model, plan: try tuned.plan ?? plan(), headRecord: headRecord, scalingRecord: scaling?.record,
            epochs: tuning.progress.epochs, bestEpoch: tuning.progress.bestEpoch, start: tuning.progress.start,
            rate: tuning.progress.rate,
            scores: scored.scores, calibration: scored.calibration, parts: parts(survey), skipped: looked.skipped,
            findings: survey.findings, trainImages: training.count,
            featureSeconds: seconds(extracted - started), trainSeconds: seconds(trained - extracted))
    }

    /// Trains the phases of a strategy in turn; all of them anew with a smaller rate if the training diverges. Collective.
    ///
    /// - Parameters:
    ///   - model: The base with the head that the first step begins with.
    ///   - values: Those at the boundary before the first phase.
    ///   - scaling: What is done to features before the head.
    ///   - checkpoint: Where to go on; nil begins.
    /// - Returns: The training after its last epoch, the values before the stages of the last phase, and what was trained;
    ///   nil for a head on features.
    func tune(
        _ model: Model, _ phases: [TrainingPhase], _ values: BoundaryValues, _ survey: Survey, scaling: FittedScaling?,
        identity: RunIdentity, from checkpoint: TrainingCheckpoint?, _ report: @escaping EventHandler
    ) async throws -> (tuning: FineTuning, values: BoundaryValues, plan: FreezePlan?) {
        let training = survey.items(.train)
        let labels = training.map { dataset.items[$0].label ?? 0 }
        let batch = FineTuning.batch(settings.steps, images: training.count)
        var tuning = FineTuning(
            model, dataset, training: training, validation: survey.items(.validation), settings, context,
            identity: identity, from: checkpoint, thread: thread, report: report)
        // A training that begins anew finds those of each phase again.
        var all = [values]
        func known(before first: String) async throws -> BoundaryValues {
            let boundary = try model.network.boundary(before: first)
            if let found = all.first(where: { $0.node == boundary }) { return found }
            all.append(try await self.values(before: first, model, survey, known: values))
            return all[all.count - 1]
        }
        // All phases are scored alike: what is trained in the last one is computed as the saved model computes it.
        let scored = try await known(before: phases[phases.count - 1].first)
        var plan: FreezePlan?
        while true {
            do {
                for phase in phases where phase.epochs.upperBound > tuning.progress.epoch || phase == phases.last {
                    let values = try await known(before: phase.first)
                    let session = try await TrainingSession(
                        model, learningFrom: phase.first, settings, shown(in: phase, values, survey), scored: scored,
                        scaling: scaling, labels: labels, batch: batch, ranks: context.ranks, thread: thread)
                    if settings.strategy != .frozen { plan = session.plan }
                    if let note = phase.sizeNote(of: phases) { report(.note(note, [:])) }
                    try await tuning.run(phase, session)
                    warnOfKeeping(values, report)
                    if tuning.progress.isFinished { break }
                }
                return (tuning, scored, plan)
            } catch let error as TrainingError where error.kind == .diverged {
                let progress = tuning.progress
                guard tuning.beginAnew() else { throw error }
                report(
                    .warning(
                        "The training diverged in epoch \(progress.epoch + 1) with a learning rate of \((progress.rate ?? 0).rounded(toDigits: 3)); it begins anew with a smaller one."
                    ))
            }
        }
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
        let small = recipe.resized(shortSide: start)
        let (height, width) = (small.height, small.width)
        guard base.network.outputShape(of: base.network.featureNode, height: height, width: width) != nil else {
            throw SettingsError(
                reason:
                    "--start-size \(start) is too small: this network has no features of images of \(height)×\(width) pixels. Try a larger one."
            )
        }
        return start...full
    }
}
