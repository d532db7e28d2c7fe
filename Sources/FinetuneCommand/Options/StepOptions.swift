// The flags of a training in epochs, and how they become settings.

internal import ArgumentParser
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneTraining

/// How the learning rate changes after the warm-up.
enum ScheduleName: String, CaseIterable, ExpressibleByArgument {
    case constant, step, cosine, linear
}

/// How a base becomes a model, and which stages are trained.
struct StrategyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "frozen (a head on frozen features), fine-tune, lp-ft (first the head, then all stages), gradual (first the head, then stage after stage from the end) or scratch (random weights). (default: frozen, or lp-ft with --unfreeze)"
        ))
    var strategy: Strategy?
    @Option(
        help: ArgumentHelp(
            "The first stage that is trained; those before it stay frozen: head, last, all, or a stage that `finetune inspect` lists. (default: head; all with a strategy other than frozen)",
            valueName: "stage"))
    var unfreeze: String?

    /// The strategy that the flags amount to.
    var chosen: Strategy { strategy ?? (unfreeze == nil || unfreeze == "head" ? .frozen : .headFirst) }

    var unfreezing: Unfreezing? { unfreeze.map { Unfreezing($0) } }

    func check(_ steps: StepOptions, _ head: HeadOptions, _ compute: ComputeOptions, base: String?) throws {
        let strategy = chosen
        let unused = steps.unused(by: strategy, head, unfreezing) + compute.unused(by: strategy, unfreezing)
        if let (flag, reason) = unused.first { throw ValidationError("\(flag) \(reason)") }
        if let unfreeze, (strategy == .frozen && unfreeze != "head") || (strategy == .scratch && unfreeze != "all") {
            let next =
                strategy == .frozen
                ? "To train more than the head: leave --strategy out."
                : "It trains the whole network: leave --unfreeze out."
            throw ValidationError(
                "--unfreeze \(unfreeze) has no effect with --strategy \(strategy.rawValue). \(next)")
        }
        if strategy == .scratch {
            guard steps.architecture != nil else {
                throw ValidationError(
                    "--strategy scratch needs an --architecture, for example --architecture resnet20.")
            }
            if base != nil {
                throw ValidationError(
                    "--base has no effect with --strategy scratch, which begins with random weights. Leave one of them out."
                )
            }
        }
    }
}

extension Strategy {
    /// Whether no layer is frozen while the network learns. A gradual training begins with frozen ones.
    ///
    /// - Parameter unfreezing: As `--unfreeze` has it; nil is all, if not the head alone.
    fileprivate func trainsAll(_ unfreezing: Unfreezing?) -> Bool {
        self != .frozen && self != .gradual && (unfreezing ?? .all) == .all
    }
}

extension ComputeOptions {
    /// The flags that have no effect with a strategy, each with what to do.
    func unused(by strategy: Strategy, _ unfreezing: Unfreezing?) -> [(flag: String, reason: String)] {
        guard precision != nil, strategy.trainsAll(unfreezing), !strategy.beginsWithFittedHead else {
            return []
        }
        return [
            (
                "--precision",
                "has no effect with --strategy \(strategy.rawValue), which freezes no layer. For the layers that learn: --train-precision."
            )
        ]
    }
}

