// finetune check: what is wrong with a data set, before it costs a run.

internal import ArgumentParser
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetunePipeline
internal import FinetuneTraining

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Finds what is wrong with a data set before it costs a run.",
        discussion: """
            Unreadable files and files of another type than their name says; the same picture twice (also scaled, compressed \
            again or mirrored), in two splits or under two labels; groups in two splits; classes that are missing, small or \
            rare; empty folders; odd sizes; and likely label errors, found by cross-validation on the base's features.

            EXAMPLES
              finetune check --data ./imgs
              finetune check --data ./imgs --strict --fix-list look-at.csv
            """)

    @Option(
        help: ArgumentHelp(
            "The network whose features are used to find likely label errors: \(weightsHelp). (default: the bundled one)",
            valueName: "file"))
    var base: String?
    @OptionGroup var weights: WeightsOptions
    @OptionGroup(title: "Data") var data: DataOptions
    @Flag(help: "End with exit code 3 if anything but a remark or a likely label error is found.") var strict = false
    @Option(help: ArgumentHelp("Write a table of the images to remove or to look at again.", valueName: "file.csv"))
    var fixList: String?
    @OptionGroup var cache: CacheOptions
    @OptionGroup(title: "Preprocessing") var recipe: RecipeOptions
    @OptionGroup(title: "Computation") var compute: ComputeOptions
    @OptionGroup(title: "Output") var output: OutputOptions

    func run() async throws {
        let console = Console(output)
        let started = ContinuousClock.now
        let thread = try compute.makeThread(console)
        let dataset = try data.load(forTraining: true).labelled
        let loaded = try Installation.loadFeatures(
            try base ?? Installation.defaultBase(), weightsKey: weights.weightsKey, console)
        var settings = TrainingSettings()
        settings.seed = data.seed
        settings.precision = compute.precision ?? .native
        settings.cache = cache.folder
        let check: DataCheck
        do {
            let model = try await recipe.resolve(loaded, dataset, thread, console).measured(
                for: settings.precision, on: dataset, cache: settings.cache, isBase: true, thread, console.report)
            check = try await DataCheck(of: dataset, model, settings, thread: thread, console.report)
        } catch let error as PipelineError {
            // What is wrong with the place of the images says more than that they cannot be read.
            if !dataset.classes.isEmpty || dataset.obstacle != nil { try dataset.checkClasses() }
            throw error
        }
        let findings = check.findings
        if let fixList { try AtomicFile.write(findings.fixList, to: fixList) }
        console.report(
            .done([
                "images": .integer(check.images), "findings": .array(findings.map(\.json)),
                "counts": .object(findings.counts.map { .init($0.kind.rawValue, .integer($0.count)) }),
                "labels": check.labels?.record ?? .null,
                "seconds": ["total": .number(seconds(.now - started))],
                "peak_rss_mb": .number(ProcessMeter.peakMegabytes),
            ]))
        if !output.json { printFindings(check, console) }
        if let refusal = check.refusal { throw refusal }
        if strict, !findings.grave.isEmpty {
            let words = findings.grave.counts.map { kind, images in
                kind.words(findings.count { $0.kind == kind }, images: images)
            }.joined(separator: ", ")
            throw GateError(description: "the data set does not pass the check: \(words).")
        }
    }

    private func printFindings(_ check: DataCheck, _ console: Console) {
        console.writeOut(
            check.counts.text + (check.findings.isEmpty && check.refusal == nil ? " No problems found." : ""))
        for (kind, images) in check.findings.counts {
            let number = check.findings.count { $0.kind == kind }
            console.writeOut("\n\(kind.words(number, images: images))")
            let ofKind = check.findings.filter { $0.kind == kind }
            for finding in ofKind.prefix(Self.shown) {
                console.writeOut("  \(finding.detail.printable())", isSentence: true)
            }
            if ofKind.count > Self.shown {
                console.writeOut("  … and \(ofKind.count - Self.shown) more: --fix-list or --json has all.")
            }
        }
        if let verdict = check.labels?.verdict { console.writeOut("\n\(verdict)") }
    }

    private static let shown = 10
}

/// Where what was computed of images stays.
struct CacheOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Folder of the feature cache, at most 10 GB; off for none. (default: $XDG_CACHE_HOME/finetune)",
            valueName: "folder|off"))
    var cache: String?

    /// Nil where nothing is kept.
    var folder: FeatureCache? { Installation.cache(cache) }
}
