// The scores under the names of the command's contract, for every file that holds them.

package import FinetuneFiles

extension Evaluation {
    /// The scores under the names of the command's contract.
    package var json: JSON {
        [
            "accuracy": .number(accuracy),
            "accuracy_ci": JSON([accuracyInterval.lowerBound, accuracyInterval.upperBound]),
            "top5": .number(topAccuracy(min(5, classes.count))), "macro_f1": .number(macroF1),
            "log_loss": .number(logLoss), "ece": .number(calibrationError), "brier": .number(brier),
            "roc_auc": .score(macroROCAUC), "macro": macro.json, "weighted": weighted.json,
        ]
    }

    package var perClassJSON: JSON {
        .array(
            zip(perClass, rocAUC).map { row, area in
                [
                    "class": .string(row.name), "precision": .number(row.precision), "recall": .number(row.recall),
                    "f1": .number(row.f1), "support": .integer(row.support), "roc_auc": .score(area),
                ]
            })
    }

    /// Everything that is known of the scores, as `evaluation.json` has it.
    ///
    /// - Parameters:
    ///   - images: Their names.
    ///   - points: Thresholds for two classes.
    package func report(_ images: [String], _ points: [OperatingPoint]) -> JSON {
        [
            "images": .integer(count), "metrics": json, "per_class": perClassJSON,
            "confusion": .array(confusion.map { .array($0.map { .integer($0) }) }), "reliability": reliabilityJSON,
            "mistakes": .array(
                mistakes(20).map {
                    [
                        "path": .string(images[$0.index]), "label": .string(classes[$0.label]),
                        "prediction": .string(classes[$0.prediction]), "probability": .number($0.probability),
                    ]
                }), "operating_points": .array(points.map(\.json)),
        ]
    }

    /// The columns that `predictionFields` fills.
    package static func predictionColumns(_ classes: [String]) -> [String] {
        ["label", "prediction", "probability"] + classes.map { "p(\($0))" }
    }

    /// One image's row of `predictions.csv`, after its name.
    package func predictionFields(_ index: Int) -> [String] {
        let row = probabilities[index]
        let best = predictions[index]
        return [classes[labels[index]], classes[best], "\(row[best])"] + row.map { "\($0)" }
    }

    /// A score by its name in `json`; nil for a name that there is not.
    package func score(_ name: String) -> Double? {
        Self.scoreNames.contains(name) ? json[name]?.doubleValue ?? .nan : nil
    }

    /// The names that `score` knows.
    package static let scoreNames = [
        "accuracy", "top5", "macro_f1", "log_loss", "ece", "brier", "roc_auc",
    ]

    /// The confusion matrix: a header of predicted classes, a row for each true class.
    package var confusionCSV: String {
        CSV.line(["true \\ predicted"] + classes)
            + zip(classes, confusion).map { CSV.line([$0] + $1.map { String($0) }) }.joined()
    }
}

extension Average {
    var json: JSON { ["precision": .number(precision), "recall": .number(recall), "f1": .number(f1)] }
}

extension JSON {
    /// A score, null where there is none.
    static func score(_ value: Double?) -> JSON { value.flatMap { $0.isFinite ? .number($0) : nil } ?? .null }
}
