// The network that a configuration describes, as far as the tensors' shapes do not show it: a state dict of a network
// with blur pooling has the same names as one without.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

/// What configurations say of a network and its outputs.
struct PublishedGraph {
    /// Which the tensors are of.
    let family: any Family.Type
    /// Whether the stride is taken by the first convolution of a bottleneck.
    private(set) var stridesFirst = false
    private(set) var firstStride = 1
    private(set) var activation = Activation.relu
    /// Between the convolutions of a block, if that is another one.
    private(set) var innerActivation: Activation?
    /// The architecture's name, if its shape is that of the name alone.
    private(set) var architecture: String?
    private(set) var classCount: Int?
    private(set) var classNames: [String]?
    private(set) var outputMeaning: OutputMeaning?
    private(set) var warnings: [String] = []
    /// How pixels become numbers, as a checkpoint says of itself.
    private(set) var pixels: InputRecipe.Pixels?
    /// What a checkpoint of timm's training script says of images, in the words of `pretrained_cfg`.
    private(set) var timmImages: JSON?

    // MARK: timm

    private static let timmIrrelevant: Set = [
        "architecture", "num_features", "pretrained_cfg", "model_args", "global_pool", "label_descriptions", "tags",
        "license", "library_name", "timm_version", "auto_map", "hidden_size",
    ]

    /// timm's `config.json`: `architecture`, `num_classes`, `global_pool`, `model_args`, `label_names`.
    mutating func read(timm json: JSON) throws {
        var reader = ConfigurationReader(json, source: "config.json")
        if let name = try reader.text("architecture") {
            try check(architecture: name, in: "config.json")
            let shapes: Set = ["layers", "block", "cardinality", "base_width"]
            if json["model_args"]?.members?.contains(where: { shapes.contains($0.key) }) != true { architecture = name }
        }
        if let pool = try reader.text("global_pool") { try check(pooling: pool, in: "config.json") }
        classCount = reader["num_classes"]?.intValue
        classNames = (reader["label_names"] ?? reader["labels"])?.arrayValue?.compactMap(\.stringValue)
        if json["pretrained_cfg"] == nil { reader.ignore(ImageProcessor.timmKeys) }
        if let arguments = reader["model_args"] { try read(arguments: arguments, source: "model_args in config.json") }
        reader.ignore(Self.timmIrrelevant)
        if let warning = reader.warning { warnings.append(warning) }
    }

    /// Arguments of timm's ResNet that its tensors show, or that act in training only.
    private static let visibleArguments: Set = [
        "block", "layers", "channels", "num_classes", "in_chans", "cardinality", "base_width", "stem_width",
        "stem_type",
        "replace_stem_pool", "block_reduce_first", "down_kernel_size", "avg_down", "drop_rate", "drop_path_rate",
        "drop_block_rate", "zero_init_last", "pretrained", "checkpoint_path", "scriptable", "exportable", "device",
        "dtype",
    ]

    /// Arguments with which timm makes its ResNets.
    private mutating func read(arguments json: JSON, source: String) throws {
        var reader = ConfigurationReader(json, source: source)
        if let pool = try reader.text("global_pool") { try check(pooling: pool, in: source) }
        if let name = try reader.text("act_layer") { try follow(activation: name, "act_layer", in: source) }
        if let name = try reader.text("norm_layer") {
            let plain: Set = [
                "batchnorm", "batchnorm2d", "frozenbatchnorm", "frozenbatchnorm2d", "synchronizedbatchnorm",
            ]
            guard plain.contains(name.lowercased()) else {
                throw refusal(source, "norm_layer '\(name)'", "only batch norms are read")
            }
        }
        if let layer = reader["aa_layer"], layer != false, layer != "" {
            throw refusal(
                source, "aa_layer \(layer.text)", "filters against aliasing have no tensors and are not computed here")
        }
        if let stride = reader["output_stride"], stride.intValue != 32 {
            throw refusal(source, "output_stride \(stride.text)", "only 32 is read, without dilation")
        }
        if let block = reader["block_args"] {
            var inner = ConfigurationReader(block, source: "block_args of \(source)")
            if let attention = inner["attn_layer"], attention != "se" {
                throw refusal(source, "attn_layer \(attention.text)", "only squeeze-and-excitation is read")
            }
            inner.ignore(["attn_kwargs"])
            if let kwargs = block["attn_kwargs"], let members = kwargs.members {
                let visible: Set = ["rd_ratio", "rd_channels", "rd_divisor"]
                if let other = members.first(where: { !visible.contains($0.key) }) {
                    throw refusal(source, "attn_kwargs \(other.key)", "only a plain squeeze-and-excitation is read")
                }
            }
            if let warning = inner.warning { warnings.append(warning) }
        }
        reader.ignore(Self.visibleArguments)
        if let warning = reader.warning { warnings.append(warning) }
    }

