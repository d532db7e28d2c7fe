// Training by steps through the network: phases, epochs, the best epoch, checkpoints. Every decision depends on the
// settings, the seed and the images alone, so that a training that was stopped goes on to the same bits.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneRanks
internal import Glibc

/// A training that goes through the network, from its start or from a checkpoint.
struct FineTuning {
    let settings: TrainingSettings
    let steps: StepSettings
    let dataset: ImageDataset
    private let training: [Int]
    let validation: [Int]
    let context: TrainingContext
    private let identity: RunIdentity
    let report: EventHandler
    private let thread: EngineThread
    private let started = ContinuousClock.now
    private var lastCheckpoint = ContinuousClock.now
    private var secondsBefore = 0.0
    private var agreedSeconds = 0.0

    /// The base with its new head: where every phase's frozen part and pull come from.
    private let model: Model
    private(set) var progress = TrainingProgress()
    private var best: Weights?
    private var pending: TrainingProgram.State?
    /// What was said after the first steps.
    private var earlyFindings: Set<Health.Finding.Kind> = []

    /// - Parameters:
    ///   - model: The base with its new head.
    ///   - training: The items that learn.
    ///   - checkpoint: Where to go on; nil starts anew.
    init(
        _ model: Model, _ dataset: ImageDataset, training: [Int], validation: [Int], _ settings: TrainingSettings,
        _ context: TrainingContext, identity: RunIdentity, from checkpoint: TrainingCheckpoint?, thread: EngineThread,
        report: @escaping EventHandler
    ) {
        self.model = model
        self.dataset = dataset
        self.training = training
        self.validation = validation
        self.settings = settings
        self.context = context
        self.identity = identity
        self.thread = thread
        self.report = report
        steps = settings.steps
        if let checkpoint {
            progress = checkpoint.progress
            pending = checkpoint.state
            best = checkpoint.best
            secondsBefore = progress.seconds
        }
    }

    /// Apart from the streams that shuffle epochs.
    private static let mixingStream: UInt64 = 1 << 40

    /// Images a step: no more than there are.
    static func batch(_ steps: StepSettings, images: Int) -> Int { max(1, min(steps.batch, images)) }

    /// Trains one phase to its end.
    ///
    /// - Throws: `TrainingError` of kind `diverged`, or `stopped` if the program was asked to end and wrote a checkpoint.
    mutating func run(_ phase: TrainingPhase, _ session: TrainingSession) async throws {
        if let state = pending {
            await session.program.restore(state)
            pending = nil
        }
        if progress.start == nil, progress.epoch == 0, progress.step == 0 { try await scoreStart(session) }
        if progress.rate == nil {
            let rate = try await findRate(session)
            progress.rate = rate
            try await stopIfAsked(session)
        }
        while progress.epoch < phase.epochs.upperBound, !progress.isFinished {
            try await runEpoch(phase, session)
            if hasPatienceEnded(phase) || isOutOfTime { progress.isFinished = true }
            try await keep(session, isDue: false)
        }
        // What learned in this phase is where the next one begins, with the optimizer's memory of it.
        pending = await session.program.state
        if progress.isFinished || progress.epoch >= steps.epochs {
            progress.isFinished = true
            try await keep(session, isDue: true)
        }
    }

    /// Forgets everything but the time, to begin anew with a smaller rate: one that the search found may be too large for
    /// later epochs. What comes of it does not depend on when a training that diverged had been stopped.
    ///
    /// - Returns: False where the rate is the user's, or was made smaller often enough.
    mutating func beginAnew() -> Bool {
        guard steps.learningRate == nil, progress.restarts < Self.mostRestarts else { return false }
        var anew = TrainingProgress()
        anew.restarts = progress.restarts + 1
        anew.seconds = progress.seconds
        (progress, pending, best) = (anew, nil, nil)
        return true
    }

    private static let mostRestarts = 3

    /// The model after its best epoch, or after the last where nothing validates.
    ///
    /// - Parameter scaling: What was done to features before the head, which the head then does itself.
    func result(folding scaling: FittedScaling?) -> Model {
        var model = model
        // A later phase learns all that earlier ones did: what the best epoch had not learned is as in the base.
        model.weights.merge(best ?? pending?.average ?? pending?.weights ?? [:]) { _, new in new }
        return scaling.map { model.adapted(Head(of: model).folding($0), classes: dataset.classes) } ?? model
    }

    /// Scores the network before its first step: it is a candidate for the best epoch, so that no training ends with a
    /// model that is worse than its start on the images that validate.
    private mutating func scoreStart(_ session: TrainingSession) async throws {
        guard !validation.isEmpty else { return }
        let weights = await session.program.weights(averaged: steps.averageKept != nil)
        guard weights.firstNotFinite == nil else { return }
        let start = ValidationScores(try await session.evaluate(weights, on: validation))
        progress.start = start
        (progress.bestEpoch, best) = (0, weights)
        progress.bestScore = start.score(steps.monitor)
        report(
            .note(
                "Before the first step: validation accuracy \(start.accuracy.percent), log-loss \(start.savedLogLoss.rounded(toPlaces: 3)).",
                ["start": start.json]))
    }

