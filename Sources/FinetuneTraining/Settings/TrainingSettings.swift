// What a training is told, all of it.

public import FinetuneDatasets
public import FinetuneEngine
package import FinetuneFiles
public import FinetuneModels
package import FinetunePipeline

/// How a base becomes a model.
public enum Strategy: String, Sendable, CaseIterable {
    /// Features once, then a head on them.
    case frozen
    /// A new head and everything from one stage on, together.
    case fineTune = "fine-tune"
    /// A head on frozen features to its optimum, then everything together from there (Kumar et al. 2022).
    case headFirst = "lp-ft"
    /// The same head, then stage after stage from the end (Howard and Ruder 2018).
    case gradual
    /// Everything, from random weights.
    case scratch

    /// Whether the steps begin with a head that was fitted to frozen features.
    package var beginsWithFittedHead: Bool { self == .headFirst || self == .gradual }
}

/// What decides which epoch was the best.
public enum Monitor: String, Sendable, CaseIterable {
    /// The largest share of right predictions.
    case accuracy
    /// The smallest mean of −ln p(label), with the temperature that the model would be saved with.
    case logLoss = "log-loss"
    /// The largest mean of the classes' F1.
    case macroF1 = "macro-f1"

    /// For people.
    package var words: String {
        switch self {
        case .accuracy: "accuracy"
        case .logLoss: "log-loss"
        case .macroF1: "macro-F1"
        }
    }
}

/// What a training is told. Begins as suits a strategy; `Trainer` refuses values that mean nothing.
public struct TrainingSettings: Sendable {
    /// What learns when.
    public let strategy: Strategy
    /// What takes the place of the base's head.
    public var head: HeadKind
    /// What is done to frozen features before the head learns.
    public var scaling = FeatureScaling.standardize
    /// What an image counts in the loss.
    public var classWeights = ClassWeights.none
    /// Of what is trained by steps.
    public var steps: StepSettings
    /// The fraction of images that validate where the data set does not say, 0…1.
    public var validation = 0.2
    /// The fraction of images that test where the data set does not say, 0…1.
    public var test = 0.0
    /// Of every random number: division, first weights, order, augmentation.
    public var seed: UInt64 = 0
    /// The arithmetic of the frozen part.
    public var precision = Precision.native
    /// Where the frozen part's outputs stay for later runs; nil keeps them for this run alone.
    package var cache: FeatureCache?

    /// - Parameter head: Nil for a logistic one on frozen features, and else a linear one.
    public init(_ strategy: Strategy = .frozen, head: HeadKind? = nil) {
        self.strategy = strategy
        self.head = head ?? (strategy == .frozen ? .logistic : .linear)
        steps = StepSettings(strategy, head: self.head)
    }

    /// Folds for choosing a head's strength.
    static let folds = 3
}

