// finetune predict: labels for images.

internal import ArgumentParser
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneTraining

struct PredictCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "predict",
        abstract: "Labels images.",
        discussion: """
            EXAMPLES
              finetune predict --model runs/a/model.h5 photo.jpg
              finetune predict --model runs/a/model.h5 ./folder --format csv > labels.csv
              finetune predict --model runs/a/model.h5 ./folder --abstain-below 0.8
              find . -name '*.jpg' | finetune predict --model runs/a/model.h5 - --top 3
              find . -name '*.jpg' -print0 | finetune predict --model runs/a/model.h5 -0 -
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, csv, json, jsonl }

    @OptionGroup var model: ModelOptions
    @Argument(
        help: ArgumentHelp(
            "Pictures, folders of pictures, or - for names on standard input. A name that begins with -: ./-x.jpg.",
            valueName: "path"))
    var paths: [String]
    @Flag(
        name: .customShort("0"),
        help: "Names on standard input end with a zero byte, as `find -print0` writes them.")
    var endsWithZero = false
    @Option(help: "How many of the most probable classes to show.") var top = 1
    @Option(help: "The form of the result: text, csv, json or jsonl.") var format = Format.text
    @Option(
        help: ArgumentHelp(
            "Give no label if the most probable class has less than this probability.", valueName: "0…1"))
    var abstainBelow: Double?
    @OptionGroup(title: "Preprocessing") var recipe: RecipeOptions
    @OptionGroup(title: "Computation") var compute: ComputeOptions
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        try recipe.refuseAutomaticDepth()
        if endsWithZero, !paths.contains("-") {
            throw ValidationError(
                "-0 has an effect only on names on standard input. For example: find . -name '*.jpg' -print0 | finetune predict --model runs/first/model.h5 -0 -"
            )
        }
        if output.json, format == .csv {
            throw ValidationError(
                "--json and --format csv exclude each other: --json prints JSON lines. Leave one of them out.")
        }
    }

    func run() async throws {
        let console = Console(output)
        let started = ContinuousClock.now
        let dataset = ImageDataset(files: try files(console))
        let thread = try compute.makeThread(console)
        var loaded = try Installation.loadClassifier(model.model, weightsKey: model.weights.weightsKey, console)
        loaded = try await recipe.resolve(loaded, dataset, thread, console)
        let classes =
            try model.classes.map(classNames) ?? loaded.classes
            ?? (0..<(loaded.headOutputs ?? 0)).map { String($0) }
        let precision: Precision
        (loaded, precision) = loaded.computable(in: compute.precision, console.report)
        loaded = try await loaded.measured(
            for: precision, on: dataset, cache: Installation.cache(nil), isBase: false, thread, console.report)
        let predictor = try await Predictor(
            loaded, classes: classes, precision: precision, imageCount: dataset.items.count, thread: thread)
        var rows: [JSON] = []
        var count = 0
        var abstained = 0
        if format == .csv, !output.json {
            let further = (1..<max(1, min(top, classes.count))).flatMap { ["label\($0 + 1)", "probability\($0 + 1)"] }
            console.writeOut(
                String(CSV.line(["path", "label", "probability"] + further).dropLast()), isExact: true)
        }
        let skipped = try await predictor.predict(dataset) { done, total in
            console.report(.progress(stage: "images", done: done, total: total))
        } each: { item, _, probabilities in
            count += 1
            let best = probabilities.indices.sorted { (probabilities[$1], $0) < (probabilities[$0], $1) }.prefix(top)
            let name = dataset.items[item].name
            let abstains = probabilities[best[0]] < abstainBelow ?? 0
            if abstains { abstained += 1 }
            var row: [JSON.Member] = [
                .init("path", .string(name)), .init("label", abstains ? .null : .string(classes[best[0]])),
                .init("probability", .number(probabilities[best[0]])),
                .init(
                    "top",
                    .array(best.map { ["label": .string(classes[$0]), "probability": .number(probabilities[$0])] })),
            ]
            if abstainBelow != nil { row.append(.init("abstained", .bool(abstains))) }
            if output.json { return console.report(.prediction(.object(row))) }
            switch format {
            case .text:
                let shown = best.map { "\(classes[$0].printable()) \(probabilities[$0].percent)" }.joined(
                    separator: "  ")
                console.writeOut("\(name.printable())  \(abstains ? "?  (\(shown))" : shown)")
            case .csv:
                var fields = best.flatMap { [classes[$0], "\(probabilities[$0])"] }
                if abstains { fields[0] = "" }
                console.writeOut(String(CSV.line([name] + fields).dropLast()), isExact: true)
            case .jsonl: console.writeOut(JSON.object(row).text, isExact: true)
            case .json: rows.append(.object(row))
            }
        }
        if format == .json, !output.json { console.writeOut(JSON.array(rows).prettyText, isExact: true) }
        if let warning = predictor.extractor.depthWarning { console.report(.warning(warning)) }
        for image in skipped { console.report(.skipped(name: image.name, reason: image.reason)) }
        if !skipped.isEmpty || abstained > 0 {
            let counts = ImageCounts(
                found: count + skipped.count, skipped: skipped.count,
                uses: [("labelled", count - abstained), ("without a label (--abstain-below)", abstained)])
            console.say(counts.text)
        }
        if count == 0 {
            throw TrainingError(
                .unusableData,
                skipped.count == 1
                    ? "cannot predict: the file is not a picture that can be read."
                    : "cannot predict: none of the \(skipped.count) files is a picture that can be read.")
        }
        console.report(
            .done([
                "images": .integer(count), "skipped": .integer(skipped.count), "abstained": .integer(abstained),
                "seconds": ["total": .number(seconds(.now - started))],
            ]))
    }

    /// Every picture that the arguments name.
    private func files(_ console: Console) throws -> [String] {
        var files: [String] = []
        for path in paths {
            if path == "-" {
                files += try StandardStream.inputNames(endsWithZero: endsWithZero)
            } else if FileSystem.kind(of: path) == .directory {
                let (pictures, remarks) = try ImageDataset.pictures(below: path)
                remarks.report { console.report($0) }
                files += pictures
            } else if FileSystem.kind(of: path) == nil {
                throw FileSystem.obstacle(to: path)
                    ?? FileError(.missing, "cannot read '\(path)': there is nothing at that path.")
            } else if let collection = FileRole.collection(at: path) {
                throw UsageError(
                    description:
                        "cannot label '\(path)': it is \(collection). Give pictures, folders of pictures, or their names on standard input. To score a model on labelled images: finetune evaluate --model \(model.model.shellWord) --data \(path.shellWord)"
                )
            } else {
                files.append(path)
            }
        }
        guard !files.isEmpty else {
            throw FileError(
                .missing,
                paths.allSatisfy { $0 == "-" }
                    ? "cannot predict: standard input names no pictures."
                    : "cannot predict: no pictures were found in \(paths.joined(separator: ", ")).")
        }
        return files
    }
}
