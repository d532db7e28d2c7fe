// finetune convert: one weights format to another.

internal import ArgumentParser
internal import FinetuneCheckpoints
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetuneTraining

extension ModelFile.Format: ExpressibleByArgument {
    /// The ending of its files.
    fileprivate var ending: String {
        switch self {
        case .native, .keras, .torch: "h5"
        case .safetensors: "safetensors"
        case .onnx: "onnx"
        }
    }
}

struct ConvertCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Writes a model in another format.",
        discussion: """
            keras and torch are HDF5 in those dialects: a whole model for load_model, a state dict. onnx takes the pixels \
            of a resized crop (uint8, RGB) and ends in probabilities; classes and preprocessing are its metadata.

            EXAMPLES
              finetune convert runs/a/model.h5 model.onnx
              finetune convert runs/a/model.h5 model.safetensors
              finetune convert resnet50.h5 whole.h5 --to keras
            """)

    @Argument(help: ArgumentHelp("The network: \(weightsHelp).", valueName: "in")) var input: String
    @Argument(help: ArgumentHelp("The file to write.", valueName: "out")) var out: String
    @Option(
        help: ArgumentHelp(
            "native, keras, torch, safetensors or onnx. (default: by the ending of OUT: .h5 is native, .safetensors, .onnx)",
            valueName: "format"))
    var to: ModelFile.Format?
    @Option(help: ArgumentHelp("A file with the names of the outputs in order, one on each line.", valueName: "file"))
    var classes: String?
    @Flag(help: "Make batch norms part of the convolutions before them: the same numbers from fewer layers.")
    var fold = false
    @OptionGroup var weights: WeightsOptions
    @OptionGroup(title: "Preprocessing") var recipe: RecipeOptions
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        try recipe.refuseAutomaticDepth()
        let ending = Path.fileExtension(of: out)
        let stem = ending.isEmpty ? out : String(out.dropLast(ending.count + 1))
        guard let to else {
            guard ModelFile.Format(fileName: out) == nil else { return }
            let format = Self.formats[ending] ?? .native
            let further = format == .native || format == .onnx ? "" : " --to \(format.rawValue)"
            throw ValidationError(
                "cannot write '\(out)': expected a name that ends in .h5, .safetensors or .onnx, or the format with --to. Did you mean \(line("\(stem).\(format.ending)"))\(further)?"
            )
        }
        if ending != to.ending, let other = Self.formats[ending], !(ending == "hdf5" && to.ending == "h5") {
            let own = other.ending == ending ? other.rawValue : "another format"
            throw ValidationError(
                "cannot use '--to \(to.rawValue)' with '\(out)': .\(ending) is the ending of \(own), and \(to.rawValue) is written as .\(to.ending). Did you mean \(line("\(stem).\(to.ending)")) --to \(to.rawValue)?"
            )
        }
    }

    /// The command with another name of the file to write.
    private func line(_ out: String) -> String { "finetune convert \(input.shellWord) \(out.shellWord)" }

    /// Endings of weights and graphs, and what comes closest to them.
    private static let formats: [String: ModelFile.Format] = [
        "h5": .native, "hdf5": .native, "keras": .keras, "safetensors": .safetensors, "onnx": .onnx, "pt": .torch,
        "pth": .torch, "ckpt": .torch, "bin": .safetensors, "pb": .onnx, "tflite": .onnx, "mlmodel": .onnx,
        "mlpackage": .onnx, "engine": .onnx, "xml": .onnx,
    ]

    func run() async throws {
        let console = Console(output, finishes: true)
        TemporaryFiles.removeLeftovers(in: Path.parent(of: out))
        guard let format = to ?? ModelFile.Format(fileName: out) else { return }
        if let read = FileSystem.identity(of: input), read == FileSystem.identity(of: out) {
            throw UsageError(
                description: "cannot write '\(out)': it is the file that is read. Choose another name.")
        }
        var model = try recipe.resolve(try Installation.loadFeatures(input, weightsKey: weights.weightsKey, console))
        if let recipe = model.recipe, let last = model.network.nodes.last?.name,
            model.network.outputShape(of: last, height: recipe.height, width: recipe.width) == nil
        {
            throw model.network.tooSmall(for: last, height: recipe.height, width: recipe.width)
        }
        if let classes {
            let names = try classNames(in: classes)
            guard names.count == model.headOutputs else {
                throw UsageError(
                    description:
                        "cannot use '--classes \(classes)': it names \(names.count.counted("class", "classes")), expected one name for each of the \((model.headOutputs ?? 0).counted("output")) of the head."
                )
            }
            model.classes = names
        }
        if fold {
            let (folded, count, left) = model.folded()
            model = folded
            let rest = left > 0 ? ", \(left) that follow no convolution left" : ""
            console.report(.note("Folded: \(count.counted("batch norm"))\(rest).", ["folded": .integer(count)]))
        }
        if model.recipe == nil, format == .onnx {
            console.report(
                .warning(
                    "The file does not say which preprocessing it needs, so the input of the ONNX graph is preprocessed floats. To put preprocessing into the graph: --recipe."
                ))
        }
        if model.outputMeaning == .labels, model.headOutputs == 1, format == .keras || format == .onnx {
            console.report(.note("The output with a sigmoid becomes two classes with a softmax, 1 − p and p.", [:]))
        }
        if model.headOutputs == nil {
            console.report(.note("The network has no head, so the output of '\(out)' is its features.", [:]))
        }
        let tensors = try ModelFile.write(model, to: out, as: format)
        console.report(
            .done(["out": .string(out), "format": .string(format.rawValue), "tensors": .integer(tensors)]))
        if !output.json { console.writeOut(out) }
        try console.finish()
    }
}