/// What a training by steps through the network is told.
public struct StepSettings: Sendable {
    /// The stage from which on the network learns.
    public var unfreezing = Unfreezing.all
    /// What batch norms of learning stages do.
    public var normalization = NormalizationMode.frozen
    /// The arithmetic of what learns.
    public var precision = Precision.native
    /// Passes over the images, at most.
    public var epochs = 10
    /// Images a step; of several processes, all of theirs together.
    public var batch = 32
    /// The initial rate; nil finds one by trial steps, in the manner of Smith (2015).
    public var learningRate: Double?
    /// How a gradient becomes a step.
    public var optimizer = Optimizer.momentum()
    /// How the rate changes; nil for what suits the strategy and the optimizer.
    public var schedule: Schedule?
    /// What the rate of a stage is to that of the next one.
    public var stageRateDecay = 1.0
    /// The longest that the gradient of all that learns may be; nil for any length.
    public var clip: Double?
    /// Strength λ of L1: λ·Σ|w| is added to the loss.
    public var l1 = 0.0
    /// Strength λ of L2: ½λ·‖w‖² is added to the loss, and decoupled from it with AdamW: `torch.optim`'s `weight_decay`.
    public var l2 = 0.0
    /// Strength α of L2-SP: ½α·‖w − w₀‖² is added to the loss, w₀ being the base's weights (Li et al. 2018).
    public var pull = 0.0
    /// The share of the head's inputs that is dropped in training, 0…1: `torch.nn.Dropout` (Srivastava et al. 2014).
    public var dropout = 0.0
    /// The share of a target that is spread over all classes, 0…1: `torch.nn.CrossEntropyLoss(label_smoothing=…)`
    /// (Szegedy et al. 2016).
    public var labelSmoothing = 0.0
    /// Pairs of images made one.
    public var mixing = Mixing()
    /// How views of an image differ.
    public var augmentation = Augmentation.light
    /// The short side in pixels of the first epoch's images, from which they grow to the network's input; nil where they
    /// have that size from the beginning.
    public var startSize: Int?
    /// Views of an image that are kept where something is frozen; nil for what suits.
    public var views: Int?
    /// Epochs without a better one before the training ends; 0 goes on to the end.
    public var patience = 5
    /// What decides which epoch was the best.
    public var monitor = Monitor.logLoss
    /// The fraction of a moving average of the weights that each step keeps, 0…1; nil keeps no average.
    public var averageKept: Double?
    /// Seconds that the training may take; nil for as many as it needs.
    public var timeBudget: Double?
    /// Seconds between two checkpoints.
    public var checkpointInterval = 30.0

    private let beginsRandom: Bool

    /// After a fitted head, steps are a fraction of each tensor's length, which suits layers of any scale. Steps on frozen
    /// features cost next to nothing and take more epochs; hidden layers on them do better with AdamW than with momentum on
    /// few images. Random weights need statistics, time and a restraint: the usual
    /// recipe of CIFAR's ResNets (He et al. 2015) in the length that small machines allow.
    ///
    /// - Parameter head: What takes the place of the base's head; nil for a linear one.
    public init(_ strategy: Strategy = .fineTune, head: HeadKind? = nil) {
        beginsRandom = strategy == .scratch
        switch strategy {
        case .frozen:
            (epochs, patience, augmentation) = (50, 0, .none)
            if case .layers(let design) = head, !design.hidden.isEmpty { optimizer = .adamW() }
        case .scratch: (normalization, epochs, batch, patience, l2) = (.train, 30, 128, 0, 5e-4)
        case .headFirst, .gradual: (optimizer, patience) = (.lamb(), 0)
        case .fineTune: break
        }
    }

    /// The rate falls like a cosine, but that of Adam and its like is kept; that of random weights rises first, for an
    /// epoch of ten or more.
    public var chosenSchedule: Schedule {
        schedule
            ?? Schedule(
                optimizer.isAdaptive && optimizer != .lamb() ? .constant : .cosine,
                warmUp: beginsRandom ? min(1, Double(epochs) / 10) : 0)
    }

    /// What must be the same for a training to go on where another stopped.
    package var json: JSON {
        [
            "unfreeze": .string(unfreezing.text), "batch-norm": .string(normalization.rawValue),
            "train-precision": .string(precision.rawValue), "epochs": .integer(epochs), "batch": .integer(batch),
            "lr": learningRate.map { .number($0) } ?? "auto", "optimizer": optimizer.json,
            "schedule": chosenSchedule.json, "stage-lr-decay": .number(stageRateDecay),
            "clip": clip.map { .number($0) } ?? .null, "l1": .number(l1),
            "l2": .number(l2),
            "l2-sp": .number(pull), "dropout": .number(dropout), "label-smoothing": .number(labelSmoothing),
            "mixup": .number(mixing.mixup), "cutmix": .number(mixing.cutmix), "augment": .string(augmentation.rawValue),
            "start-size": startSize.map { .integer($0) } ?? .null, "views": views.map { .integer($0) } ?? .null,
            "early-stop": .integer(patience),
            "monitor": .string(monitor.rawValue), "ema": averageKept.map { .number($0) } ?? .null,
            "time-budget": timeBudget.map { .number($0) } ?? .null,
        ]
    }
}
