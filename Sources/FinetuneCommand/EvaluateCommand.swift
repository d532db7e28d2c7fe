// finetune evaluate: how good a model is on labelled images.

internal import ArgumentParser
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneTraining

/// Which model, and what its outputs are called.
struct ModelOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("A model.h5 that train wrote, or a base that still has its own head.", valueName: "file"))
    var model: String
    @Option(
        help: ArgumentHelp(
            "A file with the outputs' names in order, one a line. (default: the model's own, else the data set's)",
            valueName: "file"))
    var classes: String?
}

enum SplitChoice: String, ExpressibleByArgument, CaseIterable {
    case train, val, test, all

    /// The items of the split.
    func items(_ dataset: ImageDataset) throws -> [Int] {
        if self == .all { return Array(dataset.items.indices) }
        let items = dataset.items.indices.filter { dataset.items[$0].part?.rawValue == rawValue }
        guard !items.isEmpty else {
            throw UsageError(description: "the data set has no images in the split '\(rawValue)'.")
        }
        return items
    }
}

struct EvaluateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Scores a model on labelled images.",
        discussion: """
            Images that the model was trained on are counted, named and left out of the score.

            EXAMPLES
              finetune evaluate --model runs/a/model.h5 --data ./imgs
              finetune evaluate --model resnet20.h5 --data ./cifar10 --classes cifar10.txt --json
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup(title: "Data") var data: DataOptions
    @Option(help: "The split to score: train, val, test or all.") var split = SplitChoice.all
    @OptionGroup(title: "Preprocessing") var recipe: RecipeOptions
    @OptionGroup(title: "Computation") var compute: ComputeOptions
    @OptionGroup(title: "Output") var output: OutputOptions

    func run() async throws {
        let console = Console(output)
        let started = ContinuousClock.now
        let thread = compute.makeThread()
        var loaded = try Installation.load(model.model, console)
        let load = seconds(.now - started)
        var dataset = try data.load()
        dataset = dataset.selecting(try split.items(dataset))
        let classes = try model.classes.map(classNames) ?? loaded.classes ?? dataset.classes
        dataset = try dataset.relabelled(classes: classes)
        loaded = try await recipe.resolve(loaded, dataset, thread, console)
        let precision: Precision
        (loaded, precision) = loaded.computable(in: compute.precision, console.report)
        let predictor = try await Predictor(
            loaded, classes: classes, inputShape: dataset.inputShape, precision: precision, thread: thread)
        let score = try await predictor.evaluate(dataset) { done, total in
            console.report(.progress(stage: "images", done: done, total: total))
        }
        for image in score.skipped { console.report(.skipped(name: image.name, reason: image.reason)) }
        if !score.known.isEmpty {
            let shown =
                score.known.prefix(3).map { "'\($0)'" }.joined(separator: ", ") + (score.known.count > 3 ? ", …" : "")
            console.report(
                .note(
                    "Left out of the score: \(score.known.count) images that the model was trained on (\(shown))",
                    ["left_out": JSON(score.known)]))
        }
        let total = seconds(.now - started)
        let evaluation = score.evaluation
        console.report(
            .done([
                "images": .integer(evaluation.count), "metrics": evaluation.json, "per_class": evaluation.perClassJSON,
                "left_out": .integer(score.known.count), "skipped": .integer(score.skipped.count),
                "seconds": ["load": .number(load), "total": .number(total)],
                "peak_rss_mb": .number(ProcessMeter.peakMegabytes),
            ]))
        if !output.json { printTable(evaluation, console) }
    }

    private func printTable(_ evaluation: Evaluation, _ console: Console) {
        let interval = evaluation.accuracyInterval
        console.writeOut("images     \(evaluation.count)")
        console.writeOut(
            "accuracy   \(evaluation.accuracy.percent)  (95 % interval \(interval.lowerBound.percent) to \(interval.upperBound.percent))"
        )
        console.writeOut("macro-F1   \(evaluation.macroF1.rounded(toPlaces: 4))")
        console.writeOut("log-loss   \(evaluation.logLoss.rounded(toPlaces: 4))")
        console.writeOut("ECE        \(evaluation.calibrationError.rounded(toPlaces: 4))")
        let width = max(5, min(32, evaluation.classes.map(\.count).max() ?? 5))
        func pad(_ text: String) -> String {
            text.count > width ? text.prefix(width - 1) + "…" : text + String(repeating: " ", count: width - text.count)
        }
        console.writeOut("\n\(pad("class"))  precision  recall     F1  images")
        for row in evaluation.perClass {
            func cell(_ text: String, _ width: Int) -> String {
                String(repeating: " ", count: max(0, width - text.count)) + text
            }
            console.writeOut(
                pad(row.name) + cell(row.precision.rounded(toPlaces: 3), 11) + cell(row.recall.rounded(toPlaces: 3), 8)
                    + cell(row.f1.rounded(toPlaces: 3), 7) + cell(String(row.support), 8))
        }
    }
}
