// Keras whole models in HDF5: a configuration in Keras 2's words, which tf.keras and Keras 3 both read, and the weights
// in the order in which they load them.
//
// `load_weights` goes by position: the n-th layer with weights takes the n-th group. So the order of the groups is that
// of `model.layers`, which Keras computes from the graph (`map_graph`): the farther from the output the earlier, and
// among equals in the order in which a walk from the output meets them.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

enum KerasWriter {
    static func write(_ model: Model, to path: String) throws -> Int {
        let graph = try KerasLayers(model, path: path)
        let layers = graph.inModelOrder
        var count = 0
        let file = try HDF5Writer(path)
        try file.setText("model_config", graph.config(layers).text)
        try file.setText("keras_version", "2.15.0")
        try file.setText("backend", "tensorflow")
        for (name, value) in Sidecar.texts(for: model) { try file.setText(name, value) }
        try file.setText(Sidecar.names, graph.names.text)
        try file.setText(Sidecar.architecture, model.network.name)
        let root = "model_weights"
        try file.makeGroup(root)
        let weighted = layers.filter { !$0.weights.isEmpty }
        try file.setTexts("layer_names", weighted.map(\.name), of: root)
        try file.setText("keras_version", "2.15.0", of: root)
        try file.setText("backend", "tensorflow", of: root)
        for layer in weighted {
            let group = "\(root)/\(layer.name)"
            try file.makeGroup(group)
            try file.makeGroup("\(group)/\(layer.name)")
            let names = layer.weights.map { "\(layer.name)/\($0.role):0" }
            try file.setTexts("weight_names", names, of: group)
            for (name, weight) in zip(names, layer.weights) {
                try file.write(weight.tensor(), as: "\(group)/\(name)")
                count += 1
            }
        }
        try file.finish()
        return count
    }
}

/// A layer of a Keras model, with its weights in Keras' layouts.
struct KerasLayer {
    struct Weight {
        /// `kernel`, `bias`, `gamma` …
        var role: String
        /// Made when it is written, so that one copy at a time exists.
        var tensor: () -> Tensor
    }

    var name: String
    var kind: String
    var config: [JSON.Member] = []
    var inputs: [String] = []
    var weights: [Weight] = []
}

/// A network as Keras layers.
private struct KerasLayers {
    private var layers: [KerasLayer] = []
    private let model: Model
    private let path: String
    /// keras.applications' names, if it has the network.
    private let kerasNames: (any KerasNames)?
    /// The layer that gives a node's output.
    private var layerOfNode: [String: String] = [:]
    private var depthOfNode: [String: Int] = [:]
    private var isNonnegative: Set<String> = []
    private let output: String
    private static let input = "image"

    init(_ model: Model, path: String) throws {
        self.model = model
        self.path = path
        kerasNames = Families.all.lazy.compactMap { $0.kerasNames(writing: model) }.first
        output = model.network.nodes.last?.name ?? Node.image
        // Any size will do, unless a dense layer counts on the pixels.
        let isFixed = model.network.nodes.contains { $0.operation == .flatten }
        let size = isFixed ? model.recipe.map { ImageSize(height: $0.height, width: $0.width) } ?? model.inputSize : nil
        let sides: [JSON] = size.map { [.integer($0.height), .integer($0.width)] } ?? [.null, .null]
        let shape: [JSON] = [.null] + sides + [.integer(model.network.inputChannels)]
        layers = [
            KerasLayer(
                name: Self.input, kind: "InputLayer",
                config: [
                    .init("batch_input_shape", .array(shape)), .init("dtype", "float32"), .init("sparse", false),
                    .init("ragged", false),
                ])
        ]
        layerOfNode[Node.image] = Self.input
        for node in model.network.nodes { try add(node) }
    }

    // MARK: Nodes to layers

    private func refuse(_ node: Node, _ reason: String) -> CheckpointError {
        .cannotConvert(path, "its layer '\(node.name)' \(reason), which Keras' layers do not. Use --to onnx")
    }

    /// Keras' own name of a layer where the network is one of keras.applications', else the node's.
    private func name(_ node: Node) -> String {
        // PyTorch, as Keras' backend, takes no dots in names.
        String((kerasNames?.layer(module: node.name) ?? node.name).map { $0 == "/" || $0 == "." ? "_" : $0 })
    }

    /// Our name of each layer that Keras calls otherwise.
    var names: JSON {
        .object(
            model.network.nodes.compactMap { node in
                layerOfNode[node.name].flatMap { $0 == node.name ? nil : .init($0, .string(node.name)) }
            })
    }

    /// What every Keras from 2.15 on calls a function.
    private func word(for function: Activation, _ node: Node) throws -> String {
        switch function {
        case .relu, .elu, .selu, .gelu, .tanh, .sigmoid, .relu6: return function.rawValue
        case .silu: return "swish"
        case .leakyReLU, .geluTanh, .quickGELU, .hardSwish, .hardSigmoid:
            throw refuse(node, "applies \(function.rawValue)")
        }
    }

