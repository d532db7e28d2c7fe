// The page of a comparison.

internal import FinetuneDatasets
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetuneReport
internal import FinetuneTraining

/// Strategies side by side as a page.
struct ComparisonReport {
    let record: ComparisonRecord
    let dataset: ImageDataset
    let recipe: InputRecipe?
    let dataPath: String
    let baseName: String

    func page() throws -> Report {
        let result = record.result
        let comparison = result.comparison
        return Report(
            title: "Which stages should learn?", subtitle: "\(Path.name(of: dataPath)) on \(baseName)",
            sections: [
                Report.Section(
                    "Advice", [.advice(comparison.advice), .text(setting)]),
                Report.Section(
                    "Accuracy against cost",
                    note: "Bars are 95 % intervals. The time is what one training of each strategy would take alone.",
                    [
                        .scatter(
                            Report.ScatterChart(
                                title: "Accuracy against time", xLabel: "seconds", yLabel: "accuracy",
                                points: comparison.standings.map {
                                    .init(
                                        $0.name, x: $0.cost.seconds, y: $0.accuracy.value,
                                        interval: finite($0.accuracy.interval),
                                        isRecommended: $0.name == comparison.recommended)
                                }, yUnit: .percent, xIsLogarithmic: true)),
                        .table(standings),
                    ]),
                Report.Section(
                    "Differences",
                    note:
                        "p: the probability of a difference of at least that size by chance alone, adjusted for the number of pairs (Holm).",
                    [.table(pairs)]),
                curve,
                result.findings.section(try PictureGallery(dataset, recipe).findings(result.findings)),
                .repeating([
                    ("Base", record.baseFile.path), ("Hash of the base", record.baseFile.hash), ("Data", dataPath),
                ]),
            ])
    }

    private var setting: String {
        let result = record.result
        return
            "Trained on \(result.trainImages.counted("image")), \(result.scoredImages) scored, \(result.skipped.count) skipped (\(result.design)). Scored images chose no epoch and no regularization strength. Reading and decoding the images, once for all strategies, took \(Report.number(result.sharedSeconds, places: 1)) s; the whole comparison \(Console.clock(record.seconds))."
    }

    private func finite(_ range: ClosedRange<Double>) -> ClosedRange<Double>? {
        range.lowerBound.isFinite && range.upperBound.isFinite ? range : nil
    }

    private var standings: Report.Table {
        Report.Table(
            columns: [.init("Strategy")]
                + [
                    "Accuracy", "95 % interval", "Macro-F1", "Log-loss", "ECE", "Trainable", "Seconds", "Processor s",
                    "MiB",
                ]
                .map { .init($0, isNumber: true) },
            rows: record.result.comparison.standings.map { standing in
                let isBest = standing.name == record.result.comparison.recommended
                return [
                    .init(standing.name + (standing.failure == nil ? "" : " (no gain)"), emphasis: isBest),
                    .init(Report.percent(standing.accuracy.value), bar: standing.accuracy.value, emphasis: isBest),
                    .init(
                        "\(Report.number(standing.accuracy.interval.lowerBound * 100, places: 1)) – \(Report.percent(standing.accuracy.interval.upperBound))"
                    ),
                    .init(Report.number(standing.macroF1.value, places: 3)),
                    .init(Report.number(standing.logLoss.value, places: 3)),
                    .init(Report.percent(standing.calibrationError.value)),
                    .init(Report.count(standing.cost.trainableParameters)),
                    .init("\(Report.number(standing.cost.seconds, places: 1)) s"),
                    .init("\(Report.number(standing.cost.processorSeconds, places: 1)) s"),
                    .init(Report.number(standing.cost.peakMegabytes, places: 0)),
                ]
            })
    }

    private var pairs: Report.Table {
        Report.Table(
            columns: [
                .init("Pair"), .init("Difference in accuracy", isNumber: true), .init("p", isNumber: true),
                .init("Test"),
            ],
            rows: record.result.comparison.pairs.map { pair in
                [
                    .init("\(pair.second) − \(pair.first)"),
                    .init("\(Report.number(pair.difference * 100, places: 1)) points"),
                    .init(
                        pair.pValue < 0.001 ? "< 0.001" : Report.number(pair.pValue, places: 3),
                        emphasis: pair.pValue < 0.05),
                    .init(pair.test),
                ]
            })
    }

    private var curve: Report.Section {
        let points = Dictionary(grouping: record.result.curve, by: \.strategy)
        return Report.Section(
            "More images?",
            note: "Accuracy against the number of training images, on the same scored images, with 95 % intervals.",
            points.isEmpty
                ? []
                : [
                    .lines(
                        Report.LineChart(
                            title: "Accuracy over training images", xLabel: "training images", yLabel: "accuracy",
                            series: record.result.comparison.standings.compactMap { standing in
                                points[standing.name].map { points in
                                    .init(
                                        standing.name, points.map { (Double($0.trainImages), $0.accuracy.value) },
                                        band: points.map {
                                            .init(
                                                x: Double($0.trainImages), low: $0.accuracy.interval.lowerBound,
                                                high: $0.accuracy.interval.upperBound)
                                        }, marks: true)
                                }
                            }, yUnit: .percent))
                ])
    }
}
