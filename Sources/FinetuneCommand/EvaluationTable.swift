// An evaluation for people: what matters, in lines that fit 80 columns.

internal import FinetuneEvaluation
internal import FinetuneFiles

struct EvaluationTable {
    private let evaluation: Evaluation
    private let images: [String]
    private let points: [OperatingPoint]

    init(_ evaluation: Evaluation, _ images: [String], _ points: [OperatingPoint]) {
        self.evaluation = evaluation
        self.images = images
        self.points = points
    }

    func print(_ console: Console) {
        let interval = evaluation.accuracyInterval
        var scores = [
            ("images", "\(evaluation.count)"),
            (
                "accuracy",
                "\(evaluation.accuracy.percent)  (95 % interval \(interval.lowerBound.percent) to \(interval.upperBound.percent))"
            ),
        ]
        if evaluation.classes.count > 5 { scores.append(("top-5", evaluation.topAccuracy(5).percent)) }
        scores += [
            ("macro-F1", evaluation.macroF1.rounded(toPlaces: 4)),
            ("log-loss", evaluation.logLoss.rounded(toPlaces: 4)), ("Brier", evaluation.brier.rounded(toPlaces: 4)),
            ("ECE", evaluation.calibrationError.rounded(toPlaces: 4)),
        ]
        if let area = evaluation.macroROCAUC { scores.append(("ROC-AUC", area.rounded(toPlaces: 4))) }
        for (name, value) in scores { console.writeOut(Self.left(name, 11) + value) }
        printClasses(console)
        printPoints(console)
        printMistakes(console)
    }

    private func printClasses(_ console: Console) {
        let width = max(16, min(36, evaluation.classes.map(\.count).max() ?? 5))
        console.writeOut("\n\(Self.left("class", width))  precision  recall     F1     AUC  images")
        func line(_ name: String, _ precision: Double, _ recall: Double, _ f1: Double, _ area: Double?, _ images: Int) {
            console.writeOut(
                Self.left(name, width) + Self.right(precision.rounded(toPlaces: 3), 11)
                    + Self.right(recall.rounded(toPlaces: 3), 8) + Self.right(f1.rounded(toPlaces: 3), 7)
                    + Self.right(area.map { $0.rounded(toPlaces: 3) } ?? "–", 8) + Self.right("\(images)", 8))
        }
        for (row, area) in zip(evaluation.perClass, evaluation.rocAUC) {
            line(row.name, row.precision, row.recall, row.f1, area, row.support)
        }
        let (macro, weighted) = (evaluation.macro, evaluation.weighted)
        line("mean of classes", macro.precision, macro.recall, macro.f1, evaluation.macroROCAUC, evaluation.count)
        line("mean of images", weighted.precision, weighted.recall, weighted.f1, nil, evaluation.count)
    }

    private func printPoints(_ console: Console) {
        guard let first = points.first else { return }
        console.writeOut("\nthreshold on \(first.positive)   sensitivity  specificity  precision")
        for point in points {
            let wanted =
                switch point.wish {
                case .half: ""
                case .sensitivity(let share): "  (for sensitivity \(share))"
                case .specificity(let share): "  (for specificity \(share))"
                }
            console.writeOut(
                Self.left(point.threshold.rounded(toPlaces: 4), 15 + first.positive.count)
                    + Self.right(point.sensitivity.rounded(toPlaces: 3), 12)
                    + Self.right(point.specificity.rounded(toPlaces: 3), 13)
                    + Self.right(point.precision.rounded(toPlaces: 3), 11) + wanted)
        }
    }

    private func printMistakes(_ console: Console) {
        let mistakes = evaluation.mistakes(5)
        guard !mistakes.isEmpty else { return }
        console.writeOut("\nsurest mistakes")
        for mistake in mistakes {
            console.writeOut(
                "  \(mistake.probability.percent) \(evaluation.classes[mistake.prediction]), is \(evaluation.classes[mistake.label]): \(images[mistake.index])"
            )
        }
    }

    private static func left(_ text: String, _ width: Int) -> String {
        text.count > width
            ? text.prefix(width - 1) + "…" : text + String(repeating: " ", count: width - text.count)
    }

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