    private mutating func append(
        _ node: Node, _ name: String, _ kind: String, _ config: [JSON.Member], from inputs: [String],
        weights: [KerasLayer.Weight] = []
    ) {
        layers.append(KerasLayer(name: name, kind: kind, config: config, inputs: inputs, weights: weights))
        layerOfNode[node.name] = name
    }

    private func weight(_ role: String, _ tensor: String, _ order: [Int]? = nil) -> KerasLayer.Weight? {
        model.weights[tensor].map { value in
            KerasLayer.Weight(role: role) { order.map { value.transposed($0) } ?? value }
        }
    }

    private mutating func add(_ node: Node) throws {
        let sources = node.inputs.compactMap { layerOfNode[$0] }
        let name = name(node)
        depthOfNode[node.name] = 1 + (node.inputs.map { depthOfNode[$0] ?? 0 }.max() ?? 0)
        switch node.operation {
        case .convolution(let convolution):
            let (source, padding) = try padded(node, convolution.window, sources[0], name, zeros: true)
            append(
                node, name, "Conv2D",
                convolution.window.members("kernel_size") + [
                    .init("filters", .integer(convolution.filters)), .init("padding", .string(padding)),
                    .init("dilation_rate", JSON([convolution.window.dilation, convolution.window.dilation])),
                    .init("groups", .integer(convolution.groups)), .init("activation", "linear"),
                    .init("use_bias", .bool(convolution.hasBias)),
                ], from: [source],
                weights: [
                    weight("kernel", "\(node.name).weight", [2, 3, 1, 0]),
                    convolution.hasBias ? weight("bias", "\(node.name).bias") : nil,
                ].compactMap(\.self))
        case .batchNormalization(let normalization):
            append(
                node, name, "BatchNormalization",
                [
                    .init("axis", JSON([3])), .init("momentum", .number(normalization.statisticsKept)),
                    .init("epsilon", .number(normalization.epsilon)), .init("center", true), .init("scale", true),
                ], from: sources,
                weights: [
                    weight("gamma", "\(node.name).weight"), weight("beta", "\(node.name).bias"),
                    weight("moving_mean", "\(node.name).running_mean"),
                    weight("moving_variance", "\(node.name).running_var"),
                ].compactMap(\.self))
        case .activation(let function):
            if function == .leakyReLU {
                // Keras 3 knows the slope by its old name too.
                append(node, name, "LeakyReLU", [.init("alpha", .number(Double(Activation.leakySlope)))], from: sources)
            } else {
                let word = try word(for: function, node)
                append(node, name, "Activation", [.init("activation", .string(word))], from: sources)
            }
            if function.isNonnegative { isNonnegative.insert(node.name) }
        case .addition:
            // The shortcut first, as keras.applications adds: the order of equally distant layers depends on it.
            let order = node.inputs.sorted { (depthOfNode[$0] ?? 0) < (depthOfNode[$1] ?? 0) }
            append(node, name, "Add", [], from: order.compactMap { layerOfNode[$0] })
        case .channelScaling:
            let channels = try channels(of: node.inputs[1], node)
            let shaped = "\(name)_shape"
            layers.append(
                KerasLayer(
                    name: shaped, kind: "Reshape", config: [.init("target_shape", JSON([1, 1, channels]))],
                    inputs: [sources[1]]))
            append(node, name, "Multiply", [], from: [sources[0], shaped])
        case .maxPooling(let window):
            // Zeros stand for nothing where no number is negative.
            let zeros = isNonnegative.contains(node.inputs[0])
            let (source, padding) = try padded(node, window, sources[0], name, zeros: zeros)
            append(
                node, name, "MaxPooling2D", window.members("pool_size") + [.init("padding", .string(padding))],
                from: [source])
        case .averagePooling(let window, let countsPadding):
            let (source, padding) = try padded(node, window, sources[0], name, zeros: countsPadding)
            guard padding == "valid" || !countsPadding else { throw refuse(node, "counts padding") }
            append(
                node, name, "AveragePooling2D", window.members("pool_size") + [.init("padding", .string(padding))],
                from: [source])
        case .globalAveragePooling: append(node, name, "GlobalAveragePooling2D", [], from: sources)
        case .zeroPadding(let edges): append(node, name, "ZeroPadding2D", [edges.member], from: sources)
        case .subsampling(let step):
            let window = Window(1, 1, stride: step)
            append(
                node, name, "MaxPooling2D", window.members("pool_size") + [.init("padding", "valid")], from: sources)
        case .channelPadding(let before, let after): try addChannelPadding(node, name, sources, before, after)
        case .flatten: append(node, name, "Flatten", [], from: sources)
        case .rowNormalization: append(node, name, "UnitNormalization", [.init("axis", -1)], from: sources)
        case .dense(_, let outputs, let hasBias):
            let isClassifier = node.name == output && node.stage == Stage.head
            append(
                node, name, "Dense",
                [
                    .init("units", .integer(outputs)), .init("activation", isClassifier ? "softmax" : "linear"),
                    .init("use_bias", .bool(hasBias)),
                ], from: sources,
                weights: [
                    weight("kernel", "\(node.name).weight", [1, 0]),
                    hasBias ? weight("bias", "\(node.name).bias") : nil,
                ].compactMap(\.self))
        }
    }

