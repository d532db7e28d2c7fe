// Trees of names and shapes, the seeds of the reader of dialects: one for each family, library and layer that is read.

@testable internal import FinetuneCheckpoints
@testable internal import FinetuneEngine
@testable internal import FinetuneFiles
@testable internal import FinetuneModels

extension FuzzTarget {
    static var trees: [[UInt8]] {
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
        let vgg = VGG(
            blocks: [[1, 2], [2]], hasNormalization: true, hidden: VGG.Hidden(side: 1, widths: [3, 3]),
            head: (VGG.headName, 2, true)
        ).network().tensors.map { (name: $0.name, shape: $0.spec.shape) }
        let blocks = ["block1_conv1", "block2_conv1", "fc1", "fc2", "predictions"]
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
            tree(vgg.map { ("model.\($0.name)", $0.shape) }, in: "safetensors"),
            tree(
                vgg.map { name, shape in
                    (
                        name.replacing("classifier.0", with: "pre_logits.fc1").replacing(
                            "classifier.3", with: "pre_logits.fc2"
                        )
                        .replacing("classifier.6", with: "head.fc"), shape
                    )
                }, documents: ["config.json": ["architecture": "vgg16_bn", "model_args": ["act_layer": "silu"]]],
                in: "safetensors"),
            tree(
                blocks.map { ("\($0)/\($0)/kernel:0", $0.hasPrefix("block") ? [3, 3, 3, 3] : [3, 3]) },
                texts: .object(
                    [.init("", ["layer_names": JSON(blocks)])]
                        + blocks.map { JSON.Member($0, ["weight_names": JSON(["\($0)/kernel:0"])]) })),
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
    init(tree: JSON) {
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
