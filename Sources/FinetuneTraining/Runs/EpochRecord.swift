// What is known of one epoch when it is over: a row of metrics.csv, an event, and part of a checkpoint.

internal import FinetuneEvaluation
package import FinetuneFiles

/// Sums over the steps of an epoch.
struct EpochSums: Sendable {
    var loss = 0.0
    var hits = 0
    var images = 0
    var seconds = 0.0
}

/// The scores of a network on the images that validate.
public struct ValidationScores: Sendable, Equatable {
    /// 0…1.
    public var accuracy: Double
    /// In nats.
    public var logLoss: Double
    /// 0…1.
    public var macroF1: Double
    /// The log-loss with the temperature that the model would be saved with.
    package var savedLogLoss: Double

    init(_ evaluation: Evaluation) {
        (accuracy, logLoss, macroF1) = (evaluation.accuracy, evaluation.logLoss, evaluation.macroF1)
        savedLogLoss = evaluation.savedLogLoss
    }

    package var json: JSON {
        [
            "val_accuracy": .number(accuracy), "val_log_loss": .number(logLoss), "val_macro_f1": .number(macroF1),
            "saved_log_loss": .number(savedLogLoss),
        ]
    }

    init?(json: JSON) {
        guard let accuracy = json["val_accuracy"]?.doubleValue, let logLoss = json["val_log_loss"]?.doubleValue,
            let macroF1 = json["val_macro_f1"]?.doubleValue, let saved = json["saved_log_loss"]?.doubleValue
        else { return nil }
        (self.accuracy, self.logLoss, self.macroF1, savedLogLoss) = (accuracy, logLoss, macroF1, saved)
    }
}

extension ValidationScores {
    /// A score that is the better the larger it is.
    func score(_ monitor: Monitor) -> Double {
        switch monitor {
        case .accuracy: accuracy
        case .logLoss: -savedLogLoss
        case .macroF1: macroF1
        }
    }
}

/// What is known of one epoch when it is over.
public struct EpochRecord: Sendable, Equatable {
    /// From 1.
    public var epoch: Int
    /// The first stage that learned.
    public var learnsFrom: String
    /// At the epoch's end.
    public var rate: Double
    /// The mean loss of the images that were learned from, penalties left out.
    public var trainLoss: Double
    /// The share of those that was right when they were learned from, 0…1.
    public var trainAccuracy: Double
    /// Of the images that validate, 0…1; nil where there are none.
    public var accuracy: Double?
    /// Of the images that validate, in nats; nil where there are none.
    public var logLoss: Double?
    /// Of the images that validate, in nats, with the temperature that the model would be saved with; nil where there are
    /// none.
    public var calibratedLogLoss: Double?
    /// Of the images that validate, 0…1; nil where there are none.
    public var macroF1: Double?
    /// Of the steps, by the clock.
    public var trainSeconds: Double
    /// Of the scoring, by the clock.
    public var validationSeconds: Double
    package var health: Health

    /// Of both.
    public var seconds: Double { trainSeconds + validationSeconds }
}

extension EpochRecord {
    package static let columns = [
        "epoch", "learns_from", "rate", "train_loss", "train_accuracy", "val_accuracy", "val_log_loss",
        "val_calibrated_log_loss", "val_macro_f1", "train_seconds", "val_seconds",
    ]

    package var csvLine: String {
        func text(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
        return CSV.line([
            "\(epoch)", learnsFrom, "\(rate)", "\(trainLoss)", "\(trainAccuracy)", text(accuracy), text(logLoss),
            text(calibratedLogLoss), text(macroF1), "\(trainSeconds)", "\(validationSeconds)",
        ])
    }

    package var json: JSON {
        func number(_ value: Double?) -> JSON { value.map { .number($0) } ?? .null }
        return [
            "epoch": .integer(epoch), "learns_from": .string(learnsFrom), "rate": .number(rate),
            "train_loss": .number(trainLoss), "train_accuracy": .number(trainAccuracy),
            "val_accuracy": number(accuracy),
            "val_log_loss": number(logLoss), "val_calibrated_log_loss": number(calibratedLogLoss),
            "val_macro_f1": number(macroF1), "train_seconds": .number(trainSeconds),
            "val_seconds": .number(validationSeconds), "health": health.json,
        ]
    }

    init?(json: JSON) {
        guard let epoch = json["epoch"]?.intValue, let learnsFrom = json["learns_from"]?.stringValue,
            let rate = json["rate"]?.doubleValue, let trainLoss = json["train_loss"]?.doubleValue,
            let trainAccuracy = json["train_accuracy"]?.doubleValue
        else { return nil }
        self.init(
            epoch: epoch, learnsFrom: learnsFrom, rate: rate, trainLoss: trainLoss, trainAccuracy: trainAccuracy,
            accuracy: json["val_accuracy"]?.doubleValue, logLoss: json["val_log_loss"]?.doubleValue,
            calibratedLogLoss: json["val_calibrated_log_loss"]?.doubleValue, macroF1: json["val_macro_f1"]?.doubleValue,
            trainSeconds: json["train_seconds"]?.doubleValue ?? 0,
            validationSeconds: json["val_seconds"]?.doubleValue ?? 0, health: Health(json: json["health"] ?? .null))
    }

}

extension [EpochRecord] {
    /// What is wrong in the last epoch and was not in any before: a kind of finding is said once. Short steps are those of
    /// the first epoch; later ones are short because the schedule ends.
    package var newFindings: [Health.Finding] {
        let known = Set(dropLast().flatMap { $0.health.findings.map(\.kind) })
        return last?.health.findings.filter { !known.contains($0.kind) && ($0.kind != .smallSteps || count == 1) } ?? []
    }
}
