// finetune [train]: a base and images in, an adapted model and how good it is out.

internal import ArgumentParser
internal import FinetuneCheckpoints
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneRanks
internal import FinetuneTraining

struct TrainCommand: SharedCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Adapts a base to a data set and writes a run folder.",
        discussion: """
            Without --unfreeze the base stays frozen: its features are computed once and cached, and a new classifier (the \
            head) is trained on them. With --unfreeze STAGE that stage and all after it are trained as well; the outputs of \
            the stages before it are computed once and cached.

            EXAMPLES
              finetune ./imgs
              finetune --base resnet50.h5 --data ./imgs
              finetune --base resnet50.h5 --data ./imgs --unfreeze stage4
              finetune train --base resnet50.h5 --data ./imgs --strategy lp-ft \\
                  --stage-lr-decay 0.3 --epochs 20
              finetune train --base resnet50.h5 --data ./imgs --val 0.3 \\
                  --group-by 'patient([0-9]+)'
              finetune train --data ./imgs --unfreeze all --out runs/a --resume
            """)

    @OptionGroup var job: JobOptions
    @OptionGroup(title: "Data") var data: DataOptions
    @Flag(help: "Check the base and the data, print the plan, and stop.") var dryRun = false
    @OptionGroup(title: "Strategy") var strategy: StrategyOptions
    @OptionGroup(title: "Head") var head: HeadOptions
    @OptionGroup(title: "Optimizer and schedule") var steps: StepOptions
    @OptionGroup var cache: CacheOptions
    @OptionGroup(title: "Preprocessing") var recipe: RecipeOptions
    @OptionGroup(title: "Computation") var compute: ComputeOptions
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        let chosen = strategy.chosen
        if let unused = head.unused(by: chosen) { throw ValidationError(unused) }
        try strategy.check(steps, head, compute, base: job.base)
        do { try settings.check() } catch let error as SettingsError { throw ValidationError(error.reason) }
    }

    func run(_ ranks: Ranks) async throws {
        let console = Console(output, isMute: !ranks.isFirst, finishes: true)
        let started = ContinuousClock.now
        let basePath = try job.basePath(steps.architecture)
        let path = ranks.agree(job.folderPath("", basePath, data))
        let folder = dryRun || !ranks.isFirst ? RunFolder(sharing: path) : try job.openFolder(path)
        let checkpoint = folder.file(RunFolder.checkpointName)
        Interruption.resumes { FileSystem.kind(of: checkpoint) != nil }
        let thread = try compute.makeThread(learning: steps.trainPrecision, console)
        try await Doctor.checkArithmetic(thread)
        let dataset = try job.load(data)
        for part in [Split.Part.validation, .test] {
            job.warning(of: part, in: dataset, replacedBy: part).map { console.report(.warning($0)) }
        }
        let base = try job.loadBase(steps.architecture, dataset, seed: data.seed, console)
        let baseFile = steps.architecture == nil ? try HashedFile(basePath) : nil
        let loaded = ContinuousClock.now
        var settings = settings
        // Ranks find in the cache what others computed; without one, in the run folder.
        let shared = ranks.count > 1 && cache.folder == nil ? FeatureCache(folder: Path.join(path, "features")) : nil
        settings.cache = cache.folder ?? shared
        let model = try await recipe.resolve(base, dataset, ranks: ranks, thread, console).measured(
            for: settings.precision, on: dataset, cache: cache.folder, isBase: true, ranks: ranks, thread,
            console.report)
        let context = TrainingContext(
            checkpointPath: checkpoint, resumes: job.resume, helper: Installation.helper, ranks: ranks,
            settle: folder.settle, shouldStop: { Interruption.isWished }, looksForStop: Interruption.await)
        let trainer = try Trainer(model, dataset, settings, context, thread: thread)
        let plan = try trainer.plan()
        describe(model, dataset, settings, plan, basePath, console)
        if dryRun {
            console.report(.note(splits(of: dataset), [:]))
            console.report(.done(["dry_run": true, "plan": plan.json]))
            return try console.finish()
        }

        guard ranks.isFirst else {
            _ = try await trainer.run(console.report)
            return
        }
        try folder.begin(
            trainer.identity(), command: "train", arguments: FileSystem.arguments)
        let log = try EventLog(folder, console, continuing: job.resume, draws: true)
        guard let result = try await folder.recordingFailure({ try await trainer.run(log.report) }) else { return }
        shared?.remove()
        let record = RunRecord(
            result: result, settings: settings, base: model, baseFile: baseFile,
            threads: thread.count)
        try folder.prepareForResults()
        try ModelFile.write(result.model, to: folder.file("model.h5"))
        folder.removeOldResults(except: "model.h5")
        try record.writeTables(to: folder)
        let frozen = try FrozenCheck.count(
            folder.file("model.h5"), against: model, result.plan, helper: Installation.helper)
        if frozen > 0 {
            log.report(
                .note(
                    frozen == 1
                        ? "Checked: the frozen weight is unchanged."
                        : "Checked: all \(frozen) frozen weights are unchanged.",
                    ["frozen_tensors_equal": .integer(frozen)]))
        }
        let times = RunTimes(load: seconds(loaded - started), total: seconds(.now - started))
        let summary = record.summary(folder, times)
        try folder.finish(record.members(summary, frozenTensors: frozen))
        try await TrainingReport(
            record: record, dataset: dataset, dataPath: data.data, thread: thread, times: times
        ).page().write(to: folder.file("report.html"))
        log.report(.done(summary))
        try log.finish()
        record.printSummary(times, console)
        if !output.json { console.writeOut(folder.file("model.h5")) }
        try console.finish()
    }

    private var settings: TrainingSettings {
        let chosen = strategy.chosen
        var settings = TrainingSettings(chosen, job: job, data, head, compute)
        settings.steps = steps.settings(chosen, settings.head, unfreezing: strategy.unfreezing)
        return settings
    }

    // MARK: What is said before

    /// Which images train, validate and test, as far as it is known before they are read.
    private func splits(of dataset: ImageDataset) -> String {
        let own = dataset.ownParts
        func share(_ flag: Double, _ part: Split.Part, _ use: String) -> String? {
            if own.contains(part) {
                return "\(dataset.items.count { $0.part == part }.counted("image")) of the data set's own \(use)"
            }
            return flag > 0 ? "\(flag.percent) of each class \(use)" : nil
        }
        let parts = [
            share(settings.validation, .validation, "for validation"), share(settings.test, .test, "for testing"),
        ].compactMap(\.self)
        return
            "Splits: \(parts.isEmpty ? "all images for training" : parts.joined(separator: ", ") + "; the others for training")."
    }

    private func describe(
        _ model: Model, _ dataset: ImageDataset, _ settings: TrainingSettings, _ plan: FreezePlan, _ basePath: String,
        _ console: Console
    ) {
        console.report(
            .note(
                "\(Path.name(of: basePath)): \(model.network.name) (\(model.dialect))",
                ["architecture": .string(model.network.name)]))
        console.report(
            .note(
                dataset.summary, ["images": .integer(dataset.items.count), "classes": JSON(dataset.classes)]))
        let text =
            settings.sentence(plan) + (settings.usesSteps ? " \(settings.steps.sentence)" : "")
            + (settings.strategy == .frozen ? "" : "\n\(plan.table(rate: settings.steps.learningRate))")
        console.report(
            .note(
                text,
                [
                    "precision": .string(settings.precision.rawValue), "head": .string(settings.head.text),
                    "strategy": .string(settings.strategy.rawValue), "plan": plan.json,
                ]))
        if steps.architecture == nil, let text = model.replacedHead(for: dataset.classes) {
            console.report(.note(text, [:]))
        }
    }
}