    // MARK: An epoch

    private mutating func runEpoch(_ phase: TrainingPhase, _ session: TrainingSession) async throws {
        let epoch = progress.epoch
        let batch = session.batch
        let order = shuffled(epoch)
        let count = stepsPerEpoch(session)
        let total = Double(count * steps.epochs)
        let view = session.view(epoch: epoch)
        var meter = HealthMeter(session.plan.learningNodes(of: model.network))
        // Four steps an epoch, so that looking costs little.
        let measured = max(4, (count + 3) / 4)
        var clock = ContinuousClock.now
        try await session.share(order, view, report)
        let reader = BatchReader(session, dataset, settings)
        @Sendable func read(_ step: Int) async throws -> BatchReader.Batch? {
            guard step < count else { return nil }
            let items = Array(order[step * batch..<min((step + 1) * batch, order.count)])
            return try await reader.read(items, view, mixingBy: Self.mixingStream &+ UInt64(epoch * count + step))
        }
        var coming = try await read(progress.step)
        while let current = coming {
            agreeOnTime()
            let step = progress.step
            // The next images are read while these are computed.
            async let next = read(step + 1)
            let number = UInt64(epoch * count + step)
            let result = try await session.evaluate(current, dropoutKey: settings.seed &+ number << 32)
            if epoch == 0, step == 0 {
                try checkBase(result.loss, order)
                progress.firstLoss = result.loss
            }
            try checkLoss(result.loss)
            let done = Double(epoch * count + progress.step)
            // The first steps of a phase tell early whether their length is right.
            let isEarly = epoch == phase.epochs.lowerBound && progress.step == min(1, count - 1)
            let measures = isEarly || (progress.step + 1) % measured == 0 || progress.step + 1 == count
            let norms = await session.program.update(
                rate: rate(done / total), clip: steps.clip, averageKept: averageKept(after: done), measures: measures)
            if measures { meter.add(norms, await session.program.units) }
            if isEarly { warnOfStepLengths(meter.health) }
            progress.step += 1
            progress.sums.loss += result.loss * Double(current.rows.of)
            progress.sums.hits += result.hits
            progress.sums.images += current.rows.of
            let now = ContinuousClock.now
            progress.sums.seconds += seconds(now - clock)
            clock = now
            report(
                .progress(
                    stage: "epoch \(epoch + 1)/\(steps.epochs)", done: min(progress.step * batch, order.count),
                    total: order.count))
            if progress.step < count {
                try await stopIfAsked(session)
                if isOutOfTime { break }
                try await keep(session, isDue: false)
                clock = .now
            }
            coming = try await next
        }
        try await finishEpoch(phase, session, rate: rate(Double(epoch * count + progress.step) / total), meter.health)
        try await stopIfAsked(session)
    }

    private mutating func finishEpoch(
        _ phase: TrainingPhase, _ session: TrainingSession, rate: Double, _ health: Health
    ) async throws {
        let clock = ContinuousClock.now
        let weights = await session.program.weights(averaged: steps.averageKept != nil)
        if let broken = weights.firstNotFinite {
            throw diverged("'\(broken)' holds numbers that are not finite")
        }
        let evaluation =
            validation.isEmpty ? nil : try await session.evaluate(weights, on: validation)
        let scores = evaluation.map { ValidationScores($0) }
        let sums = progress.sums
        let images = Double(max(sums.images, 1))
        let record = EpochRecord(
            epoch: progress.epoch + 1, learnsFrom: phase.first, rate: rate, trainLoss: sums.loss / images,
            trainAccuracy: Double(sums.hits) / images, accuracy: evaluation?.accuracy, logLoss: evaluation?.logLoss,
            calibratedLogLoss: scores?.savedLogLoss, macroF1: evaluation?.macroF1, trainSeconds: sums.seconds,
            validationSeconds: seconds(.now - clock),
            health: health)
        progress.epochs.append(record)
        progress.epoch += 1
        progress.step = 0
        progress.sums = EpochSums()
        let score = scores?.score(steps.monitor)
        if let score, progress.bestEpoch == nil || score > progress.bestScore {
            progress.bestEpoch = record.epoch
            progress.bestScore = score
            best = weights
        }
        report(.epoch(record, of: steps.epochs))
        for finding in progress.epochs.newFindings where !earlyFindings.contains(finding.kind) {
            report(.warning("Epoch \(record.epoch): \(finding.text)"))
        }
    }

    /// Says which stage's steps are too long or too short, before that costs an epoch.
    private mutating func warnOfStepLengths(_ health: Health) {
        for finding in health.findings where finding.kind.isOfStepLength && earlyFindings.insert(finding.kind).inserted
        {
            report(.warning("After the first steps: \(finding.text)"))
        }
    }

