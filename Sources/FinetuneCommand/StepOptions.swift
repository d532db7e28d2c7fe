// The flags of a training that steps through the network, and how they become settings.

internal import ArgumentParser
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneTraining

/// How the rate changes after the warm-up.
enum ScheduleName: String, CaseIterable, ExpressibleByArgument {
    case constant, step, cosine, linear
}

/// How a base becomes a model, and from where on it learns.
struct StrategyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "frozen (a head on frozen features), fine-tune, lp-ft (a head to its optimum, then all), gradual (stage after stage from the end) or scratch. (default: frozen, or fine-tune with --unfreeze)"
        ))
    var strategy: Strategy?
    @Option(
        help: ArgumentHelp(
            "Where the network begins to learn: head, last, all, or a stage that `finetune inspect` lists. With a strategy: where it ends. (default: head; all with a strategy other than frozen)",
            valueName: "stage"))
    var unfreeze: String?

    /// The strategy that the flags amount to.
    var chosen: Strategy {
        if let strategy { return strategy }
        return unfreeze == nil || unfreeze == "head" ? .frozen : .fineTune
    }

    var unfreezing: Unfreezing? { unfreeze.map { Unfreezing($0) } }

    func check(_ steps: StepOptions, _ head: HeadKind, base: String?) throws {
        let strategy = chosen
        if let (flag, reason) = steps.unused(by: strategy, head).first { throw ValidationError("\(flag) \(reason)") }
        if let unfreeze, (strategy == .frozen && unfreeze != "head") || (strategy == .scratch && unfreeze != "all") {
            throw ValidationError("--unfreeze \(unfreeze) is not used by --strategy \(strategy.rawValue).")
        }
        if strategy == .scratch {
            guard steps.architecture != nil else {
                throw ValidationError("--strategy scratch needs an --architecture.")
            }
            if base != nil { throw ValidationError("--base is not used by --strategy scratch.") }
        }
    }
}

