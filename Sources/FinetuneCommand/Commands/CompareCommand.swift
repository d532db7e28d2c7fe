// finetune compare: which stages should learn? Strategies on the same images, with intervals, tests, costs and advice.

internal import ArgumentParser
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetuneRanks
internal import FinetuneTraining

struct CompareCommand: SharedCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Compares strategies on the same images: accuracy with intervals, cost, and which to use.",
        discussion: """
            Every strategy is trained on the same images and scored on the same test images: the data set's own test (else \
            validation) images, or a fraction --test of all. Test images choose nothing: epochs are chosen by other images \
            (--val). Features that strategies share are computed once; the time is what each strategy would take alone.

            EXAMPLES
              finetune compare --data ./imgs
              finetune compare --base resnet50.h5 --data ./imgs \\
                  --strategies head,stage4,all,fine-tune --folds 5
              finetune compare --data ./imgs --seeds 3 --learning-curve --epochs 20
            """)

    @OptionGroup var job: JobOptions
    @OptionGroup(title: "Data") var data: DataOptions
    @Option(
        help: ArgumentHelp(
            "What to compare: the first stage that is trained (head, last, all or a stage), and strategies (frozen, fine-tune, lp-ft, gradual, scratch).",
            valueName: "list"))
    var strategies = "head,last,all"
    @Option(
        help: ArgumentHelp(
            "Trainings of each strategy, each with another seed and, if the data set has no test or validation images of its own, another split. (default: 1)",
            valueName: "N"))
    var seeds: Int?
    @Option(help: ArgumentHelp("Cross-validation with K stratified folds.", valueName: "K")) var folds: Int?
    @Flag(help: "Also train on an eighth, a quarter and a half of the training images.") var learningCurve = false
    @OptionGroup(title: "Head") var head: HeadOptions
    @OptionGroup(title: "Optimizer and schedule") var steps: StepOptions
    @OptionGroup(title: "Preprocessing") var recipe: RecipeOptions
    @OptionGroup(title: "Computation") var compute: ComputeOptions
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        if seeds != nil, folds != nil {
            throw ValidationError(
                "--seeds and --folds exclude each other: seeds repeat the training, folds score every image once. Leave one of them out."
            )
        }
        if folds != nil, job.test != nil {
            throw ValidationError(
                "--test has no effect with --folds, which score every image once. Leave one of them out.")
        }
        if let test = job.test, Double(test) == 0 {
            throw ValidationError("cannot use '--test 0': compare needs test images. For example: --test 0.2")
        }
        let entries = try entries()
        // A flag must mean something to at least one of the strategies.
        let unused = entries.map {
            steps.unused(by: $0.strategy, head, $0.unfreezing) + compute.unused(by: $0.strategy, $0.unfreezing)
        }
        if let (flag, reason) = unused[0].first(where: { flag in
            unused.allSatisfy { $0.contains { $0.flag == flag.flag } }
        }) {
            throw ValidationError("\(flag) \(reason)")
        }
        let heads = entries.map { headOptions(for: $0.strategy).unused(by: $0.strategy) }
        if let reason = heads[0], heads.allSatisfy({ $0 != nil }) { throw ValidationError(reason) }
        for entry in entries {
            do { try settings(entry).check() } catch let error as SettingsError {
                throw ValidationError("--strategies \(entry.name): \(error.reason)")
            }
        }
    }

    func run(_ ranks: Ranks) async throws {
        let console = Console(output, isMute: !ranks.isFirst, finishes: true)
        let started = ContinuousClock.now
        let basePath = try job.basePath()
        let path = ranks.agree(job.folderPath("compare-", basePath, data))
        let folder = ranks.isFirst ? try job.openFolder(path) : RunFolder(sharing: path)
        Interruption.resumes { StrategyComparison.hasBegun(in: path) }
        let thread = try compute.makeThread(learning: steps.trainPrecision, console)
        let dataset = try job.load(data)
        for text in warnings(dataset) { console.report(.warning(text)) }
        let loaded = try Installation.loadFeatures(basePath, weightsKey: job.weights.weightsKey, console)
        for entry in try entries() where entry.strategy != .scratch {
            do { _ = try entry.unfreezing?.firstStage(of: loaded.network) } catch let error as FreezeError {
                throw UsageError(description: error.text(after: "--strategies"))
            }
        }
        let baseFile = try HashedFile(basePath)
        let base = try await recipe.resolve(loaded, dataset, ranks: ranks, thread, console).measured(
            for: compute.precision ?? .native, on: dataset, cache: nil, isBase: true, ranks: ranks, thread,
            console.report)
        let contenders = try entries().map { entry in
            if entry.strategy == .scratch {
                let model = try job.loadBase(steps.architecture, dataset, seed: data.seed, console)
                return Contender(
                    name: entry.name, base: try recipe.resolve(model, depth: base.recipe?.depth),
                    settings: settings(entry))
            }
            return Contender(name: entry.name, base: base, settings: settings(entry))
        }
        for text in repetitions(contenders) + otherHeads(contenders) { console.report(.warning(text)) }
        var design = ComparisonSettings()
        design.seeds = seeds ?? 1
        design.folds = folds
        design.hasLearningCurve = learningCurve
        design.validation = job.validation
        design.test = job.test.flatMap { Double($0) } ?? design.test
        design.seed = data.seed

        let context = TrainingContext(
            checkpointPath: nil, resumes: job.resume, helper: Installation.helper, ranks: ranks,
            shouldStop: { Interruption.isWished }, looksForStop: Interruption.await)
        let comparison = StrategyComparison(contenders, on: dataset, design, in: folder, context, thread: thread)
        guard ranks.isFirst else {
            _ = try await comparison.run(console.report)
            return
        }
        try folder.begin(
            try comparison.identity(), command: "compare", arguments: FileSystem.arguments)
        let log = try EventLog(folder, console, continuing: job.resume, draws: false)
        log.report(
            .note(
                "\(dataset.summary). Comparing \(contenders.map(\.name).joined(separator: ", ")) on \(Path.name(of: basePath)).",
                ["images": .integer(dataset.items.count), "strategies": JSON(contenders.map(\.name))]))
        guard let result = try await folder.recordingFailure({ try await comparison.run(log.report) }) else {
            return
        }
        let record = ComparisonRecord(
            result: result, classes: dataset.classes, baseFile: baseFile, seconds: seconds(.now - started))
        try folder.prepareForResults()
        folder.removeOldResults()
        try record.write(to: folder)
        try ComparisonReport(
            record: record, dataset: dataset, recipe: base.recipe, dataPath: data.data,
            baseName: Path.name(of: basePath)
        ).page().write(to: folder.file("report.html"))
        try folder.finish()
        log.report(.done(record.summary(folder)))
        try log.finish()
        if !output.json { record.printTable(console) }
        try console.finish()
    }

    /// What is said of fractions that divide nothing. Folds divide all images anew.
    private func warnings(_ dataset: ImageDataset) -> [String] {
        if folds != nil { return [] }
        let own = dataset.ownParts
        // Validation images of a data set without test images are scored, and others choose epochs.
        return [
            own.contains(.test) ? job.warning(of: .validation, in: dataset, replacedBy: .validation) : nil,
            job.warning(of: .test, in: dataset, replacedBy: own.contains(.test) ? .test : .validation),
        ].compactMap(\.self)
    }

    /// What is said of strategies that are the same training under two names.
    private func repetitions(_ contenders: [Contender]) -> [String] {
        func key(_ contender: Contender) -> String {
            let unfreezing = contender.settings.steps.unfreezing
            let first =
                contender.settings.strategy == .frozen ? nil : try? unfreezing.firstStage(of: contender.base.network)
            return contender.settings.strategy.rawValue + " " + (first ?? "")
        }
        return contenders.indices.compactMap { index in
            let first = contenders.firstIndex { key($0) == key(contenders[index]) } ?? index
            guard first < index else { return nil }
            return
                "--strategies: '\(contenders[first].name)' and '\(contenders[index].name)' are the same training. Leave one of them out to save its time."
        }
    }

    /// What is said of a head that only some of the strategies have.
    private func otherHeads(_ contenders: [Contender]) -> [String] {
        guard case .convex(let convex) = head.head, convex != .logistic else { return [] }
        let others = contenders.filter { $0.settings.strategy != .frozen }.map { "'\($0.name)'" }
        guard !others.isEmpty else { return [] }
        return [
            "--head \(convex.rawValue) is fitted to frozen features and cannot be trained further: \(others.joined(separator: " and ")) \(others.count == 1 ? "begins" : "begin") with a linear head instead."
        ]
    }

    // MARK: Strategies

    /// One of `--strategies`.
    private struct Entry {
        let name: String
        let strategy: Strategy
        let unfreezing: Unfreezing?
    }

    private func entries() throws -> [Entry] {
        let names = strategies.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard Set(names).count == names.count else {
            throw ValidationError("cannot use '--strategies \(strategies)': it names a strategy twice. Name each once.")
        }
        return try names.map { name in
            guard let strategy = Strategy(rawValue: name) else {
                return Entry(
                    name: name, strategy: name == "head" ? .frozen : .headFirst,
                    unfreezing: name == "head" ? nil : Unfreezing(name))
            }
            if strategy == .scratch, steps.architecture == nil {
                throw ValidationError(
                    "--strategies scratch needs an --architecture, for example --architecture resnet20.")
            }
            return Entry(name: name, strategy: strategy, unfreezing: nil)
        }
    }

    /// What of the head's flags a strategy can take: a head that is solved is for frozen features alone.
    private func headOptions(for strategy: Strategy) -> HeadOptions {
        var options = head
        if case .convex = options.head, strategy != .frozen { options.head = nil }
        if strategy != .frozen, !strategy.beginsWithFittedHead { options.featureScaling = nil }
        return options
    }

    private func settings(_ entry: Entry) -> TrainingSettings {
        let options = headOptions(for: entry.strategy)
        var settings = TrainingSettings(entry.strategy, job: job, data, options, compute)
        settings.steps = steps.settings(entry.strategy, settings.head, unfreezing: entry.unfreezing)
        guard entry.strategy == .frozen, strategies != entry.name else { return settings }
        if case .layers = settings.head {
            // The same head that the other strategies begin with.
            return settings.ofHead
        }
        // Flags for those that step mean nothing to a head that is solved.
        var own = StepSettings(.frozen)
        if let augment = steps.augment { (own.augmentation, own.views) = (augment, steps.views) }
        settings.steps = own
        return settings
    }
}
