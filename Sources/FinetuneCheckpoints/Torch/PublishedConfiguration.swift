// What stands beside a state dict in words: timm's and transformers' `config.json` and `preprocessor_config.json`, and what
// a checkpoint says of its own network. All of it is followed, refused or named.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

/// The network and the images that the documents of a file describe.
struct PublishedConfiguration {
    /// Names of documents in `NamedArrays`.
    static let config = "config.json"
    static let preprocessor = "preprocessor_config.json"

    /// The name of a document that is there and could not be read; its text says why.
    static func damaged(_ name: String) -> String { "\(name) (damaged)" }

    private(set) var graph: PublishedGraph
    private var preprocessing: ((inout InputRecipe) throws -> Void, source: String)?
    private var warnings: [String] = []

    /// - Parameter family: Which the tensors are of.
    /// - Throws: `CheckpointError` for a network that is not read, or a value that makes no sense.
    init(_ documents: [String: JSON], family: any Family.Type, path: String) throws {
        graph = PublishedGraph(family: family)
        for name in [Self.config, Self.preprocessor] {
            guard let reason = documents[Self.damaged(name)]?.stringValue else { continue }
            warnings.append(
                "\(name) beside the file cannot be read (\(reason)) and is not used: preprocessing and architecture may be other than it says."
            )
        }
        do {
            if let json = documents[NamedArrays.checkpoint] { try graph.read(checkpoint: json) }
            if let pixels = graph.pixels { preprocessing = ({ $0 = $0.with(pixels) }, "meta in the checkpoint") }
            if let images = graph.timmImages {
                try use(images, "args in the checkpoint") { try ImageProcessor(timm: &$0) }
            }
            if let json = documents[Self.config] { try read(config: json) }
        } catch let misfit as ConfigurationReader.Misfit {
            throw CheckpointError.cannotLoad(path, "\(misfit.reason).")
        }
        do {
            if let json = documents[Self.config] { try read(images: json) }
            if let json = documents[Self.preprocessor] { try read(preprocessor: json) }
        } catch let misfit as ConfigurationReader.Misfit {
            throw Self.refusal(misfit, path)
        }
        warnings += graph.warnings
    }

    private mutating func read(config json: JSON) throws {
        guard json.members != nil else {
            warnings.append("config.json beside the file is no JSON object and is not used.")
            return
        }
        let isTimm = json["pretrained_cfg"] != nil || json["architecture"] != nil || json["model_args"] != nil
        let isTransformers = json["model_type"] != nil || json["architectures"] != nil || json["hidden_sizes"] != nil
        guard isTimm || isTransformers else {
            let keys = (json.members ?? []).prefix(6).map(\.key).joined(separator: ", ")
            warnings.append(
                "config.json beside the file is neither timm's nor transformers' and is not used (its keys: \(keys)).")
            return
        }
        if isTransformers { try graph.read(transformers: json, alsoTimm: isTimm) } else { try graph.read(timm: json) }
    }

    /// The error of a preprocessing that is not followed, which the user may know better.
    private static func refusal(_ misfit: ConfigurationReader.Misfit, _ path: String) -> CheckpointError {
        .cannotLoad(
            path, "\(misfit.reason). Correct it, or move that file away and say the preprocessing with --recipe.")
    }

    /// What timm's `config.json` says of images.
    private mutating func read(images json: JSON) throws {
        let isTimm = json["architecture"] != nil || json["model_args"] != nil
        if let cfg = json["pretrained_cfg"], cfg != .null {
            try use(cfg, "pretrained_cfg in config.json") { try ImageProcessor(timm: &$0) }
        } else if isTimm, json["mean"] != nil || json["input_size"] != nil {
            // timm of before 2023 has the same words one level higher, among those of the network.
            try use(json, Self.config, saysUnknown: false) { try ImageProcessor(timm: &$0) }
        }
    }

    private mutating func read(preprocessor json: JSON) throws {
        guard json.members != nil else {
            warnings.append("preprocessor_config.json beside the file is no JSON object and is not used.")
            return
        }
        // transformers' wrapper of timm writes timm's words there.
        if let cfg = json["pretrained_cfg"] {
            try use(cfg, "pretrained_cfg in preprocessor_config.json") { try ImageProcessor(timm: &$0) }
        } else {
            try use(json, Self.preprocessor) { try ImageProcessor(transformers: &$0) }
        }
    }

    /// Takes a preprocessing from a document, and what there is to say about it.
    private mutating func use(
        _ json: JSON, _ source: String, saysUnknown: Bool = true,
        _ make: (inout ConfigurationReader) throws -> ImageProcessor
    ) throws {
        var reader = ConfigurationReader(json, source: source)
        let processor = try make(&reader)
        if saysUnknown, let warning = reader.warning { warnings.append(warning) }
        warnings += processor.warnings
        preprocessing = (processor.apply(to:), source)
    }

    /// Puts what the documents say of images and classes into the model.
    func apply(to model: inout Model, convention: InputRecipe, path: String) throws {
        model.notes += warnings
        if let (apply, source) = preprocessing, model.readsPictures {
            var recipe = convention
            do {
                try apply(&recipe)
            } catch let misfit as ConfigurationReader.Misfit {
                throw Self.refusal(misfit, path)
            }
            model.recipe = recipe
            model.recipeSource = source
        }
        if let name = graph.architecture {
            let depth = name.drop { !$0.isNumber }.prefix { $0.isNumber }
            if !depth.isEmpty, !["-\(depth) ", "-\(depth)-", "-\(depth),"].contains(where: model.network.name.contains)
            {
                model.notes.append(
                    "config.json names the architecture '\(name)', and the weights are those of a \(model.network.name). The weights are used."
                )
            }
        }
        guard let outputs = model.headOutputs else { return }
        if let classes = graph.classCount, classes != outputs {
            model.notes.append(
                "config.json beside the file is for \(classes) classes, the file's head has \(outputs); its preprocessing is used all the same."
            )
        }
        if let names = graph.classNames, names.count == outputs { model.classes = names }
        if let meaning = graph.outputMeaning { model.outputMeaning = meaning }
    }
}