    private mutating func check(architecture full: String, in source: String) throws {
        let name = String(full.prefix(80))
        switch family.verdict(onArchitecture: name.lowercased()) {
        case .plain: break
        case .refused(let reason): throw refusal(source, "the architecture '\(name)'", reason)
        case .other:
            warnings.append(
                "\(source) names the architecture '\(name)', and the weights are those of a \(family.name). The weights are used."
            )
        case .unknown:
            warnings.append(
                "\(source) names the architecture '\(name)', which is not known here. If it has parts without weights, such as other activations or poolings, the features differ."
            )
        }
    }

    private func check(pooling name: String, in source: String) throws {
        guard ["avg", "fast", "fastavg"].contains(name) else {
            throw refusal(source, "global_pool '\(name)'", "only the average is computed here")
        }
    }

    private static let activations: [String: Activation] = [
        "relu": .relu, "leaky_relu": .leakyReLU, "elu": .elu, "selu": .selu, "gelu": .gelu, "tanh": .tanh,
        "sigmoid": .sigmoid, "relu6": .relu6, "silu": .silu, "swish": .silu, "hard_swish": .hardSwish,
        "hardswish": .hardSwish, "hard_sigmoid": .hardSigmoid, "hardsigmoid": .hardSigmoid, "gelu_tanh": .geluTanh,
        "gelu_pytorch_tanh": .geluTanh, "gelu_new": .geluTanh,
        "quick_gelu": .quickGELU,
    ]

    private mutating func follow(activation name: String, _ key: String, in source: String) throws {
        guard let known = Self.activations[name.lowercased()] else {
            throw refusal(
                source, "\(key) '\(name)'", "\(Self.activations.keys.sorted().joined(separator: ", ")) are read")
        }
        activation = known
    }

    private func refusal(_ source: String, _ thing: String, _ reason: String) -> ConfigurationReader.Misfit {
        ConfigurationReader.Misfit(reason: "\(source) asks for \(thing): \(reason)")
    }

    // MARK: transformers

    private static let transformersIrrelevant: Set = [
        "architectures", "num_channels", "embedding_size", "hidden_sizes", "depths", "layer_type", "label2id",
        "num_labels", "out_features", "out_indices", "stage_names", "dtype", "torch_dtype", "transformers_version",
        "_name_or_path", "name_or_path", "return_dict", "output_hidden_states", "output_attentions", "torchscript",
        "use_bfloat16", "tf_legacy_loss", "pruned_heads", "tie_word_embeddings", "is_encoder_decoder", "is_decoder",
        "cross_attention_hidden_size", "add_cross_attention", "tie_encoder_decoder", "chunk_size_feed_forward",
        "finetuning_task", "task_specific_params", "initializer_range", "_commit_hash", "_attn_implementation",
        "attn_implementation", "reshape_hidden_states", "model_type", "auto_map", "features_only", "use_cache",
        "_num_labels",
        "freeze_batch_norm_2d", "use_pretrained_backbone", "use_timm_backbone", "backbone_kwargs",
    ]

