// The parsers of checkpoints: containers that are read in process, and dialects over named arrays in memory.
// Longer than other files: one table, with an entry for each parser.

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
            "keras_history", "batch_shape", "padding", "same", "se.fc1", "res2a_branch2a", "finetune_format", "model",
        ]),
        sources: [
            "FinetuneCheckpoints/Dialect.swift", "FinetuneCheckpoints/Torch/TorchDialect.swift",
            "FinetuneCheckpoints/Torch/TorchNames.swift", "FinetuneCheckpoints/Torch/Sidecar.swift",
            "FinetuneCheckpoints/Torch/ResNetInference.swift", "FinetuneCheckpoints/TensorTable.swift",
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

    private static var trees: [[UInt8]] {
        let block = ResNet.Block(filters: [1, 1, 4], stride: 1, hasProjection: true)
        let second = ResNet.Block(filters: [1, 1, 4], stride: 2, squeeze: 1, hasProjection: true)
        func network(_ stem: ResNet.Stem, bias: Bool = false) -> Network {
            ResNet(
                stem: stem, stemFilters: 2, stages: [[block], [second]], shortcut: .projection, stridePlace: .middle,
                convolutionsHaveBias: bias, head: ("fc", 2, true)
            ).network()
        }
        func tree(_ arrays: [(String, [Int])], texts: JSON = [:], documents: JSON = [:], in container: String = "HDF5")
            -> [UInt8]
        {
            let members = arrays.map { JSON.Member($0.0, JSON($0.1)) }
            let tree: JSON = [
                "container": .string(container), "arrays": .object(members), "texts": texts, "documents": documents,
            ]
            return Array(tree.text.utf8)
        }
        let torch = network(.pooled(kernel: 7)).tensors.map { (name: $0.name, shape: $0.spec.shape) }
        let layers = ["conv1_conv", "conv2_block1_1_conv", "conv2_block1_1_bn", "predictions"]
        let listed = layers.map { JSON.Member($0, ["weight_names": JSON(["\($0)/kernel:0", "\($0)/bias:0"])]) }
        let config: JSON = [
            "class_name": "Functional",
            "config": [
                "layers": [
                    [
                        "class_name": "InputLayer", "config": ["name": "i", "batch_shape": [.null, 8, 8, 3]],
                        "inbound_nodes": [],
                    ],
                    [
                        "class_name": "Rescaling", "config": ["name": "r", "scale": 0.1, "offset": [1, 2, 3]],
                        "inbound_nodes": [[["i", 0, 0, [:]]]],
                    ],
                    [
                        "class_name": "Conv2D",
                        "config": [
                            "name": "conv2d", "filters": 2, "kernel_size": [3, 3], "strides": [2, 2], "padding": "same",
                        ],
                        "inbound_nodes": [
                            ["args": [["class_name": "__keras_tensor__", "config": ["keras_history": ["r", 0, 0]]]]]
                        ],
                    ],
                    [
                        "class_name": "BatchNormalization", "config": ["name": "b", "axis": 3, "scale": false],
                        "inbound_nodes": [[["conv2d", 0, 0, [:]]]],
                    ],
                    [
                        "class_name": "GlobalAveragePooling2D", "config": ["name": "g"],
                        "inbound_nodes": [[["b", 0, 0, [:]]]],
                    ],
                    [
                        "class_name": "Sequential",
                        "config": [
                            "name": "s", "layers": [["class_name": "Dense", "config": ["name": "d", "units": 2]]],
                        ],
                        "inbound_nodes": [[["g", 0, 0, [:]]]],
                    ],
                ], "output_layers": [["s", 0, 0]],
            ],
        ]
        /// Operations on pixels, and a pooling that is none of a layer's.
        func operation(_ kind: String, _ arguments: JSON) -> JSON {
            [
                "module": "keras.src.ops.numpy", "class_name": .string(kind),
                "config": ["name": .string(kind), "axis": -1],
                "name": .string(kind), "inbound_nodes": [["args": arguments, "kwargs": [:]]],
            ]
        }
        func tensor(_ name: String) -> JSON {
            ["class_name": "__keras_tensor__", "config": ["keras_history": [.string(name), 0, 0]]]
        }
        let operations: JSON = [
            "class_name": "Functional",
            "config": [
                "layers": [
                    [
                        "class_name": "InputLayer", "config": ["name": "i", "batch_shape": [.null, 8, 8, 3]],
                        "inbound_nodes": [],
                    ],
                    operation(
                        "GetItem",
                        [
                            tensor("i"),
                            [
                                ["class_name": "__ellipsis__", "config": [:]],
                                ["class_name": "__slice__", "config": ["start": .null, "stop": .null, "step": -1]],
                            ],
                        ]),
                    operation("TrueDivide", [tensor("GetItem"), 127.5]),
                    operation(
                        "Subtract",
                        [tensor("TrueDivide"), ["class_name": "__tensor__", "config": ["value": [[1, 2, 3]]]]]),
                    [
                        "class_name": "Resizing",
                        "config": [
                            "name": "z", "height": 6, "width": 6, "pad_to_aspect_ratio": true, "fill_value": -1,
                        ],
                        "inbound_nodes": [["args": [tensor("Subtract")]]],
                    ],
                    [
                        "class_name": "GlobalAveragePooling2D", "config": ["name": "g"],
                        "inbound_nodes": [["args": [tensor("z")]]],
                    ],
                    [
                        "class_name": "Dense",
                        "config": ["name": "d", "units": 2, "activation": "sigmoid", "use_bias": false],
                        "inbound_nodes": [["args": [tensor("g")]]],
                    ],
                    ["class_name": "PReLU", "config": ["name": "p"], "inbound_nodes": [["args": [tensor("g")]]]],
                ], "output_layers": [["d", 0, 0], ["p", 0, 0]],
            ],
        ]
        /// One layer after the other, each of a class with its own reading.
        let chain: [(kind: String, config: [JSON.Member])] = [
            ("Resizing", [.init("height", 12), .init("width", 12)]),
            ("Normalization", [.init("mean", [1, 2, 3]), .init("variance", [1, 1, 4])]), ("RandomFlip", []),
            ("ZeroPadding2D", [.init("padding", [[1, 1], [0, 2]])]),
            (
                "Conv2D",
                [
                    .init("filters", 2), .init("kernel_size", [1, 1]), .init("padding", "valid"),
                    .init("use_bias", false), .init("activation", "relu"), .init("groups", 1),
                ]
            ),
            ("BatchNormalization", [.init("axis", [3]), .init("center", false), .init("momentum", 0.9)]),
            ("MaxPooling2D", [.init("pool_size", [2, 2]), .init("strides", [2, 2]), .init("padding", "same")]),
            ("ReLU", []), ("Activation", [.init("activation", "sigmoid")]),
            ("MaxPooling2D", [.init("pool_size", [1, 1])]),
            ("AveragePooling2D", [.init("pool_size", [2, 2])]), ("Dropout", []), ("Flatten", []),
            ("Dense", [.init("units", 2), .init("activation", "softmax"), .init("use_bias", false)]),
        ]
        let sequence: JSON = [
            "class_name": "Sequential",
            "config": [
                "layers": .array(
                    [["class_name": "InputLayer", "config": ["name": "in", "batch_input_shape": [.null, 9, 9, 3]]]]
                        + chain.enumerated().map { index, layer in
                            [
                                "class_name": .string(layer.kind),
                                "config": .object([.init("name", .string("l\(index)"))] + layer.config),
                            ]
                        })
            ],
        ]
        return [
            tree(
                [
                    ("layers/conv2d/vars/0", [1, 1, 3, 2]), ("layers/batch_normalization/vars/0", [2]),
                    ("layers/batch_normalization/vars/1", [2]), ("layers/batch_normalization/vars/2", [2]),
                    ("layers/dense/vars/0", [24, 2]),
                ], documents: ["config.json": sequence], in: "a Keras archive"),
            tree(torch.map { ($0.name, $0.shape) }),
            tree(network(.small, bias: true).tensors.map { ("module.\($0.name)", $0.spec.shape) }, in: "safetensors"),
            tree(
                torch.map { ($0.name, $0.shape) },
                documents: [
                    "config.json": [
                        "num_classes": 2,
                        "pretrained_cfg": [
                            "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "input_size": [3, 64, 64],
                        ],
                        "id2label": ["0": "a", "1": "b"],
                    ]
                ], in: "a zip archive"),
            tree(
                torch.map { ("encoder_q.\($0.name)", $0.shape) } + torch.map { ("encoder_k.\($0.name)", $0.shape) }
                    + [("encoder_q.fc.0.weight", [2, 8]), ("normalizer.mean", [3]), ("normalizer.std", [3])],
                documents: [
                    "checkpoint": [
                        "arch": "resnet50", "args": ["model": "resnet50", "gp": "avg", "mean": [0.5, 0.5, 0.5]],
                        "meta": ["CLASSES": ["a", "b"], "config": "mean=[1.0, 2.0, 3.0], std=[1.0, 1.0, 1.0]"],
                    ],
                    "preprocessor_config.json": [
                        "image_processor_type": "CLIPImageProcessor", "size": ["shortest_edge": 73], "resample": 3,
                        "crop_size": ["height": 64, "width": 64], "rescale_factor": 0.01,
                        "image_mean": [0.5, 0.5, 0.5],
                    ],
                ], in: "a zip archive"),
            tree([("layers/dense/vars/0", [3, 2])], documents: ["config.json": operations], in: "a Keras archive"),
            tree(
                [
                    ("resnet.embedder.embedder.convolution.weight", [2, 3, 7, 7]),
                    ("resnet.encoder.stages.0.layers.0.layer.0.convolution.weight", [2, 2, 3, 3]),
                    ("resnet.encoder.stages.0.layers.0.shortcut.normalization.weight", [2]),
                    ("classifier.1.weight", [2, 2]),
                ], in: "safetensors"),
            tree(
                layers.flatMap { [("\($0)/\($0)/kernel:0", [1, 1, 2, 2]), ("\($0)/\($0)/bias:0", [2])] },
                texts: .object([.init("", ["layer_names": JSON(layers)])] + listed)),
            tree(
                (0..<6).map { ("layers/conv2d\($0 == 0 ? "" : "_\($0)")/vars/0", [$0 % 3 == 2 ? 3 : 1, 1, 2, 2]) }
                    + [("layers/batch_normalization/vars/0", [2]), ("layers/dense/vars/0", [2, 2])],
                texts: ["layers/dense/vars": ["name": ["predictions"]]]),
            tree(
                [
                    ("layers/conv2d/vars/0", [3, 3, 3, 2]), ("layers/conv2d/vars/1", [2]),
                    ("layers/batch_normalization/vars/0", [2]), ("layers/batch_normalization/vars/1", [2]),
                    ("layers/batch_normalization/vars/2", [2]),
                    ("layers/sequential/layers/dense/vars/0", [2, 2]), ("layers/sequential/layers/dense/vars/1", [2]),
                ], documents: ["config.json": config], in: "a Keras archive"),
            tree(
                [("model_weights/conv2d/conv2d/kernel:0", [3, 3, 3, 2]), ("model_weights/d/s/d/kernel", [2, 2])],
                texts: [
                    "": ["model_config": [.string(config.text)]], "model_weights": ["layer_names": ["conv2d", "d"]],
                    "model_weights/conv2d": ["weight_names": ["conv2d/kernel:0"]],
                    "model_weights/d": ["weight_names": ["s/d/kernel"]],
                ]),
        ]
    }
}

extension NamedArrays {
    /// A tree as the target `dialect` writes it; tensors are of ones, and those too large for a seed are left out.
    fileprivate init(tree: JSON) {
        self.init()
        container = tree["container"]?.stringValue.flatMap(Container.init) ?? .hdf5
        for member in tree["arrays"]?.members ?? [] {
            let shape = (member.value.arrayValue ?? []).compactMap(\.intValue).prefix(8)
            let count = shape.reduce(1.0) { $0 * Double($1) }
            if shape.allSatisfy({ $0 > 0 }), count < 4096 {
                add(member.key, Tensor(shape: Array(shape), repeating: 1), type: "float32")
            } else {
                problems[member.key] = "is not read"
            }
            var folder = Path.parent(of: member.key)
            while folder != ".", groups.insert(folder).inserted { folder = Path.parent(of: folder) }
        }
        for owner in tree["texts"]?.members ?? [] {
            groups.insert(owner.key)
            for member in owner.value.members ?? [] {
                set(
                    member.key, of: owner.key,
                    to: member.value.arrayValue.map { .texts($0.compactMap(\.stringValue)) } ?? .numbers([1]))
            }
        }
        for member in tree["documents"]?.members ?? [] { documents[member.key] = member.value }
    }
}
