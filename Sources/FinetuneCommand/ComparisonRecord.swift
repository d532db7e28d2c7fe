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
    let basePath: String
    let seconds: Double

    func write(to folder: RunFolder) throws {
        var predictions = CSV.line(
            ["strategy", "division", "path", "label", "prediction", "probability"] + classes.map { "p(\($0))" })
        for score in result.scores {
            for (index, row) in score.evaluation.probabilities.enumerated() {
                let best = score.evaluation.predictions[index]
                predictions += CSV.line(
                    [
                        score.strategy, "\(score.division)", score.images[index],
                        classes[score.evaluation.labels[index]], classes[best], "\(row[best])",
                    ] + row.map { "\($0)" })
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
                .init("train_images", .integer(result.trainImages)),
                .init("scored_images", .integer(result.scoredImages)),
                .init("skipped", .integer(result.skipped.count)),
                .init("learning_curve", curve),
                .init("seconds", ["shared": .number(result.sharedSeconds), "total": .number(seconds)]),
                .init("peak_rss_mb", .number(ProcessMeter.peakMegabytes)),
            ])
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
                .init("arguments", JSON(Array(CommandLine.arguments.dropFirst()))),
                .init("version", .string(FinetuneCommand.configuration.version)),
                .init("base", .string(basePath)),
                .init("base_hash", .string(ContentHash(of: try FileSystem.read(basePath)).text)),
                .init("machine", .string(Machine.arithmetic)),
                .init("findings", .array(result.findings.map(\.json))),
            ] + (summary(folder).members ?? []))
    }

    // MARK: For people

    func printTable(_ console: Console) {
        func pad(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.count))
        }
        func right(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        let width = min(14, max(8, result.comparison.standings.map(\.name.count).max() ?? 8))
        console.writeOut(
            pad("strategy", width) + right("accuracy", 10) + right("95 % interval", 18) + right("macro-F1", 10)
                + right("log-loss", 10) + right("seconds", 9) + right("MiB", 7))
        for standing in result.comparison.standings {
            let interval = standing.accuracy.interval
            console.writeOut(
                pad(String(standing.name.prefix(width)), width) + right(standing.accuracy.value.percent, 10)
                    + right("\(interval.lowerBound.percent) – \(interval.upperBound.percent)", 18)
                    + right(standing.macroF1.value.rounded(toPlaces: 3), 10)
                    + right(standing.logLoss.value.rounded(toPlaces: 3), 10)
                    + right(standing.cost.seconds.rounded(toPlaces: 1), 9)
                    + right("\(Int(standing.cost.peakMegabytes))", 7))
        }
        for point in result.curve {
            console.say(
                "\(point.strategy) after \(point.trainImages) images: \(point.accuracy.value.percent) (\(point.accuracy.interval.lowerBound.percent) to \(point.accuracy.interval.upperBound.percent))"
            )
        }
        console.writeOut("\n" + result.comparison.advice)
    }
}