    /// transformers' `config.json`.
    mutating func read(transformers json: JSON, alsoTimm: Bool) throws {
        // A detector has its backbone's configuration inside.
        if let backbone = json["backbone_config"], let type = backbone["model_type"]?.stringValue,
            family.modelTypes.contains(type)
        {
            return try read(transformers: backbone, alsoTimm: false)
        }
        var reader = ConfigurationReader(json, source: "config.json")
        if let type = try reader.text("model_type"),
            !family.modelTypes.union(["timm_wrapper", "timm_backbone"]).contains(type)
        {
            let read = family.modelTypes.sorted().joined(separator: ", ")
            throw refusal(
                "config.json", "the model_type '\(type)'",
                read.isEmpty ? "the weights are those of a \(family.name)" : "only \(read) is read")
        }
        if let name = try reader.text("backbone") { try check(architecture: name, in: "config.json") }
        stridesFirst = try reader.flag("downsample_in_bottleneck") ?? false
        firstStride = try reader.flag("downsample_in_first_stage") == true ? 2 : 1
        if let name = try reader.text("hidden_act") {
            try follow(activation: name, "hidden_act", in: "config.json")
            // transformers' blocks keep a ReLU between their convolutions.
            innerActivation = .relu
        }
        switch try reader.text("problem_type") {
        case "multi_label_classification": outputMeaning = .labels
        case "regression": outputMeaning = .unknown
        default: break
        }
        if let members = reader["id2label"]?.members { classNames = Self.names(members) }
        if alsoTimm {
            if let name = try reader.text("architecture") { try check(architecture: name, in: "config.json") }
            if let pool = try reader.text("global_pool") { try check(pooling: pool, in: "config.json") }
            classCount = reader["num_classes"]?.intValue
            if let names = reader["label_names"]?.arrayValue?.compactMap(\.stringValue) { classNames = names }
            if let arguments = reader["model_args"] {
                try read(arguments: arguments, source: "model_args in config.json")
            }
            reader.ignore(Self.timmIrrelevant.union(["do_pooling", "features_only"]))
        }
        reader.ignore(Self.transformersIrrelevant)
        if let warning = reader.warning { warnings.append(warning) }
    }

    private static func names(_ members: [JSON.Member]) -> [String]? {
        let names = members.compactMap { member in
            Int(member.key).flatMap { index in member.value.stringValue.map { (index, $0) } }
        }.sorted { $0.0 < $1.0 }
        guard names.map(\.0) == Array(names.indices) else { return nil }
        return names.allSatisfy { $0.1 == "LABEL_\($0.0)" } ? nil : names.map(\.1)
    }

    // MARK: Checkpoints

    /// What a checkpoint says of its own network: `arch` and `args` of timm's and torchvision's scripts, `meta` of
    /// OpenMMLab. Everything else in it belongs to the training.
    mutating func read(checkpoint json: JSON) throws {
        let arguments = json["args"]
        for (key, name) in [
            ("arch", json["arch"]), ("args.model", arguments?["model"]), ("args.arch", arguments?["arch"]),
        ] {
            guard let name = name?.stringValue, looksLikeArchitecture(name) else { continue }
            try check(architecture: name, in: "the checkpoint (\(key))")
        }
        for key in ["arch", "architecture", "model", "model_name", "backbone", "encoder"] {
            // Lightning keeps the arguments of the module, which name a network as they like.
            guard let name = json["hyper_parameters"]?[key]?.stringValue, looksLikeArchitecture(name) else { continue }
            if case .other = family.verdict(onArchitecture: name.lowercased()) { continue }
            try check(architecture: name, in: "the checkpoint (hyper_parameters.\(key))")
        }
        if let pool = arguments?["gp"]?.stringValue { try check(pooling: pool, in: "the checkpoint (args.gp)") }
        if let kwargs = arguments?["model_kwargs"], kwargs.members?.isEmpty == false {
            try read(arguments: kwargs, source: "the checkpoint (args.model_kwargs)")
        }
        var images: [JSON.Member] = []
        for key in ["mean", "std", "crop_pct", "interpolation", "crop_mode", "input_size"] {
            guard let value = arguments?[key], value != .null, value != "", value != [] else { continue }
            images.append(.init(key, value))
        }
        if let side = arguments?["img_size"]?.intValue, arguments?["input_size"]?.arrayValue == nil {
            images.append(.init("input_size", [3, .integer(side), .integer(side)]))
        }
        if !images.isEmpty, arguments?["model"]?.stringValue != nil { timmImages = .object(images) }
        let meta = json["meta"]
        let names =
            meta?["CLASSES"] ?? meta?["dataset_meta"]?["classes"] ?? meta?["dataset_meta"]?["CLASSES"] ?? json[
                "classes"] ?? json["class_names"]
        if let names = names?.arrayValue?.compactMap(\.stringValue), !names.isEmpty { classNames = names }
        if let config = meta?["config"] ?? meta?["cfg"] { read(openMMLab: config.stringValue ?? config.text) }
    }