    /// Keras has no layer that adds channels; a 1×1 convolution with fixed filters does.
    private mutating func addChannelPadding(
        _ node: Node, _ name: String, _ sources: [String], _ before: Int, _ after: Int
    ) throws {
        let channels = try channels(of: node.inputs[0], node)
        let filters = before + channels + after
        append(
            node, name, "Conv2D",
            Window(1, 1).members("kernel_size") + [
                .init("filters", .integer(filters)), .init("padding", "valid"), .init("activation", "linear"),
                .init("use_bias", false), .init("trainable", false),
            ], from: sources,
            weights: [
                KerasLayer.Weight(role: "kernel") {
                    Tensor(shape: [1, 1, channels, filters]) { values in
                        values.update(repeating: 0)
                        for channel in 0..<channels { values[channel * filters + before + channel] = 1 }
                    }
                }
            ])
    }

    /// What a window reads and Keras' word for its padding; explicit zeros become a layer of their own.
    private mutating func padded(_ node: Node, _ window: Window, _ source: String, _ name: String, zeros: Bool) throws
        -> (source: String, padding: String)
    {
        guard case .edges(let edges) = window.padding else { return (source, "same") }
        if edges == .none { return (source, "valid") }
        let same = Window(window.height, window.width, dilation: window.dilation, padding: .same)
        if case .convolution = node.operation, window.stride == 1, same.edges(height: 64, width: 64) == edges {
            return (source, "same")
        }
        guard zeros else { throw refuse(node, "pads with something other than zeros") }
        layers.append(KerasLayer(name: "\(name)_pad", kind: "ZeroPadding2D", config: [edges.member], inputs: [source]))
        return ("\(name)_pad", "valid")
    }

    /// The channels of a node's output, as far as its own tensors or its inputs' tell.
    private func channels(of name: String, _ reader: Node) throws -> Int {
        guard let node = model.network.nodes.first(where: { $0.name == name }) else {
            return model.network.inputChannels
        }
        guard let channels = try node.operation.channels(of: channels(of: node.inputs[0], reader)) else {
            throw refuse(reader, "reads a flattened image")
        }
        return channels
    }

    // MARK: The configuration

    func config(_ ordered: [KerasLayer]) -> JSON {
        func place(_ name: String) -> JSON { [.string(name), 0, 0] }
        let entries = ordered.map { layer -> JSON in
            let inputs = layer.inputs.map { name -> JSON in [.string(name), 0, 0, [:]] }
            return [
                "class_name": .string(layer.kind),
                "config": .object([.init("name", .string(layer.name))] + layer.config),
                "name": .string(layer.name),
                "inbound_nodes": layer.inputs.isEmpty ? [] : .array([.array(inputs)]),
            ]
        }
        return [
            "class_name": "Functional",
            "config": [
                "name": "finetune", "layers": .array(entries), "input_layers": [place(Self.input)],
                "output_layers": [place(layerOfNode[output] ?? Self.input)],
            ],
        ]
    }

    /// The layers as `model.layers` has them.
    var inModelOrder: [KerasLayer] {
        let byName = Dictionary(layers.map { ($0.name, $0) }) { $1 }
        /// In which order a walk from the output meets the layers, and the layers with those that they read first.
        var met: [String: Int] = [:]
        var finished: [String] = []
        func walk(_ name: String) {
            guard met[name] == nil, let layer = byName[name] else { return }
            met[name] = met.count
            for input in layer.inputs { walk(input) }
            finished.append(name)
        }
        walk(layerOfNode[output] ?? Self.input)
        var depth: [String: Int] = [:]
        for name in finished.reversed() {
            let own = depth[name, default: 0]
            depth[name] = own
            for input in byName[name]?.inputs ?? [] { depth[input] = max(depth[input, default: 0], own + 1) }
        }
        return layers.filter { met[$0.name] != nil }.sorted {
            (-(depth[$0.name] ?? 0), met[$0.name] ?? 0) < (-(depth[$1.name] ?? 0), met[$1.name] ?? 0)
        }
    }
}

extension Window {
    fileprivate func members(_ size: String) -> [JSON.Member] {
        [.init(size, JSON([height, width])), .init("strides", JSON([stride, stride]))]
    }
}

extension Edges {
    fileprivate var member: JSON.Member {
        .init("padding", .array([JSON([top, bottom]), JSON([left, right])]))
    }
}
