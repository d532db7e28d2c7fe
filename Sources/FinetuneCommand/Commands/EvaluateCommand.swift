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
        help: ArgumentHelp(
            "A model.h5 that train wrote, or a base that still has its own head: \(weightsHelp).", valueName: "file"))
    var model: String
    @OptionGroup var weights: WeightsOptions
    @Option(
        help: ArgumentHelp(
            "A file with the names of the outputs in order, one on each line. (default: the model's own, else the data set's)",
            valueName: "file"))
    var classes: String?
}

enum SplitChoice: String, ExpressibleByArgument, CaseIterable {
    case train, val, test, all

    /// The data set with the images of the split alone.
    func selecting(_ dataset: ImageDataset) throws -> ImageDataset {
        if self == .all { return dataset }
        let items = dataset.items.indices.filter { dataset.items[$0].part?.rawValue == rawValue }
        guard !items.isEmpty else {
            throw UsageError(
                description:
                    "cannot use '--split \(rawValue)': the data set has no images in that split. For all images: --split all"
            )
        }
        return dataset.selecting(items)
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
              finetune evaluate --model runs/a/model.h5 --data ./imgs \\
                  --minimum accuracy=0.9 --maximum log-loss=0.4
              finetune evaluate --model runs/a/model.h5 --data ./scans --positive tumour \\
                  --sensitivity 0.95
              finetune evaluate --model resnet20.h5 --data ./cifar10 \\
                  --classes cifar10.txt --json
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup(title: "Data") var data: DataOptions
    @Option(help: "The split to score: train, val, test or all.") var split = SplitChoice.all
    @Option(
        help: ArgumentHelp(
            "Test-time augmentation: average over K crops and flips.",
            valueName: "K"))
    var views = 1
    @Option(
        help: ArgumentHelp(
            "End with exit code 3 if a score is lower: accuracy, top5, macro-f1, roc-auc. May be given several times.",
            valueName: "score=x"))
    var minimum: [String] = []
    @Option(
        help: ArgumentHelp(
            "End with exit code 3 if a score is higher: log-loss, ece, brier. May be given several times.",
            valueName: "score=x"))
    var maximum: [String] = []
    @Option(help: ArgumentHelp("The positive one of two classes. (default: the second)", valueName: "class"))
    var positive: String?
    @Option(
        help: ArgumentHelp(
            "For two classes: choose the threshold that gives this sensitivity.", valueName: "0…1"))
    var sensitivity: Double?
    @Option(
        help: ArgumentHelp("For two classes: choose the threshold that gives this specificity.", valueName: "0…1"))
    var specificity: Double?
    @Option(help: ArgumentHelp("Write the scores as an HTML page.", valueName: "file.html")) var report: String?
    @OptionGroup(title: "Preprocessing") var recipe: RecipeOptions
    @OptionGroup(title: "Computation") var compute: ComputeOptions
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        try recipe.refuseAutomaticDepth()
        if data.groupBy != nil {
            throw ValidationError("--group-by has no effect: evaluate makes no splits. Leave it out.")
        }
        guard views <= 1000 else {
            throw ValidationError(
                "cannot use '--views \(views)': expected a whole number from 1 to 1000. For example: --views 10")
        }
    }

    func run() async throws {
        let console = Console(output)
        let started = ContinuousClock.now
        let thread = try compute.makeThread(console)
        var loaded = try Installation.loadClassifier(model.model, weightsKey: model.weights.weightsKey, console)
        let modelFile = report == nil ? nil : try HashedFile(model.model)
        let load = seconds(.now - started)
        var dataset = try split.selecting(data.load())
        let classes = try model.classes.map(classNames) ?? loaded.classes ?? dataset.classes
        console.report(remarksOf: dataset)
        let scorable = try dataset.scorable(classes: classes)
        dataset = scorable.dataset
        for text in leftOut(scorable.unknown, unlabelled: scorable.unlabelled, known: classes) {
            console.report(.warning(text))
        }
        loaded = try await recipe.resolve(loaded, dataset, thread, console)
        let precision: Precision
        (loaded, precision) = loaded.computable(in: compute.precision, console.report)
        loaded = try await loaded.measured(
            for: precision, on: dataset, cache: Installation.cache(nil), isBase: false, thread, console.report)
        if views > 1, dataset.inputShape != nil {
            throw UsageError(
                description:
                    "cannot use --views: '\(data.data)' holds arrays that are fed to the network as they are, not pictures. Leave it out."
            )
        }
        let wishes = try wishes(classes)
        let predictor = try await Predictor(
            loaded, classes: classes, inputShape: dataset.inputShape, precision: precision, views: views, thread: thread
        )
        let score = try await predictor.evaluate(dataset) { done, total in
            console.report(.progress(stage: "images", done: done, total: total))
        }
        for image in score.skipped { console.report(.skipped(name: image.name, reason: image.reason)) }
        if let warning = predictor.extractor.depthWarning { console.report(.warning(warning)) }
        if !score.known.isEmpty {
            let shown =
                score.known.prefix(3).map { "'\($0)'" }.joined(separator: ", ") + (score.known.count > 3 ? ", …" : "")
            console.report(
                .note(
                    "Left out of the score: \(score.known.count.counted("image")) that the model was trained on (\(shown)).",
                    ["left_out": JSON(score.known)]))
        }
        let unknown = scorable.unknown.reduce(0) { $0 + $1.images }
        let counts = score.counts(unknown: unknown, unlabelled: scorable.unlabelled)
        console.report(.note(counts.text, ["counts": counts.json]))
        let total = seconds(.now - started)
        let evaluation = score.evaluation
        let points = wishes.wishes.compactMap { OperatingPoint($0, positive: wishes.positive, in: evaluation) }
        console.report(
            .done(
                .object(
                    (evaluation.report(score.images, points).members ?? []) + [
                        .init("temperature", .number(loaded.temperature)),
                        .init("left_out", .integer(score.known.count)),
                        .init("skipped", .integer(score.skipped.count)),
                        .init("unknown_classes", JSON(scorable.unknown.map(\.name))),
                        .init("unknown_images", .integer(unknown)),
                        .init("unlabelled", .integer(scorable.unlabelled)),
                        .init("seconds", ["load": .number(load), "total": .number(total)]),
                        .init("peak_rss_mb", .number(ProcessMeter.peakMegabytes)),
                    ])))
        if let report, let modelFile {
            try await EvaluationReport(
                modelFile: modelFile, dataPath: data.data, model: loaded, dataset: dataset, score: score,
                counts: counts,
                points: points, precision: precision, thread: thread
            ).page().write(to: report)
        }
        if !output.json { EvaluationTable(evaluation, score.images, points).print(console) }
        let failed = gates.filter { !$0.passes(evaluation) }
        guard failed.isEmpty else {
            let words = failed.map {
                "\($0.limit.writtenName) is \($0.text(evaluation)), expected \($0.isMinimum ? "at least" : "at most") \($0.limit.limit)"
            }
            throw GateError(description: "the model does not pass: \(words.joined(separator: "; ")).")
        }
    }