    /// The training items in the order of an epoch.
    func shuffled(_ epoch: Int) -> [Int] {
        var order = training
        var random = RandomNumbers(seed: settings.seed, stream: UInt64(epoch))
        order.shuffle(using: &random)
        return order
    }

    /// A last batch that is not full is left out where batch norms would take its statistics; another epoch, which has
    /// another order, leaves out others.
    private func stepsPerEpoch(_ session: TrainingSession) -> Int {
        let batch = session.batch
        let isLive = session.plan.rows.contains { $0.normalization == .train }
        return isLive ? training.count / batch : (training.count + batch - 1) / batch
    }

    /// The learning rate when a share of the steps, or of the time that there is, has gone.
    private func rate(_ share: Double) -> Double {
        let timeShare = steps.timeBudget.map { elapsed / $0 } ?? 0
        let epochs = Double(steps.epochs)
        return (progress.rate ?? 0) * steps.chosenSchedule.factor(after: max(share, timeShare) * epochs, of: epochs)
    }

    /// A young average follows faster: TensorFlow's `ExponentialMovingAverage(num_updates)`.
    private func averageKept(after steps: Double) -> Double {
        min(self.steps.averageKept ?? 0, (1 + steps) / (10 + steps))
    }

    private func checkLoss(_ loss: Double) throws {
        // Augmented images may have a large loss from the beginning.
        let usual = max(log(Double(dataset.classes.count)), progress.firstLoss ?? 0)
        guard loss.isFinite, loss < 20 * usual + 20 else {
            throw diverged("the loss is \(loss.isNaN ? "not a number" : loss.rounded(toDigits: 3))")
        }
    }

    /// A loss that is no number before the first step is the base's fault, or the images'.
    func checkBase(_ loss: Double, _ items: [Int]) throws {
        guard !loss.isFinite, let first = items.first else { return }
        throw TrainingError(
            .unusableData,
            "cannot train this network: before the first step its loss on '\(dataset.items[first].name)' and the other images of a batch is \(loss). Its weights are damaged or far too large. To see them: finetune inspect --tensors FILE"
        )
    }

    private func diverged(_ reason: String) -> TrainingError {
        let rate = progress.rate.map { " than \($0.rounded(toDigits: 3))" } ?? ""
        let auto = steps.learningRate == nil ? "" : ", or leave it out: it is then found by trial steps"
        return TrainingError(
            .diverged,
            "the training diverged in epoch \(progress.epoch + 1), step \(progress.step + 1): \(reason). Try a smaller --lr\(rate)\(auto)."
        )
    }

    private func hasPatienceEnded(_ phase: TrainingPhase) -> Bool {
        guard steps.patience > 0, let bestEpoch = progress.bestEpoch, phase.epochs.upperBound >= steps.epochs else {
            return false
        }
        return progress.epoch - max(bestEpoch, phase.epochs.lowerBound) >= steps.patience
    }

    // MARK: Time and checkpoints

    /// The first rank's time.
    private var elapsed: Double { context.ranks.count > 1 ? agreedSeconds : ownSeconds }

    private var ownSeconds: Double { secondsBefore + seconds(.now - started) }

    /// Takes the first rank's clock for everybody's, where time decides something. Collective.
    private mutating func agreeOnTime() {
        guard steps.timeBudget != nil else { return }
        agreedSeconds = context.ranks.agree(ownSeconds)
    }

    private var isOutOfTime: Bool { steps.timeBudget.map { elapsed >= $0 } ?? false }

    /// Writes a checkpoint where one is due. A full disk costs no more than the checkpoint.
    private mutating func keep(_ session: TrainingSession, isDue: Bool) async throws {
        guard context.ranks.isFirst, isDue || seconds(.now - lastCheckpoint) >= steps.checkpointInterval else { return }
        do {
            try await write(session)
        } catch let error as any (Error & CustomStringConvertible) {
            report(.warning("No checkpoint was written; the training continues: \(error.description)"))
        }
        lastCheckpoint = .now
    }

    mutating func stopIfAsked(_ session: TrainingSession) async throws {
        guard context.shouldStop(), let path = context.checkpointPath else { return }
        do {
            try await write(session)
        } catch let error as FileError {
            throw FileError(
                error.kind,
                "stopped, but the progress could not be saved: \(error). Free some space; --resume then continues from the last checkpoint, or starts anew."
            )
        }
        let place =
            progress.rate == nil
            ? "during the search for a learning rate, which begins again"
            : "after epoch \(progress.epoch), step \(progress.step) of the next; progress is saved in '\(path)'"
        throw TrainingError(.stopped, "stopped \(place). Add --resume to continue.")
    }

    private mutating func write(_ session: TrainingSession) async throws {
        guard let path = context.checkpointPath else { return }
        progress.seconds = ownSeconds
        let checkpoint = TrainingCheckpoint(
            identity: identity, progress: progress, state: await session.program.state, best: best)
        try checkpoint.write(to: path)
    }
}