extension ImageDataset {
    /// Such as `./imgs: 398 images in 2 classes: ants, bees`.
    var summary: String {
        let shown = classes.prefix(8).map { $0.printable() }.joined(separator: ", ") + (classes.count > 8 ? ", …" : "")
        return "\(path): \(items.count.counted("image")) in \(classes.count.counted("class", "classes")): \(shown)"
    }
}

extension Model {
    /// What becomes of the base's own head; nil if it has none.
    fileprivate func replacedHead(for classes: [String]) -> String? {
        if let head = leftOutHead { return "The base's own head (\(head.layers)) is replaced." }
        guard let outputs = headOutputs else { return nil }
        guard dialect == Self.ownDialect, self.classes.map(Set.init) == Set(classes) else {
            return "The base's own head (\(outputs.counted("output"))) is replaced."
        }
        return
            "The base is a model of the same \(outputs.counted("class", "classes")); its head is replaced by a new one. To use the model as it is: finetune evaluate, or finetune predict."
    }
}

extension TrainingSettings {
    /// What will be trained, for people.
    fileprivate func sentence(_ plan: FreezePlan) -> String {
        let frozenPart = "frozen layers in \(precision.rawValue), trainable layers in \(steps.precision.rawValue)"
        let first = plan.rows.first { $0.learns }?.stage ?? Stage.head
        let part =
            plan.frozenParameters == 0
            ? "the whole network, in \(steps.precision.rawValue)" : "from '\(first)' on (\(frozenPart))"
        switch strategy {
        case .frozen:
            let epochs = if case .layers = head { ", in epochs" } else { "" }
            return "Training a new \(head.words) on frozen features (\(precision.rawValue))\(epochs)."
        case .fineTune: return "Fine-tuning \(part), with a new \(head.words)."
        case .headFirst:
            let first = head == .layers(HeadDesign()) ? HeadKind.convex(.logistic) : head
            return "Training a new \(first.words) on frozen features, then fine-tuning \(part)."
        case .gradual:
            return "Training a new \(head.words), then stage after stage from the end: \(part)."
        case .scratch: return "Training \(part), from random weights."
        }
    }
}