    /// What is said of images that cannot be scored.
    ///
    /// - Parameter known: The model's classes.
    private func leftOut(
        _ unknown: [(name: String, images: Int)], unlabelled: Int, known: [String]
    ) -> [String] {
        var texts: [String] = []
        if !unknown.isEmpty {
            let count = unknown.reduce(0) { $0 + $1.images }
            let names =
                unknown.prefix(3).map { "'\($0.name)'" }.joined(separator: ", ") + (unknown.count > 3 ? ", …" : "")
            let likeness =
                unknown.lazy.map { ImageDataset.likeness(of: $0.name, to: known) }.first { !$0.isEmpty } ?? ""
            let classes =
                unknown.count == 1
                ? "a class that the model does not have" : "\(unknown.count) classes that the model does not have"
            texts.append(
                "Left out of the score: \(count) image\(count == 1 ? "" : "s") of \(classes) (\(names)).\(likeness)")
        }
        if unlabelled > 0 {
            texts.append("Left out of the score: \(unlabelled) image\(unlabelled == 1 ? "" : "s") without a label.")
        }
        return texts
    }

    // MARK: Two classes

    /// The thresholds that are asked for, and which class they are about.
    private func wishes(_ classes: [String]) throws -> (wishes: [OperatingPoint.Wish], positive: Int) {
        guard classes.count == 2 else {
            let flags = [
                ("--positive", positive != nil), ("--sensitivity", sensitivity != nil),
                ("--specificity", specificity != nil),
            ]
            if let flag = flags.first(where: \.1)?.0 {
                throw UsageError(
                    description:
                        "cannot use \(flag): it needs a model of two classes, and this one has \(classes.count). Leave it out."
                )
            }
            return ([], 0)
        }
        guard let index = positive.map({ classes.firstIndex(of: $0) }) ?? 1 else {
            throw UsageError(
                description:
                    "cannot use '--positive \(positive ?? "")': expected \(classes[0]) or \(classes[1]). For example: --positive \(classes[1])"
            )
        }
        return (
            [.half] + (sensitivity.map { [.sensitivity($0)] } ?? []) + (specificity.map { [.specificity($0)] } ?? []),
            index
        )
    }

    // MARK: Gates

    /// A limit that a score has to keep.
    private struct Gate {
        let limit: ScoreLimit
        let isMinimum: Bool

        func value(_ evaluation: Evaluation) -> Double { evaluation.score(limit.name) ?? .nan }

        /// A score that is not a number passes no gate.
        func passes(_ evaluation: Evaluation) -> Bool { passes(value(evaluation)) }

        private func passes(_ value: Double) -> Bool { isMinimum ? value >= limit.limit : value <= limit.limit }

        /// A score that does not pass, with four decimal places, or with as many as show that.
        func text(_ evaluation: Evaluation) -> String {
            let value = value(evaluation)
            guard value.isFinite else { return "undefined" }
            return (4...15).lazy.map { value.rounded(toPlaces: $0) }.first { !passes(Double($0) ?? .nan) } ?? "\(value)"
        }
    }

    private var gates: [Gate] {
        minimum.compactMap(ScoreLimit.init).map { Gate(limit: $0, isMinimum: true) }
            + maximum.compactMap(ScoreLimit.init).map { Gate(limit: $0, isMinimum: false) }
    }
}
