// finetune [train]: a base and images in, an adapted model and how good it is out.

internal import ArgumentParser
internal import FinetuneCheckpoints
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneTraining
internal import Synchronization

extension HeadKind: ExpressibleByArgument {}

struct TrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Adapts a base to a data set and writes a run folder.",
        discussion: """
            The base's trunk stays frozen: its features are computed once, and a head is trained on them.

            EXAMPLES
              finetune --base resnet50.h5 --data ./imgs
              finetune train --base resnet50.h5 --data ./imgs --val 0.3 --group-by 'patient([0-9]+)'
              finetune train --data ./imgs --head linear --epochs 100 --lr 0.005
            """)

    @Option(
        help: ArgumentHelp(
            "A pretrained network: HDF5 weights of Keras or PyTorch, or a model.h5 of an earlier run. (default: the bundled one)",
            valueName: "file"))
    var base: String?
    @OptionGroup(title: "Data") var data: DataOptions
    @Option(
        help: ArgumentHelp("Images that validate: a path, or a fraction of each class.", valueName: "path|fraction"))
    var val = "0.2"
    @Option(
        help: ArgumentHelp(
            "Images that test: a path, or a fraction of each class. (default: none but the data set's own)",
            valueName: "path|fraction"))
    var test: String?
    @Option(help: ArgumentHelp("The run folder. (default: runs/<base>-<data>-<n>)", valueName: "folder"))
    var out: String?
    @Flag(help: "Overwrite the files of an earlier run in that folder.") var force = false
    @Flag(help: "Check the base and the data, say what would be done, and stop.") var dryRun = false
    @Option(help: "The head: logistic (to its optimum), ridge (closed form) or linear (by SGD).")
    var head = HeadKind.logistic
    @Option(help: "Scaling of features before the head: none or standardize.")
    var featureScaling = FeatureScaling.standardize
    @Option(help: "Passes over the training features, for --head linear. (default: 50)") var epochs: Int?
    @Option(help: "Images a step, for --head linear. (default: 32)") var batch: Int?
    @Option(help: "Initial learning rate, for --head linear. (default: 0.01)") var lr: Double?
    @Option(help: "Strength of L2, for --head linear. (default: 0)") var l2: Double?
    @OptionGroup(title: "Preprocessing") var recipe: RecipeOptions
    @OptionGroup(title: "Computation") var compute: ComputeOptions
    @OptionGroup(title: "Output") var output: OutputOptions

    enum FeatureScaling: String, ExpressibleByArgument, CaseIterable { case none, standardize }

    func validate() throws {
        let given = [("--epochs", epochs != nil), ("--batch", batch != nil), ("--lr", lr != nil), ("--l2", l2 != nil)]
        if head != .linear, let flag = given.first(where: \.1)?.0 {
            throw ValidationError("\(flag) is not used by --head \(head.rawValue).")
        }
        if let epochs, epochs < 1 { throw ValidationError("--epochs is at least 1.") }
        if let batch, batch < 1 { throw ValidationError("--batch is at least 1.") }
        if let lr, !(lr > 0 && lr.isFinite) { throw ValidationError("--lr is a positive number.") }
        if let l2, !(l2 >= 0 && l2.isFinite) { throw ValidationError("--l2 is not negative.") }
        for (flag, value) in [("--val", val), ("--test", test ?? "0")] {
            if let fraction = Double(value), !(0..<1).contains(fraction) {
                throw ValidationError("\(flag) is a path or a fraction from 0 up to 1.")
            }
        }
    }

    func run() async throws {
        let console = Console(output)
        let started = ContinuousClock.now
        let basePath = try base ?? Installation.defaultBase()
        let thread = compute.makeThread()
        let base = try Installation.load(basePath, console)
        let loaded = ContinuousClock.now
        let dataset = try loadData()
        let model = try await recipe.resolve(base, dataset, thread, console)
        let settings = settings(for: model, console)
        let trainer = try Trainer(model, dataset, settings, thread: thread)
        describe(model, dataset, settings, basePath, console)
        if dryRun { return console.report(.done(["dry_run": true])) }

        let folder = try RunFolder(out ?? RunFolder.defaultPath(base: basePath, data: data.data), isForced: force)
        let log = EventLog(folder, console)
        let result = try await trainer.run(log.report)
        try write(result, folder, basePath)
        let total = seconds(.now - started)
        let summary = summary(result, folder, load: seconds(loaded - started), total: total, model)
        try folder.write(record(settings, basePath, model, summary).prettyText, as: "run.json")
        log.report(.done(summary))
        try log.finish()
        printSummary(result, folder, total, console)
    }

    // MARK: What is read

    private func loadData() throws -> ImageDataset {
        var dataset = try data.load()
        for (value, part) in [(val, Split.Part.validation), (test ?? "0", .test)] where Double(value) == nil {
            dataset = try dataset.adding(ImageDataset(value), as: part)
        }
        return dataset
    }

    private func settings(for model: Model, _ console: Console) -> TrainingSettings {
        var settings = TrainingSettings()
        settings.head = head
        settings.standardizes = featureScaling == .standardize
        settings.validation = Double(val) ?? 0
        settings.test = test.flatMap { Double($0) } ?? 0
        settings.seed = data.seed
        // An earlier run's precision belongs to its head, which is replaced.
        settings.precision = compute.precision ?? .native
        settings.linear.seed = data.seed
        settings.linear.epochs = epochs ?? settings.linear.epochs
        settings.linear.batch = batch ?? settings.linear.batch
        settings.linear.learningRate = lr ?? settings.linear.learningRate
        settings.linear.l2 = l2 ?? settings.linear.l2
        return settings
    }

    private func describe(
        _ model: Model, _ dataset: ImageDataset, _ settings: TrainingSettings, _ basePath: String, _ console: Console
    ) {
        console.report(
            .note(
                "\(Path.name(of: basePath)): \(model.network.name) (\(model.dialect))",
                ["architecture": .string(model.network.name)]))
        console.report(
            .note(
                "\(dataset.path): \(dataset.items.count) images of \(dataset.classes.count) classes",
                ["images": .integer(dataset.items.count)]))
        console.report(
            .note(
                "Frozen: everything but the head, in \(settings.precision.rawValue). Head: \(settings.head.rawValue), new.",
                ["precision": .string(settings.precision.rawValue), "head": .string(settings.head.rawValue)]))
        if model.headOutputs != nil {
            console.report(.note("The base's own head (\(model.headOutputs ?? 0) outputs) is replaced.", [:]))
        }
    }

    // MARK: What is written

    private func write(_ result: TrainingResult, _ folder: RunFolder, _ basePath: String) throws {
        try folder.write(
            CSV.line(["path", "split", "group"])
                + result.parts.map { CSV.line([$0.name, $0.part.rawValue, $0.group ?? ""]) }.joined(), as: "split.csv")
        try folder.write(
            CSV.line(["path", "reason"]) + result.skipped.map { CSV.line([$0.name, $0.reason]) }.joined(),
            as: "skipped.csv")
        if !result.scores.isEmpty {
            try folder.write(result.scores.map { ($0.part.rawValue, $0.evaluation, $0.images) })
        }
        try folder.write(metricsCSV(result.head.record), as: "metrics.csv")
        try ModelFile.write(result.model, to: folder.file("model.h5"))
    }

    /// One row an epoch, or one a strength that was tried.
    private func metricsCSV(_ record: JSON) -> String {
        if let losses = record["losses"]?.arrayValue {
            return CSV.line(["epoch", "train_loss"])
                + losses.enumerated().map { CSV.line(["\($0 + 1)", $1.text]) }.joined()
        }
        let trials = record["cross_validation"]?.arrayValue ?? []
        let columns = ["strength", "accuracy", "log_loss"]
        return CSV.line(columns) + trials.map { trial in CSV.line(columns.map { trial[$0]?.text ?? "" }) }.joined()
    }

    private func summary(_ result: TrainingResult, _ folder: RunFolder, load: Double, total: Double, _ base: Model)
        -> JSON
    {
        func score(_ part: Split.Part) -> JSON { result.scores.first { $0.part == part }?.evaluation.json ?? [:] }
        let images = result.parts.count
        let trainable = result.head.weight.count + result.head.bias.count
        return [
            "model": .string(folder.file("model.h5")), "run": .string(folder.path),
            "classes": JSON(result.model.classes ?? []),
            "train_images": .integer(result.trainImages),
            "val_images": .integer(result.scores.first { $0.part == .validation }?.evaluation.count ?? 0),
            "skipped": .integer(result.skipped.count),
            "epochs": .integer(head == .linear ? epochs ?? LinearSettings().epochs : 0),
            "trainable_parameters": .integer(trainable),
            "frozen_parameters": .integer(result.model.network.parameterCount - trainable),
            "val": score(.validation), "test": score(.test),
            "seconds": [
                "load": .number(load), "features": .number(result.featureSeconds),
                "train": .number(result.trainSeconds),
                "total": .number(total),
            ],
            "images_per_second": .number(Double(images) / max(result.featureSeconds, 1e-9)),
            "peak_rss_mb": .number(peakMemory()),
        ]
    }

    private func record(_ settings: TrainingSettings, _ basePath: String, _ base: Model, _ summary: JSON) throws -> JSON
    {
        [
            "arguments": JSON(Array(CommandLine.arguments.dropFirst())),
            "version": .string(FinetuneCommand.configuration.version),
            "base": .string(basePath), "base_hash": .string(ContentHash(of: try FileSystem.read(basePath)).text),
            "architecture": .string(base.network.name), "recipe": base.recipe.map(\.json) ?? .null,
            "recipe_source": base.recipeSource.map { .string($0) } ?? .null,
            "seed": .integer(Int(clamping: settings.seed)),
            "threads": .integer(compute.threads ?? EngineThread.availableProcessors),
            "precision": .string(settings.precision.rawValue), "head": .string(settings.head.rawValue),
            "feature_scaling": .string(featureScaling.rawValue), "result": summary,
        ]
    }

    private func printSummary(_ result: TrainingResult, _ folder: RunFolder, _ total: Double, _ console: Console) {
        for score in result.scores {
            let evaluation = score.evaluation
            let interval = evaluation.accuracyInterval
            console.say(
                "\(score.part == .test ? "Test" : "Validation") accuracy \(evaluation.accuracy.percent) (95 % interval \(interval.lowerBound.percent) to \(interval.upperBound.percent)) on \(evaluation.count) images, macro-F1 \(evaluation.macroF1.rounded(toPlaces: 3)), log-loss \(evaluation.logLoss.rounded(toPlaces: 3))"
            )
        }
        console.say(
            "Trained on \(result.trainImages) images in \(Console.clock(total)): features \(result.featureSeconds.rounded(toPlaces: 1)) s, head \(result.trainSeconds.rounded(toPlaces: 1)) s."
        )
        if !output.json { console.writeOut(folder.file("model.h5")) }
    }
}

/// The run's `events.jsonl`, kept while events go on to the console.
final class EventLog: Sendable {
    private let folder: RunFolder
    private let console: Console
    private let lines = Mutex("")

    init(_ folder: RunFolder, _ console: Console) {
        self.folder = folder
        self.console = console
    }

    func report(_ event: Event) {
        if let line = event.json { lines.withLock { $0 += line.text + "\n" } }
        console.report(event)
    }

    func finish() throws { try folder.write(lines.withLock { $0 }, as: "events.jsonl") }
}
