// A training that was stopped, whole: what it needs to go on to the same bits as if it had not been.

internal import FinetuneCheckpoints
internal import FinetuneEngine
internal import FinetuneFiles

/// Where a training is.
struct TrainingProgress: Sendable {
    /// Epochs that are complete.
    var epoch = 0
    /// Steps of the next one that are done.
    var step = 0
    /// Sums over those steps.
    var sums = EpochSums()
    /// The initial learning rate; nil before it was found.
    var rate: Double?
    /// How often the training diverged and began anew with a smaller rate.
    var restarts = 0
    /// The scores before the first step; nil if they are not known yet, or if nothing validates.
    var start: ValidationScores?
    /// The loss of the first batch, before any step; nil if it is not known yet.
    var firstLoss: Double?
    /// The best epoch so far and its score, 0 for the start; nil if nothing was scored yet.
    var bestEpoch: Int?
    var bestScore = 0.0
    /// Seconds of training, before this start of the program, too.
    var seconds = 0.0
    /// One row an epoch.
    var epochs: [EpochRecord] = []
    var isFinished = false
}

/// What a training keeps on disk while it runs.
struct TrainingCheckpoint: Sendable {
    private static let marker = (name: TensorFile.checkpointMarker, value: "2")

    /// What the training was told, on what, and by which program: all that must be the same.
    var identity: RunIdentity
    var progress: TrainingProgress
    var state: TrainingProgram.State
    /// What learned, as it was after the best epoch; nil where there is none or it is the same as `state`.
    var best: Weights?

    /// - Throws: `CheckpointError` or `FileError`, and then the last one is still there.
    func write(to path: String) throws {
        var groups = ["weights": state.weights]
        for (number, tensors) in state.memories.enumerated() { groups[Self.memory(number)] = tensors }
        groups["average"] = state.average
        groups["best"] = best
        let steps = state.steps.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .integer($0.value)) }
        let document: JSON = ["identity": identity.json, "progress": progress.json, "steps": .object(steps)]
        try TensorFile(marker: Self.marker, documentName: "training", document: document, groups: groups)
            .write(to: path)
    }

    init(identity: RunIdentity, progress: TrainingProgress, state: TrainingProgram.State, best: Weights?) {
        (self.identity, self.progress, self.state, self.best) = (identity, progress, state, best)
    }

    /// - Throws: `CheckpointError` for a file that is damaged, `TrainingError` for one of another training.
    init(_ path: String, identity: RunIdentity, helper: String) throws {
        let file: TensorFile
        do {
            file = try TensorFile(path, marker: Self.marker, documentName: "training", helper: helper)
        } catch let error as CheckpointError where error.kind == .malformed {
            throw TrainingError(
                .unusableData,
                "cannot continue the run: \(error) Choose another --out, or replace the run by --force.")
        }
        try identity.check(file.document["identity"], in: path)
        guard let progress = file.document["progress"].flatMap(TrainingProgress.init),
            let weights = file.groups["weights"]
        else {
            throw TrainingError(.unusableData, "cannot resume from '\(path)': it is damaged. Start anew with --force.")
        }
        self.identity = identity
        self.progress = progress
        state = TrainingProgram.State(
            weights: weights,
            memories: (0..<Self.mostMemories).compactMap { file.groups[Self.memory($0)] },
            steps: Dictionary((file.document["steps"]?.members ?? []).map { ($0.key, $0.value.intValue ?? 0) }) { $1 },
            average: file.groups["average"])
        best = file.groups["best"]
    }

    /// The name of what the optimizer remembers.
    private static func memory(_ number: Int) -> String { "memory\(number)" }
    private static let mostMemories = 2
}

extension TrainingProgress {
    var json: JSON {
        [
            "epoch": .integer(epoch), "step": .integer(step), "loss_sum": .number(sums.loss),
            "hits": .integer(sums.hits), "images": .integer(sums.images), "sum_seconds": .number(sums.seconds),
            "start": start?.json ?? .null, "rate": rate.map { .number($0) } ?? .null, "restarts": .integer(restarts),
            "first_loss": firstLoss.map { .number($0) } ?? .null,
            "best_epoch": bestEpoch.map { .integer($0) } ?? .null,
            "best_score": .number(bestScore), "seconds": .number(seconds), "finished": .bool(isFinished),
            "epochs": .array(epochs.map(\.json)),
        ]
    }

    init?(json: JSON) {
        guard let epoch = json["epoch"]?.intValue, let step = json["step"]?.intValue,
            let loss = json["loss_sum"]?.doubleValue, let hits = json["hits"]?.intValue,
            let images = json["images"]?.intValue, let rows = json["epochs"]?.arrayValue
        else { return nil }
        self.epoch = epoch
        self.step = step
        sums = EpochSums(loss: loss, hits: hits, images: images, seconds: json["sum_seconds"]?.doubleValue ?? 0)
        rate = json["rate"]?.doubleValue
        restarts = json["restarts"]?.intValue ?? 0
        firstLoss = json["first_loss"]?.doubleValue
        start = json["start"].flatMap(ValidationScores.init)
        bestEpoch = json["best_epoch"]?.intValue
        bestScore = json["best_score"]?.doubleValue ?? 0
        seconds = json["seconds"]?.doubleValue ?? 0
        isFinished = json["finished"]?.boolValue ?? false
        epochs = rows.compactMap(EpochRecord.init)
    }
}
