// The parsers of checkpoints: containers that are read in process, and dialects over named arrays in memory.

@testable internal import FinetuneCheckpoints
@testable internal import FinetuneEngine
@testable internal import FinetuneFiles
@testable internal import FinetuneModels

extension FuzzTarget {
    static let lzf = FuzzTarget(
        name: "lzf", maximumCount: 512,
        seeds: [[12, 0, 4, 1, 2, 3, 4, 5, 0x60, 4], [40, 1, 0, 7, 0xE0, 31, 0], [3, 0, 2, 9, 8, 7]],
        sources: ["FinetuneFiles/Archives/LZF.swift"], errors: []
    ) { input in
        // Two bytes say how long the result is to be.
        var reader = ByteReader(input)
        let count = Int(reader.number(UInt16.self) ?? 0)
        let stream = Array(input[reader.position...])
        var output = [UInt8](repeating: 0, count: count)
        let isSound = stream.withUnsafeBytes { from in output.withUnsafeMutableBytes { LZF.decode(from, into: $0) } }
        try require(isSound || !stream.isEmpty || count > 0, "nothing does not decode to nothing")
    }

    static let safetensors = FuzzTarget(
        name: "safetensors", maximumCount: 4096,
        seeds: [
            tensorFile(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8),
            tensorFile(
                #"{"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]},"c":{"dtype":"I64","shape":[],"data_offsets":[4,12]}}"#,
                12),
            tensorFile(#"{"z":{"dtype":"F16","shape":[0],"data_offsets":[0,0]}}"#, 0),
        ],
        words: keys(["dtype", "shape", "data_offsets", "__metadata__"] + Safetensors.types.map(\.name)) + [
            "9223372036854775807", "-1",
        ], sources: ["FinetuneCheckpoints/Containers/Safetensors.swift"], errors: [CheckpointError.self]
    ) { input in
        let arrays = try Safetensors.read(.bytes(input), path: "file.safetensors")
        try require(arrays.arrays.values.allSatisfy { $0.tensor.count > 0 }, "a tensor without numbers")
    }

    static let pickle = FuzzTarget(
        name: "pickle", maximumCount: 2048, seeds: [statePickle(), objectPickle], words: pickleWords,
        sources: [
            "FinetuneCheckpoints/Containers/Pickle.swift", "FinetuneCheckpoints/Containers/PickleReader.swift",
            "FinetuneCheckpoints/Containers/PickleReader+Calls.swift",
            "FinetuneCheckpoints/Containers/PickleNames.swift",
            "FinetuneCheckpoints/Containers/PickleDocument.swift",
        ], errors: [PickleError.self]
    ) { input in
        guard let text = try PickleReader.read(input).document()?.text else { return }
        try require(text.utf8.count < 16 << 20, "the document is too large")
        _ = try JSON(parsing: text)
    }

    /// The pickle, then two storages of 64 bytes: the archive around them is made here, so that its checksums hold.
    static let archive = FuzzTarget(
        name: "archive", maximumCount: 2048, seeds: [statePickle(), objectPickle], words: pickleWords,
        sources: [
            "FinetuneCheckpoints/Containers/TorchArchive.swift", "FinetuneCheckpoints/Containers/TorchTensors.swift",
            "FinetuneCheckpoints/Containers/ElementType.swift",
        ],
        errors: [CheckpointError.self]
    ) { input in
        let path = Path.join(scratchFolder, "archive.pth")
        var writer = try ZipWriter(path)
        let members: [(String, [UInt8])] = [
            ("a/data.pkl", input), ("a/byteorder", Array("little".utf8)),
            ("a/data/0", [UInt8](repeating: 1, count: 64)), ("a/data/1", [UInt8](repeating: 2, count: 64)),
        ]
        for (name, content) in members {
            try writer.begin(name)
            try writer.write(content)
        }
        try writer.commit()
        let arrays = try TorchArchive.read(ZipArchive(ByteSource(file: path), name: path), path: path)
        for (name, entry) in arrays.arrays { try require(entry.tensor.count > 0, "'\(name)' has no numbers") }
    }

    /// Five pickles, then the storages.
    static let legacy = FuzzTarget(
        name: "legacy", maximumCount: 2048, seeds: [legacyFile], words: pickleWords,
        sources: [
            "FinetuneCheckpoints/Containers/TorchLegacyFile.swift", "FinetuneCheckpoints/Containers/TorchTensors.swift",
            "FinetuneCheckpoints/Containers/PickleBytes.swift",
        ], errors: [CheckpointError.self]
    ) { input in
        _ = TorchTarFile.matches(input)
        let arrays = try TorchLegacyFile.read(.bytes(input), path: "file.pth")
        for (name, entry) in arrays.arrays { try require(entry.tensor.count > 0, "'\(name)' has no numbers") }
    }

    /// A tree of named arrays in JSON: `{"container", "arrays": {name: shape}, "texts": {path: {name: [text]}},
    /// "documents": {name: JSON}}`.
    static let dialect = FuzzTarget(
        name: "dialect", maximumCount: 16384, seeds: trees,
        words: keys([
            "layer1.0.conv1", "conv1.weight", "bn1.running_var", "layer2.0.downsample.0.weight", "fc.weight",
            "conv2_block1_1_conv", "kernel", "layers/conv2d/vars/0", "layer_names", "weight_names", "model_config",
            "config.json", "class_name", "config", "inbound_nodes", "Conv2D", "BatchNormalization", "Functional",
            "Sequential", "Rescaling", "Normalization", "resnet.encoder.stages.0.layers.0.layer.0.convolution.weight",
            "architecture", "model_args", "act_layer", "global_pool", "pretrained_cfg", "crop_pct", "crop_mode",
            "border",
            "model_type", "hidden_act", "preprocessor_config.json", "image_processor_type", "shortest_edge",
            "crop_size",
            "do_center_crop", "rescale_factor", "checkpoint", "args", "meta", "state_dict_ema", "encoder_q",
            "encoder_k",
            "GetItem", "Stack", "TFOpLambda", "Resizing", "CenterCrop", "pad_to_aspect_ratio", "PReLU", "sigmoid",
            "keras_history", "batch_shape", "padding", "same", "se.fc1", "res2a_branch2a", "features.0.weight",
            "classifier.0", "pre_logits.fc1", "block1_conv1", "fc1", "finetune_format", "model",
        ]),
        sources: [
            "FinetuneCheckpoints/Dialect.swift", "FinetuneCheckpoints/Torch/TorchDialect.swift",
            "FinetuneCheckpoints/Families", "FinetuneCheckpoints/Torch/Sidecar.swift",
            "FinetuneCheckpoints/TensorTable.swift",
            "FinetuneCheckpoints/Keras/KerasWeights.swift", "FinetuneCheckpoints/Keras/KerasWeightsDialect.swift",
            "FinetuneCheckpoints/Keras/KerasStore.swift", "FinetuneCheckpoints/Keras/KerasModelDialect.swift",
            "FinetuneCheckpoints/Keras/KerasGraph.swift", "FinetuneCheckpoints/Keras/KerasGraph+Layers.swift",
            "FinetuneCheckpoints/Keras/KerasGraph+Preprocessing.swift",
            "FinetuneCheckpoints/Keras/Network+StageNames.swift",
            "FinetuneCheckpoints/Keras/KerasCall.swift", "FinetuneCheckpoints/Keras/KerasGeometry.swift",
            "FinetuneCheckpoints/Keras/KerasGraph+Options.swift", "FinetuneCheckpoints/Torch/ListedHead.swift",
            "FinetuneCheckpoints/Torch/StateDictNetworks.swift",
            "FinetuneCheckpoints/Torch/PublishedConfiguration.swift",
            "FinetuneCheckpoints/Torch/PublishedGraph.swift", "FinetuneCheckpoints/Torch/ImageProcessor.swift",
            "FinetuneCheckpoints/Torch/ConfigurationReader.swift",
        ], errors: [CheckpointError.self, JSON.SyntaxError.self]
    ) { input in
        let tree = try JSON(parsing: input)
        let model = try Dialect.model(in: NamedArrays(tree: tree), path: "tree")
        for (name, spec) in model.network.tensors {
            try require(model.weights[name]?.shape == spec.shape, "'\(name)' is not as the network wants it")
        }
    }

    // MARK: Seeds

    private static func tensorFile(_ header: String, _ bytes: Int) -> [UInt8] {
        UInt64(header.utf8.count).littleEndianBytes + Array(header.utf8) + [UInt8](repeating: 0x3F, count: bytes)
    }

    private static let pickleWords =
        [
            "ctorch._utils\n_rebuild_tensor_v2\n", "ccollections\nOrderedDict\n", "ctorch\nFloatStorage\n",
            "ctorch\nBFloat16Storage\n", "ctorch\nUntypedStorage\n", "ctorch\nuint16\n", "X\u{7}\0\0\0storage",
            "X\u{1}\0\0\00", "U\u{7}storage", "U\u{1}0", "I1099511627776\n", "(U\u{1}0K\u{2}K\u{3}t",
            "iargparse\nNamespace\n", "(cargparse\nNamespace\no", "c__builtin__\ngetattr\n", "ccollections\ndeque\n",
            "ccollections\ndefaultdict\n", "c_codecs\nencode\n", "cnumpy.core.multiarray\nscalar\n",
            "cnumpy.core.multiarray\n_reconstruct\n", "cnumpy\ndtype\n", "ccopyreg\n_reconstructor\n",
            "ccopyreg\n__newobj__\n", "c__builtin__\nlist\n", "c__builtin__\ndict\n", "c__builtin__\nbytearray\n",
            "ctorch._tensor\n_rebuild_from_type_v2\n", "ctorch._utils\n_rebuild_tensor_v3\n",
            "ctorch._utils\n_rebuild_parameter\n", "ctorch._utils\n_rebuild_qtensor\n", "cproject\nColor\n",
            "(U\u{6}module",
        ]

    /// What `torch.save({"w": torch.ones(2, 3)}, …)` writes.
    ///
    /// - Parameter part: What the storage has besides in old files.
    private static func statePickle(part: String = "") -> [UInt8] {
        [0x80, 2] + Array("}q\0".utf8) + Array("X\u{1}\0\0\0wq\u{1}".utf8)
            + Array("ctorch._utils\n_rebuild_tensor_v2\nq\u{2}((X\u{7}\0\0\0storageq\u{3}".utf8)
            + Array("ctorch\nFloatStorage\nq\u{4}X\u{1}\0\0\00q\u{5}X\u{3}\0\0\0cpuq\u{6}K\u{6}".utf8)
            + Array("\(part)tq\u{7}QK\0K\u{2}K\u{3}".utf8) + [0x86] + Array("q\u{8}K\u{3}K\u{1}".utf8) + [0x86]
            + [0x71, 9, 0x89] + Array("ccollections\nOrderedDict\nq\n)Rq\u{B}tq\u{C}Rq\rs.".utf8)
    }

    /// A dictionary with a namespace, a set, a NumPy scalar and an object, by the codes of protocol 4.
    private static let objectPickle: [UInt8] =
        [0x80, 4] + Array("}(\u{8C}".unicodeScalars.map { UInt8($0.value) }) + [4] + Array("args".utf8)
        + Array("cargparse\nNamespace\n)".utf8) + [0x81, 0x7D, 0x8C, 2] + Array("lrG".utf8)
        + [0x3F, 0xE0, 0, 0, 0, 0, 0, 0] + Array("sb".utf8) + [0x8C, 1] + Array("s".utf8) + [0x8F, 0x94]
        + Array("(K\u{1}".utf8) + [0x90, 0x8C, 1] + Array("n".utf8)
        + Array("cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nU\u{2}i4".utf8) + [0x85] + Array("RC\u{4}1234".utf8)
        + [0x86] + Array("RU\u{1}o".utf8) + [0x8C, 1] + Array("m".utf8) + [0x8C, 1] + Array("C".utf8)
        + [0x93] + Array(")}".utf8) + [0x92] + Array("u.".utf8)

    /// The same state in a file from before PyTorch 1.6.
    private static let legacyFile: [UInt8] =
        [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E]
        + [0x80, 2] + Array("M".utf8) + [0xE9, 3, 0x2E, 0x80, 2] + Array("}X\u{D}\0\0\0little_endian".utf8)
        + [0x88] + Array("s.".utf8) + statePickle(part: "N") + [0x80, 2] + Array("](U\u{1}0e.".utf8)
        + UInt64(6).littleEndianBytes + [UInt8](repeating: 0x3F, count: 24)
}
