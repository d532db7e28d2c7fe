// What a comparison leaves behind: comparison.json, predictions.csv, the last JSON line, the table for people.

internal import ArgumentParser
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneTraining

/// A finished comparison as files and words.
struct ComparisonRecord {
    let result: ComparisonResult
    let classes: [String]
    let baseFile: HashedFile
    let seconds: Double

    func write(to folder: RunFolder) throws {
        var predictions = CSV.line(["strategy", "division", "path"] + Evaluation.predictionColumns(classes))
        for score in result.scores {
            for (index, image) in score.images.enumerated() {
                predictions += CSV.line(
                    [score.strategy, "\(score.division)", image] + score.evaluation.predictionFields(index))
            }
        }
        try folder.write(predictions, as: "predictions.csv")
        try folder.write(try json(folder).prettyText, as: "comparison.json")
    }

    /// The keys of the command's last JSON line.
    func summary(_ folder: RunFolder) -> JSON {
        .object(
            (result.comparison.json.members ?? []) + [
                .init("design", .string(result.design)), .init("run", .string(folder.path)),
                .init("report", .string(folder.file("report.html"))),
                .init("train_images", .integer(result.trainImages)),
                .init("scored_images", .integer(result.scoredImages)),
                .init("skipped", .integer(result.skipped.count)),
                .init("calibration", calibration), .init("learning_curve", curve),
                .init("seconds", ["shared": .number(result.sharedSeconds), "total": .number(seconds)]),
                .init("peak_rss_mb", .number(ProcessMeter.peakMegabytes)),
            ])
    }

    /// What temperatures did on scored images, none of which chose one: means over divisions.
    private var calibration: JSON {
        .array(
            result.comparison.standings.map { standing in
                let scores = result.scores.filter { $0.strategy == standing.name }
                func mean(_ value: (ComparisonResult.Score) -> Double) -> JSON {
                    .number(scores.reduce(0) { $0 + value($1) } / Double(max(1, scores.count)))
                }
                func plain(_ score: ComparisonResult.Score) -> Evaluation {
                    score.evaluation.scaled(by: 1 / score.temperature)
                }
                return [
                    "strategy": .string(standing.name), "temperature": mean(\.temperature),
                    "log_loss": ["before": mean { plain($0).logLoss }, "after": mean(\.evaluation.logLoss)],
                    "ece": [
                        "before": mean { plain($0).calibrationError }, "after": mean(\.evaluation.calibrationError),
                    ],
                ]
            })
    }

    private var curve: JSON {
        .array(
            result.curve.map {
                [
                    "strategy": .string($0.strategy), "train_images": .integer($0.trainImages),
                    "accuracy": .number($0.accuracy.value),
                    "accuracy_ci": JSON([$0.accuracy.interval.lowerBound, $0.accuracy.interval.upperBound]),
                ]
            })
    }

    private func json(_ folder: RunFolder) throws -> JSON {
        .object(
            [
                .init("arguments", JSON(FileSystem.arguments)),
                .init("version", .string(FinetuneCommand.configuration.version)),
                .init("base", .string(baseFile.path)), .init("base_hash", .string(baseFile.hash)),
                .init("machine", .string(Machine.arithmetic)),
                .init("findings", .array(result.findings.map(\.json))),
            ] + (summary(folder).members ?? []))
    }

    // MARK: For people

    func printTable(_ console: Console) {
        let width = min(14, max(8, result.comparison.standings.map(\.name.count).max() ?? 8))
        console.writeOut(
            "strategy".padded(to: width) + "accuracy".aligned(right: 10) + "95 % interval".aligned(right: 18)
                + "macro-F1".aligned(right: 10)
                + "log-loss".aligned(right: 10) + "seconds".aligned(right: 9) + "MiB".aligned(right: 7))
        for standing in result.comparison.standings {
            let interval = standing.accuracy.interval
            console.writeOut(
                String(standing.name.prefix(width)).padded(to: width)
                    + standing.accuracy.value.percent.aligned(right: 10)
                    + "\(interval.lowerBound.percent) – \(interval.upperBound.percent)".aligned(right: 18)
                    + standing.macroF1.value.rounded(toPlaces: 3).aligned(right: 10)
                    + standing.logLoss.value.rounded(toPlaces: 3).aligned(right: 10)
                    + standing.cost.seconds.rounded(toPlaces: 1).aligned(right: 9)
                    + "\(Int(standing.cost.peakMegabytes))".aligned(right: 7)
                    + (standing.failure == nil ? "" : "  no gain"))
        }
        for point in result.curve {
            console.say(
                "\(point.strategy) with \(point.trainImages.counted("training image")): \(point.accuracy.value.percent) (\(point.accuracy.interval.lowerBound.percent) to \(point.accuracy.interval.upperBound.percent))"
            )
        }
        console.writeOut("\n" + result.comparison.advice, isSentence: true)
    }
}