    /// What OpenMMLab's configuration, a text in Python or JSON, says of the network and its images.
    private mutating func read(openMMLab text: String) {
        // Python's `style='caffe'` and JSON's `"style": "caffe"` are one without blanks and quotes.
        let plain = String(text.prefix(1 << 20).filter { !$0.isWhitespace && $0 != "'" && $0 != "\"" }).replacing(
            ":", with: "=")
        if let dilations = ["dilations=(", "dilations=["].lazy.compactMap({ Self.numbers(after: $0, in: plain) }).first,
            dilations.contains(where: { $0 > 1 })
        {
            warnings.append(
                "The checkpoint's configuration (meta) says dilations=\(dilations.map { Int($0) }); the features are those of a network without dilation."
            )
        }
        if plain.contains("style=caffe") {
            stridesFirst = true
            warnings.append(
                "The checkpoint's configuration (meta) says style='caffe': the first convolution of each block takes the stride."
            )
        }
        for anchor in ["data_preprocessor=", "img_norm_cfg="] {
            let places = plain.ranges(of: anchor)
            guard !places.isEmpty else { continue }
            let found = places.prefix(8).map { Self.normalization(in: Self.group(after: $0.upperBound, in: plain)) }
            if let first = found[0], found.allSatisfy({ $0 == first }) {
                pixels = first
            } else if found.contains(where: { $0 != nil }) || plain.contains("\(anchor)dict(mean") {
                warnings.append(
                    "The checkpoint's configuration (meta) has \(anchor.dropLast()) in words that are not read, or several that differ; the preprocessing is not taken from it. Say it with --recipe."
                )
            }
            return
        }
    }

    /// What stands in the brackets that begin at a place, or soon after it.
    private static func group(after start: String.Index, in text: String) -> Substring {
        let rest = text[start...].prefix(2048)
        guard let open = rest.firstIndex(where: { "({".contains($0) }) else { return "" }
        var depth = 0
        for index in rest[open...].indices {
            if "({[".contains(rest[index]) { depth += 1 }
            if ")}]".contains(rest[index]) { depth -= 1 }
            if depth == 0 { return rest[open...index] }
        }
        return ""
    }

    /// Mean, deviation and order of channels in a group; nil without them. OpenMMLab normalizes levels, and turns its
    /// pictures to RGB if it is told so.
    private static func normalization(in group: Substring) -> InputRecipe.Pixels? {
        let text = String(group)
        func three(_ name: String) -> [Double]? {
            let numbers = numbers(after: "\(name)=[", in: text) ?? numbers(after: "\(name)=(", in: text)
            return numbers?.count == 3 ? numbers : nil
        }
        guard let mean = three("mean"), let deviation = three("std"), deviation.allSatisfy({ $0 > 1e-6 }) else {
            return nil
        }
        let isColour = text.lowercased().contains("to_rgb=true")
        return InputRecipe.Pixels(order: isColour ? .rgb : .bgr, scale: 1, mean: mean, standardDeviation: deviation)
    }

    /// The numbers in a list of a text without blanks.
    private static func numbers(after start: String, in text: String) -> [Double]? {
        guard let range = text.firstRange(of: start) else { return nil }
        let list = text[range.upperBound...].prefix(256).prefix { $0 != ")" && $0 != "]" }
        let numbers = list.split(separator: ",").compactMap { Double($0) }
        return numbers.isEmpty || !numbers.allSatisfy(\.isFinite) ? nil : numbers
    }

    /// `arch` may as well be the name of a class, which says nothing of the variant.
    private func looksLikeArchitecture(_ name: String) -> Bool {
        name.count < 64 && name.contains { $0.isNumber }
    }
}
