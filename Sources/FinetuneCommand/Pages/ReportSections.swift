// The sections that several reports share: scores, classes, confusion, calibration, findings, and how to repeat it.

internal import ArgumentParser
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneReport
internal import Glibc

extension Report {
    /// A page's file, written whole.
    func write(to path: String) throws { try AtomicFile.write(try html(), to: path) }

    static func interval(_ range: ClosedRange<Double>) -> String {
        "\(percent(range.lowerBound)) to \(percent(range.upperBound))"
    }
}

extension Evaluation {
    /// The scores in large.
    var figures: [Report.Figure] {
        var figures = [
            Report.Figure(
                "Accuracy", Report.percent(accuracy),
                detail:
                    "95 % interval \(Report.interval(accuracyInterval)), \(Report.count(count)) \(count == 1 ? "image" : "images")"
            ),
            Report.Figure("Macro-F1", Report.number(macroF1, places: 3), detail: "mean of the classes"),
            Report.Figure(
                "Log-loss", Report.number(logLoss, places: 3),
                detail: "lower is better; guessing gives \(Report.number(log(Double(classes.count)), places: 3))"),
            Report.Figure(
                "Calibration error", Report.percent(calibrationError),
                detail: "mean distance between confidence and accuracy"),
        ]
        if classes.count > 5 {
            figures.insert(Report.Figure("Top-5", Report.percent(topAccuracy(5))), at: 1)
        }
        if let area = macroROCAUC {
            figures.append(Report.Figure("ROC-AUC", Report.number(area, places: 3), detail: "0.5 is chance"))
        }
        return figures
    }

    /// Precision and its like of each class, at most 250 of them: the worst.
    var classSection: Report.Section {
        let rows = Array(zip(perClass, rocAUC))
        let most = 250
        let shown = rows.count <= most ? rows : Array(rows.sorted { $0.0.f1 < $1.0.f1 }.prefix(most))
        let table = Report.Table(
            columns: [.init("Class")]
                + ["Precision", "Recall", "F1", "ROC-AUC", "Images"].map { .init($0, isNumber: true) },
            rows: shown.map { row, area in
                [
                    .init(row.name), .init(Report.number(row.precision, places: 3)),
                    // A class without images has no share of them.
                    .init(Report.number(row.support > 0 ? row.recall : nil, places: 3)),
                    .init(Report.number(row.support > 0 ? row.f1 : nil, places: 3), bar: row.f1),
                    .init(Report.number(area, places: 3)),
                    .init(Report.count(row.support)),
                ]
            }, caption: rows.count > most ? "The \(most) classes with the lowest F1, of \(rows.count)." : nil)
        return Report.Section(
            "Classes",
            note:
                "Precision: share of predictions of this class that are right. Recall: share of its images that are found.",
            [.table(table)])
    }

    var confusionSection: Report.Section {
        Report.Section(
            "Confusion", [.matrix(Report.Matrix(classes: classes, counts: confusion))])
    }

    /// How well confidence agrees with accuracy.
    ///
    /// - Parameters:
    ///   - temperature: By which the probabilities were calibrated; 1 if they were not.
    ///   - calibration: How the temperature was found, if it was in this run.
    func reliabilitySection(_ temperature: Double, _ calibration: Calibration? = nil) -> Report.Section {
        func bins(_ evaluation: Evaluation) -> [Report.ReliabilityBin] {
            evaluation.reliability.map {
                .init(
                    lower: $0.lower, upper: $0.upper, count: $0.count, confidence: $0.confidence, accuracy: $0.accuracy)
            }
        }
        let diagonal = "On the diagonal the model is right as often as it is confident."
        guard temperature != 1 else {
            return Report.Section("Calibration", note: diagonal, [.reliability(bins(self))])
        }
        let before = scaled(by: 1 / temperature)
        let sentence =
            calibration?.sentence
            ?? "The model's probabilities are calibrated (temperature \(temperature.rounded(toPlaces: 2))): on these images the log-loss is \(before.logLoss.rounded(toPlaces: 3)) without calibration and \(logLoss.rounded(toPlaces: 3)) with it."
        return Report.Section(
            "Calibration", note: "\(sentence) \(diagonal)",
            [.reliability(bins(before), calibrated: bins(self))])
    }
}

extension [Finding] {
    /// More findings of a kind are put together.
    private static var mostOfKind: Int { 12 }

    /// What is wrong with the images, with a few of them to look at.
    func section(_ pictures: [Report.Thumbnail]) -> Report.Section {
        let blocks = Finding.Kind.allCases.flatMap { kind in
            let ofKind = filter { $0.kind == kind }
            let severity: Report.Finding.Severity = kind.isMild ? .note : .warning
            guard ofKind.count > Self.mostOfKind, let first = ofKind.first else {
                return ofKind.map {
                    Report.Finding(kind: kind.words, severity: severity, detail: $0.detail, paths: $0.paths)
                }
            }
            return [
                Report.Finding(
                    kind: kind.words, severity: severity,
                    detail: "\(ofKind.count) findings. The first: \(first.detail)",
                    paths: ofKind.flatMap(\.paths))
            ]
        }
        let note = isEmpty ? "No problems found." : nil
        return Report.Section(
            "Data", note: note,
            isEmpty
                ? [.text("No duplicates, no unreadable files, no contradictory labels.")]
                : [.findings(blocks), .gallery(pictures)])
    }
}

extension Report.Section {
    /// The command and everything that another run of it depends on.
    static func repeating(_ values: [(String, String)]) -> Report.Section {
        let arguments = FileSystem.arguments.map(\.shellWord)
        return Report.Section(
            "How to repeat it",
            [
                .code((["finetune"] + arguments).joined(separator: " ")),
                .keyValues(
                    [("finetune", FinetuneCommand.configuration.version)] + values + [
                        ("Arithmetic", Machine.arithmetic)
                    ]),
            ])
    }
}