extension StepSettings {
    /// How steps are taken, for people.
    fileprivate var sentence: String {
        let rate = learningRate.map { "a learning rate of \($0.rounded(toDigits: 3))" } ?? "a learning rate to be found"
        return
            "Optimizer \(optimizer.name), \(rate), schedule \(chosenSchedule.name), \(epochs.counted("epoch")) of batches of \(batch)."
    }
}

extension HeadKind {
    /// The head in a sentence.
    fileprivate var words: String {
        switch self {
        case .convex(.logistic): "logistic-regression classifier"
        case .convex(.ridge): "ridge-regression classifier"
        case .layers(let design): design.hidden.isEmpty ? "linear classifier" : "classifier (\(text))"
        }
    }
}

extension FreezePlan {
    /// The plan for people: one line a stage that has parameters.
    ///
    /// - Parameter rate: The learning rate; nil for one that is still to be found, of which the factors are shown.
    func table(rate: Double?) -> String {
        let head = "stage".padded(to: 10) + "parameters".aligned(right: 12) + "  trained  learning rate  batch norm"
        let lines = rows.filter { $0.parameters > 0 || $0.normalization != nil }.map { row in
            let own =
                rate.map { ($0 * row.rateFactor).rounded(toDigits: 3) } ?? "× \(row.rateFactor.rounded(toPlaces: 3))"
            let rate = row.learns ? own : "–"
            return row.stage.padded(to: 10) + "\(row.parameters)".aligned(right: 12)
                + "  \(row.learns ? "yes" : "no")".padded(to: 11) + rate.padded(to: 15)
                + (row.normalization?.rawValue ?? "–")
        }
        return ([head] + lines).joined(separator: "\n")
    }
}
