// finetune extract: features of every image, in a file.

internal import ArgumentParser
internal import FinetuneCheckpoints
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneRanks
internal import FinetuneTraining

extension FeatureFile.Element: ExpressibleByArgument {}

struct ExtractCommand: SharedCommand {
    static let configuration = CommandConfiguration(
        commandName: "extract",
        abstract: "Writes the features of every image to a file.",
        discussion: """
            EXAMPLES
              finetune extract --base resnet50.h5 --data ./imgs --out features.npz
              finetune extract --base resnet50.h5 --data ./imgs --layer stage3 \\
                  --dtype float16 --out stage3.h5
              finetune extract --base resnet50.h5 --data ./million --out million.npy \\
                  --resume
            """)

    @Option(help: ArgumentHelp("A pretrained network: \(weightsHelp). (default: the bundled one)", valueName: "file"))
    var base: String?
    @OptionGroup var weights: WeightsOptions
    @OptionGroup(title: "Data") var data: DataOptions
    @Option(help: ArgumentHelp("The file to write: .npz, .npy, .h5 or .csv.", valueName: "file")) var out: String
    @Option(
        help: ArgumentHelp(
            "A stage (stem, stage1 …: its output), pooled (what feeds the head), or logits.", valueName: "name"))
    var layer = "pooled"
    @Option(help: "Number format of the features: float32 or float16.") var dtype = FeatureFile.Element.float32
    @Option(help: "The split to extract: train, val, test or all.") var split = SplitChoice.all
    @Flag(
        help:
            "Keep features in OUT.features until the file is complete, and continue a stopped run from there."
    )
    var resume = false
    @OptionGroup(title: "Preprocessing") var recipe: RecipeOptions
    @OptionGroup(title: "Computation") var compute: ComputeOptions
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        if data.groupBy != nil {
            throw ValidationError("--group-by has no effect: extract makes no splits. Leave it out.")
        }
        if dtype == .float16, Path.fileExtension(of: out) == "csv" {
            throw ValidationError(
                "--dtype float16 has no effect on a .csv, which holds decimal numbers. Leave it out, or write .npz, .npy or .h5."
            )
        }
    }

    func run(_ ranks: Ranks) async throws {
        let console = Console(output, isMute: !ranks.isFirst, finishes: true)
        let started = ContinuousClock.now
        if ranks.isFirst {
            TemporaryFiles.removeLeftovers(in: Path.parent(of: out))
            // What cannot be written costs no time then.
            _ = try AtomicFile(out)
        }
        Interruption.resumes { [resume, folder = out + ".features"] in resume && FileSystem.kind(of: folder) != nil }
        let basePath = try base ?? Installation.defaultBase()
        let thread = try compute.makeThread(console)
        // First of all: what listing many images leaves is gone before the network takes its place.
        let dataset = try split.selecting(data.load())
        console.report(remarksOf: dataset)
        var model = try Installation.loadFeatures(basePath, weightsKey: weights.weightsKey, console)
        guard let node = model.network.node(forLayer: layer) else {
            if layer == "logits", let head = model.leftOutHead {
                throw TrainingError(
                    .unusableData,
                    "cannot extract the logits of '\(basePath)': its head (\(head.layers)) is not read: \(head.reason). Without --layer the features that feed it are written."
                )
            }
            let layers = model.network.layers
            throw FlagRules.rule(for: "--layer")?.refusal(
                of: layer, after: "--layer", expected: "\(layers.alternatives), the layers of this network")
                ?? UsageError(description: "the network has no layer '\(layer)'")
        }
        let load = seconds(.now - started)
        model = try await recipe.resolve(model, dataset, ranks: ranks, thread, console)
        let precision: Precision
        (model, precision) = model.computable(in: compute.precision, console.report)
        model = try await model.measured(
            for: precision, on: dataset, cache: Installation.cache(nil), isBase: false, ranks: ranks, thread,
            console.report)
        // Where features stay until all are written, by one of the ranks; else what other runs know is found.
        let kept = FeatureCache(folder: out + ".features", byteLimit: .max, bytesLeftFree: 1 << 26)
        let keeping =
            ranks.count > 1 || resume
            ? FeatureKeeping.writing(kept, rows: dataset.items.count, element: .float32, ranks: ranks)
            : FeatureKeeping.reading(Installation.cache(nil), element: .float32)
        let extractor = try await FeatureExtractor(
            model, node: node, inputShape: dataset.inputShape, precision: precision, imageCount: dataset.items.count,
            keeping: keeping, thread: thread)
        model.weights = [:]  // They are packed into the program; the originals need not stay.
        let compiled = ContinuousClock.now
        var filled: FeatureExtractor.Filled?
        if ranks.count > 1 {
            filled = try await FeatureExtractor.fill([extractor], from: dataset, ranks: ranks) { done, total in
                console.report(.progress(stage: "features", done: done, total: total))
            }
            guard ranks.isFirst else { return }
        }
        var skipped: [FeatureExtractor.Skipped] = []
        var cost = FeatureExtractor.Cost()
        var count = 0
        try await FeatureFile.write(
            to: out, FeatureFile.Format(rawValue: Path.fileExtension(of: out)) ?? .npz, rowShape: extractor.outputShape,
            element: dtype, classes: dataset.classes, attributes: try attributes(basePath, model, extractor)
        ) { item in
            let entry = dataset.items[item]
            return FeatureRow(path: entry.name, label: entry.label ?? -1, split: entry.part?.rawValue)
        } body: { append in
            let hashes = filled.map { Dictionary(uniqueKeysWithValues: zip($0.items, $0.hashes)) } ?? [:]
            (skipped, cost) = try await extractor.run(dataset, items: filled?.items, hashes: hashes) { done, total in
                console.report(.progress(stage: filled == nil ? "features" : "write", done: done, total: total))
            } consume: { chunk in
                count += chunk.items.count
                try append(chunk.values, chunk.items)
            }
            if let filled {
                skipped += filled.skipped
                cost = FeatureExtractor.Cost(load: filled.cost.load, network: filled.cost.networks[0])
            }
            try PipelineError.check(skipped, of: dataset.items.count)
        }
        extractor.store?.removeFiles()
        if resume { kept.remove() }
        let features = seconds(.now - compiled)
        if let warning = extractor.depthWarning { console.report(.warning(warning)) }
        for image in skipped { console.report(.skipped(name: image.name, reason: image.reason)) }
        console.report(
            .done([
                "out": .string(out), "images": .integer(count), "dimensions": JSON(extractor.outputShape),
                "precision": .string(precision.rawValue), "skipped": .integer(skipped.count),
                "seconds": [
                    "load": .number(load), "features": .number(features), "total": .number(seconds(.now - started)),
                ],
                "cpu_seconds": [
                    "decode": .number(cost.load.processorSeconds), "network": .number(cost.network.processorSeconds),
                ],
                "images_per_second": .number(Double(count) / max(features, 1e-9)),
                "peak_rss_mb": .number(ProcessMeter.peakMegabytes),
            ]))
        console.say(
            "\(ImageCounts(found: count + skipped.count, skipped: skipped.count).text) \(extractor.outputShape.map { String($0) }.joined(separator: "×")) features per image, computed in \(precision.rawValue) at \((Double(count) / max(features, 1e-9)).rounded(toPlaces: 1)) images/s."
        )
        if !output.json { console.writeOut(out) }
        try console.finish()
    }

    private func attributes(_ basePath: String, _ model: Model, _ extractor: FeatureExtractor) throws -> [(
        String, String
    )] {
        guard Path.fileExtension(of: out) == "h5" else { return [] }
        return [
            ("base", Path.name(of: basePath)), ("base_hash", try HashedFile(basePath).hash),
            ("layer", layer), ("precision", extractor.precision.rawValue),
            ("preprocessing", model.recipe?.json.text ?? "none"),
        ]
    }
}