/// Optimizer, schedule and regularization.
struct StepOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "For --strategy scratch: resnet18, 34, 50, 101, 152, or 20, 32, 44, 56, 110 for small images; vgg11, 13, 16, 19, with _bn or without; then ,width=N and of a ResNet ,stem=7x7|3x3.",
            valueName: "name"))
    var architecture: String?
    @Option(
        help:
            "Statistics of batch norms in trainable stages: frozen (the stored ones) or train (each batch's own). (default: frozen; train for scratch)"
    )
    var batchNorm: NormalizationMode?
    @Option(
        help: "Arithmetic of the trainable layers: fp32 or bf16. (default: bf16 if the processor computes it natively)")
    var trainPrecision: Precision?
    @Option(help: "Passes over the training images. (default: 10; 50 for a head on frozen features, 30 for scratch)")
    var epochs: Int?
    @Option(name: [.long, .customLong("batch-size")], help: "Images in each step. (default: 32; 128 for scratch)")
    var batch: Int?
    @Option(
        name: [.long, .customLong("learning-rate")],
        help: ArgumentHelp(
            "Initial learning rate, or auto: found by trial steps. (default: auto)",
            valueName: "x|auto"))
    var lr: String?
    @Option(
        help:
            "sgd, momentum or nesterov (both with 0.9), rmsprop, adam, adamw (whose L2 is decoupled) or lamb (Adam with each tensor's step scaled to the tensor's length). (default: momentum; lamb with lp-ft and gradual, adamw for an mlp head on frozen features)"
    )
    var optimizer: String?
    @Option(
        help:
            "How the learning rate changes: constant, step, cosine or linear. (default: cosine; constant with rmsprop, adam and adamw)"
    )
    var schedule: ScheduleName?
    @Option(
        help: ArgumentHelp(
            "Warm-up epochs: the learning rate rises linearly from 0. (default: 0; 1 for scratch)",
            valueName: "epochs"))
    var warmup: Double?
    @Option(
        help: ArgumentHelp(
            "For --schedule step: epochs between two reductions. (default: a third of all)", valueName: "epochs"))
    var stepEvery: Double?
    @Option(help: "For --schedule step: the factor of each reduction. (default: 0.1)") var stepFactor: Double?
    @Option(
        name: [.long, .customLong("layer-decay")],
        help:
            "Layer-wise decay: each stage's learning rate is this factor times that of the next stage. Common is 0.3 to 0.9. (default: 1)"
    )
    var stageLrDecay: Double?
    @Option(
        help: ArgumentHelp(
            "Clip the gradient of all trained weights together to this length (global norm). Common is 1. (default: not clipped)",
            valueName: "norm"))
    var clip: Double?
    @Option(help: "Strength of L1 on filters and dense weights. (default: 0)") var l1: Double?
    @Option(
        name: [.long, .customLong("weight-decay")],
        help: "Strength of L2 on filters and dense weights. (default: 0; 0.0005 for scratch)")
    var l2: Double?
    @Option(name: .customLong("l2-sp"), help: "Strength of L2 towards the base's weights. (default: 0)")
    var l2sp: Double?
    @Option(
        help:
            "The fraction of the head's inputs, and of an mlp's hidden units, that is dropped in training. (default: 0)"
    )
    var dropout: Double?
    @Option(help: "The fraction of each target that is spread over all classes. (default: 0)")
    var labelSmoothing: Double?
    @Option(
        help: ArgumentHelp(
            "Mix pairs of images with weights from Beta(A, A). Common is 0.2. (default: 0)", valueName: "A"))
    var mixup: Double?
    @Option(
        help: ArgumentHelp(
            "Paste a box of one image into another, its area from Beta(A, A). Common is 1. (default: 0)",
            valueName: "A"))
    var cutmix: Double?
    @Option(
        help:
            "none; light: parts of the picture, mirrored or not; standard: smaller parts, turned, colors varied, a rectangle erased; or trivial: light with one operation of TrivialAugment. (default: light; none for frozen features)"
    )
    var augment: Augmentation?
    @Option(
        help: ArgumentHelp(
            "Begin with images of this size, which grow to the network's input size by 8 pixels at a time. Only with --unfreeze all. (default: the network's input size)",
            valueName: "pixels"))
    var startSize: Int?
    @Option(
        help:
            "Augmented views of each training image whose features are cached, if part of the network is frozen. (default: 4, or 1 without --augment)"
    )
    var views: Int?
    @Option(
        name: [.long, .customLong("patience")],
        help: ArgumentHelp(
            "Early stopping: end after this many epochs without a better one; 0 for never. The model is that of the best epoch, or of the start if no epoch is better. (default: 0; 5 with fine-tune)",
            valueName: "epochs"))
    var earlyStop: Int?
    @Option(
        help:
            "The score that decides which epoch is best: log-loss (of calibrated probabilities), accuracy or macro-f1. (default: log-loss)"
    )
    var monitor: Monitor?
    @Option(
        help: ArgumentHelp(
            "Score and save a moving average of the weights, of which each step keeps this fraction. Common is 0.999.",
            valueName: "0…1"))
    var ema: Double?
    @Option(help: ArgumentHelp("End the training within this time: 90s, 10m or 2h.", valueName: "time")) var timeBudget:
        String?
    @Option(help: ArgumentHelp("Seconds between two checkpoints. (default: 30)", valueName: "seconds"))
    var checkpointEvery: Double?

    func validate() throws {
        if schedule != .step, let flag = stepEvery != nil ? "--step-every" : stepFactor != nil ? "--step-factor" : nil {
            throw ValidationError(
                "\(flag) has an effect only with --schedule step. Add --schedule step, or leave it out.")
        }
    }

    /// The flags that have no effect with a strategy and a head, each with what to do.
    func unused(by strategy: Strategy, _ head: HeadOptions, _ unfreezing: Unfreezing?) -> [(
        flag: String, reason: String
    )] {
        var unused: [(String, String)] = []
        if strategy == .frozen {
            unused += trunkFlags.map {
                (
                    $0,
                    "has no effect with --strategy frozen, which trains the head alone. To train more: --unfreeze last, or another --strategy."
                )
            }
            if case .convex(let convex) = head.kind(strategy) {
                unused += stepFlags.map { ($0, head.reason(convex)) }
            }
        }
        if views != nil, strategy.trainsAll(unfreezing) {
            unused.append(
                (
                    "--views",
                    "has an effect only where layers are frozen: here every epoch sees other views. Leave it out."
                ))
        }
        if architecture != nil, strategy != .scratch {
            unused.append(
                ("--architecture", "has an effect only with --strategy scratch. To adapt a pretrained network: --base.")
            )
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
            ("--clip", clip != nil), ("--ema", ema != nil), ("--time-budget", timeBudget != nil),
            ("--checkpoint-every", checkpointEvery != nil),
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

    /// The seconds of a time with its unit, such as `90s`, `10m` or `2h`; nil for anything else.
    static func seconds(_ text: String) -> Double? {
        let factors: [Character: Double] = ["s": 1, "m": 60, "h": 3600]
        guard let factor = text.last.flatMap({ factors[$0] }), let value = Double(text.dropLast()), value > 0,
            value * factor <= 3.2e8
        else { return nil }
        return value * factor
    }

    /// The flags as a strategy takes them, each at its default where it is not given.
    func settings(_ strategy: Strategy, _ head: HeadKind, unfreezing: Unfreezing?) -> StepSettings {
        var steps = StepSettings(strategy, head: head)
        steps.unfreezing = unfreezing ?? steps.unfreezing
        steps.normalization = batchNorm ?? steps.normalization
        steps.precision = trainPrecision ?? steps.precision
        steps.epochs = epochs ?? steps.epochs
        steps.batch = batch ?? steps.batch
        steps.learningRate = lr.flatMap { Double($0) }
        steps.optimizer = optimizer.flatMap { Optimizer(name: $0) } ?? steps.optimizer
        steps.schedule = Schedule(decay(steps), warmUp: warmup ?? steps.chosenSchedule.warmUp)
        steps.stageRateDecay = stageLrDecay ?? steps.stageRateDecay
        steps.clip = clip ?? steps.clip
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
        steps.timeBudget = timeBudget.flatMap(Self.seconds)
        steps.checkpointInterval = checkpointEvery ?? steps.checkpointInterval
        return steps
    }
}
