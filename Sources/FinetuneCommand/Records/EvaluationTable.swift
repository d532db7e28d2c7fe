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
        for (name, value) in scores { console.writeOut(name.padded(to: 11) + value) }
        printClasses(console)
        printPoints(console)
        printMistakes(console)
    }

    private func printClasses(_ console: Console) {
        let width = max(16, min(36, evaluation.classes.map(\.count).max() ?? 5))
        console.writeOut("\n\("class".padded(to: width))  precision  recall     F1     AUC  images")
        func line(_ name: String, _ precision: Double, _ recall: Double, _ f1: Double, _ area: Double?, _ images: Int) {
            console.writeOut(
                name.padded(to: width) + precision.rounded(toPlaces: 3).aligned(right: 11)
                    + recall.rounded(toPlaces: 3).aligned(right: 8) + f1.rounded(toPlaces: 3).aligned(right: 7)
                    + (area.map { $0.rounded(toPlaces: 3) } ?? "–").aligned(right: 8) + "\(images)".aligned(right: 8))
        }
        for (row, area) in zip(evaluation.perClass, evaluation.rocAUC) {
            line(row.name.printable(), row.precision, row.recall, row.f1, area, row.support)
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
                point.threshold.rounded(toPlaces: 4).padded(to: 15 + first.positive.count)
                    + point.sensitivity.rounded(toPlaces: 3).aligned(right: 12)
                    + point.specificity.rounded(toPlaces: 3).aligned(right: 13)
                    + point.precision.rounded(toPlaces: 3).aligned(right: 11) + wanted)
        }
    }

    private func printMistakes(_ console: Console) {
        let mistakes = evaluation.mistakes(5)
        guard !mistakes.isEmpty else { return }
        console.writeOut("\nsurest mistakes")
        for mistake in mistakes {
            console.writeOut(
                "  \(mistake.probability.percent) \(evaluation.classes[mistake.prediction].printable()), labelled \(evaluation.classes[mistake.label].printable()): \(images[mistake.index].printable())"
            )
        }
    }
}