/// How what learns steps.
struct StepOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "For --strategy scratch: resnet18, 34, 50, 101, 152, or 20, 32, 44, 56, 110 for small images; then ,width=N and ,stem=7x7|3x3.",
            valueName: "name"))
    var architecture: String?
    @Option(
        help:
            "Statistics of the batch norms that learn: frozen (the stored ones) or train (each batch's own). (default: frozen; train for scratch)"
    )
    var batchNorm: NormalizationMode?
    @Option(help: "Arithmetic of what learns: fp32 or bf16. (default: bf16 where the processor computes it natively)")
    var trainPrecision: Precision?
    @Option(help: "Passes over the training images. (default: 10; 50 for a head on frozen features, 30 for scratch)")
    var epochs: Int?
    @Option(help: "Images a step. (default: 32; 128 for scratch)") var batch: Int?
    @Option(
        help: ArgumentHelp(
            "Initial learning rate, or auto: a range test. (default: auto)",
            valueName: "x|auto"))
    var lr: String?
    @Option(
        help:
            "sgd, momentum or nesterov (both with 0.9), rmsprop, adam or adamw (whose L2 is decoupled). (default: momentum)"
    )
    var optimizer: String?
    @Option(
        help:
            "How the rate changes: constant, step, cosine or linear. (default: cosine; constant with rmsprop, adam and adamw)"
    )
    var schedule: ScheduleName?
    @Option(
        help: ArgumentHelp(
            "Of the epochs, how many the rate rises in from 0, linearly. (default: 0; 1 for scratch)",
            valueName: "epochs"))
    var warmup: Double?
    @Option(
        help: ArgumentHelp(
            "For --schedule step: epochs between two steps. (default: a third of all)", valueName: "epochs"))
    var stepEvery: Double?
    @Option(help: "For --schedule step: the factor of each. (default: 0.1)") var stepFactor: Double?
    @Option(help: "The rate of a stage as a multiple of the next one's. (default: 1)") var stageLrDecay: Double?
    @Option(help: "Strength of L1 on filters and dense weights. (default: 0)") var l1: Double?
    @Option(help: "Strength of L2 on filters and dense weights. (default: 0; 0.0005 for scratch)") var l2: Double?
    @Option(name: .customLong("l2-sp"), help: "Strength of L2 towards the base's weights. (default: 0)")
    var l2sp: Double?
    @Option(
        help: "The share of the head's inputs, of an mlp its hidden units, that is dropped in training. (default: 0)")
    var dropout: Double?
    @Option(help: "The share of each target that is spread over all classes. (default: 0)")
    var labelSmoothing: Double?
    @Option(
        help: ArgumentHelp(
            "Mix pairs of images, their shares from Beta(A, A). Common is 0.2. (default: 0)", valueName: "A"))
    var mixup: Double?
    @Option(
        help: ArgumentHelp(
            "Paste a box of one image into another, its share from Beta(A, A). Common is 1. (default: 0)",
            valueName: "A"))
    var cutmix: Double?
    @Option(
        help:
            "none; light: parts of the picture, mirrored or not; standard: smaller parts, turned, colors varied, a rectangle erased; or trivial: light with one operation of TrivialAugment. (default: light; none for frozen features)"
    )
    var augment: Augmentation?
    @Option(
        help: ArgumentHelp(
            "Begin with images of this size, which grow to the network's input by 8 pixels at a time. Where everything learns. (default: the network's input)",
            valueName: "pixels"))
    var startSize: Int?
    @Option(help: "Views of each image that are kept where something is frozen. (default: 4, or 1 without --augment)")
    var views: Int?
    @Option(
        help: ArgumentHelp(
            "End after so many epochs without a better one; 0 never. The best one is the model. (default: 5; 0 for frozen features and scratch)",
            valueName: "epochs"))
    var earlyStop: Int?
    @Option(help: "What decides the best epoch: accuracy, log-loss or macro-f1. (default: accuracy)")
    var monitor: Monitor?
    @Option(
        help: ArgumentHelp(
            "Keep a moving average of the weights, of which each step keeps this fraction, and score that.",
            valueName: "0…1"))
    var ema: Double?
    @Option(help: ArgumentHelp("End in time: 90s, 10m or 2h.", valueName: "time")) var timeBudget: String?
    @Option(help: ArgumentHelp("Seconds between two checkpoints. (default: 30)", valueName: "seconds"))
    var checkpointEvery: Double?

    func validate() throws {
        if schedule != .step, let flag = stepEvery != nil ? "--step-every" : stepFactor != nil ? "--step-factor" : nil {
            throw ValidationError("\(flag) is used by --schedule step alone.")
        }
        if let lr, lr != "auto", Double(lr) == nil { throw ValidationError("--lr is a positive number, or auto.") }
        if let optimizer, Optimizer(name: optimizer) == nil {
            let names = Optimizer.named.map(\.name).joined(separator: ", ")
            throw ValidationError("--optimizer is one of \(names).")
        }
        if timeBudget != nil, budget == nil { throw ValidationError("--time-budget is a time such as 90s, 10m or 2h.") }
    }

    /// The flags that a strategy with a head does not use, each with what to do.
    func unused(by strategy: Strategy, _ head: HeadKind) -> [(flag: String, reason: String)] {
        var unused: [(String, String)] = []
        if strategy == .frozen {
            unused += trunkFlags.map {
                ($0, "is not used by --strategy frozen. Add --unfreeze or another --strategy.")
            }
            if case .convex(let convex) = head {
                unused += stepFlags.map {
                    (
                        $0,
                        "is not used by --head \(convex.rawValue), which is solved, not stepped. Try --head linear, or --unfreeze."
                    )
                }
            }
        }
        if architecture != nil, strategy != .scratch {
            unused.append(("--architecture", "is used by --strategy scratch alone."))
        }
        return unused
    }

    /// Those given that are about the trunk.
    private var trunkFlags: [String] {
        let flags: [(String, Bool)] = [
            ("--batch-norm", batchNorm != nil), ("--train-precision", trainPrecision != nil),
            ("--stage-lr-decay", stageLrDecay != nil), ("--l2-sp", l2sp != nil), ("--start-size", startSize != nil),
        ]
        return flags.filter(\.1).map(\.0)
    }

    /// Those given that are about steps.
    private var stepFlags: [String] {
        let flags: [(String, Bool)] = [
            ("--epochs", epochs != nil), ("--batch", batch != nil), ("--lr", lr != nil), ("--l1", l1 != nil),
            ("--l2", l2 != nil), ("--optimizer", optimizer != nil), ("--schedule", schedule != nil),
            ("--warmup", warmup != nil), ("--step-every", stepEvery != nil), ("--step-factor", stepFactor != nil),
            ("--dropout", dropout != nil), ("--label-smoothing", labelSmoothing != nil), ("--mixup", mixup != nil),
            ("--cutmix", cutmix != nil), ("--early-stop", earlyStop != nil), ("--monitor", monitor != nil),
            ("--ema", ema != nil), ("--time-budget", timeBudget != nil), ("--checkpoint-every", checkpointEvery != nil),
        ]
        return flags.filter(\.1).map(\.0)
    }

    private func decay(_ steps: StepSettings) -> Schedule.Decay {
        switch schedule {
        case nil: steps.chosenSchedule.decay
        case .constant: .constant
        case .step: .step(every: stepEvery ?? Double(steps.epochs) / 3, factor: stepFactor ?? 0.1)
        case .cosine: .cosine
        case .linear: .linear
        }
    }

    private var budget: Double? {
        guard let timeBudget, let unit = timeBudget.last else { return nil }
        let factors: [Character: Double] = ["s": 1, "m": 60, "h": 3600]
        let number = factors[unit] == nil ? timeBudget : String(timeBudget.dropLast())
        guard let value = Double(number), value > 0, value.isFinite else { return nil }
        return value * (factors[unit] ?? 1)
    }

    /// The flags as a strategy takes them, each at its default where it is not given.
    func settings(_ strategy: Strategy, unfreezing: Unfreezing?) -> StepSettings {
        var steps = StepSettings(strategy)
        steps.unfreezing = unfreezing ?? steps.unfreezing
        steps.normalization = batchNorm ?? steps.normalization
        steps.precision = trainPrecision ?? steps.precision
        steps.epochs = epochs ?? steps.epochs
        steps.batch = batch ?? steps.batch
        steps.learningRate = lr.flatMap { Double($0) }
        steps.optimizer = optimizer.flatMap { Optimizer(name: $0) } ?? steps.optimizer
        steps.schedule = Schedule(decay(steps), warmUp: warmup ?? steps.chosenSchedule.warmUp)
        steps.stageRateDecay = stageLrDecay ?? steps.stageRateDecay
        steps.l1 = l1 ?? steps.l1
        steps.l2 = l2 ?? steps.l2
        steps.pull = l2sp ?? steps.pull
        steps.dropout = dropout ?? steps.dropout
        steps.labelSmoothing = labelSmoothing ?? steps.labelSmoothing
        steps.mixing = Mixing(mixup: mixup ?? 0, cutmix: cutmix ?? 0)
        steps.augmentation = augment ?? steps.augmentation
        steps.startSize = startSize
        steps.views = views
        steps.patience = earlyStop ?? steps.patience
        steps.monitor = monitor ?? steps.monitor
        steps.averageKept = ema
        steps.timeBudget = budget
        steps.checkpointInterval = checkpointEvery ?? steps.checkpointInterval
        return steps
    }
}
