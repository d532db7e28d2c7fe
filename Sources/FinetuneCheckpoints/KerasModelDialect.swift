// Keras whole models (`model.save('m.h5')`): the graph comes from the `model_config` attribute, as data; nothing in it
// is ever executed. Keras 2 and Keras 3 write the same layers with different words for their connections.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

enum KerasModelDialect {
    static func read(_ arrays: NamedArrays, config: String, root: String, path: String) throws -> Model {
        let json: JSON
        do {
            json = try JSON(parsing: config)
        } catch {
            throw CheckpointError.cannotLoad(path, "its model_config is \(error).")
        }
        var graph = KerasGraph(path: path)
        try graph.read(json)
        let weights = try KerasWeights.list(arrays, root: root, path: path)
        var table = TensorTable()
        for weight in weights {
            guard let (role, tensor) = KerasWeights.canonical(weight) else {
                table.strangers.append(weight.fileName)
                continue
            }
            table.add("\(weight.layer).\(role)", tensor, fileName: weight.fileName, problem: weight.problem)
        }
        let network = try graph.network(table)
        for (layer, channels) in graph.normalizationsWithout {
            // A batch norm may leave out its factor (`scale: false`) or its offset (`center: false`).
            if channels.scale {
                table.add("\(layer).weight", Tensor(shape: [channels.count], repeating: 1), fileName: "(none)")
            }
            if channels.center {
                table.add("\(layer).bias", Tensor(shape: [channels.count], repeating: 0), fileName: "(none)")
            }
        }
        let isApplications = network.nodes.contains { $0.name == "conv2_block1_1_conv" || $0.name == "res2a_branch2a" }
        var recipe: InputRecipe?
        if isApplications {
            let isV2 = network.nodes.contains { $0.name == "conv2_block1_preact_bn" }
            let size = graph.inputSize ?? ImageSize(height: 224, width: 224)
            recipe = InputRecipe(height: size.height, width: size.width, pixels: isV2 ? .tf : .caffe, fit: .squash)
        }
        return Model(
            network: network, weights: try table.weights(for: network, path: path), recipe: recipe,
            inputSize: graph.inputSize, dialect: "Keras whole model")
    }
}

/// Layers and connections of a Keras model, on their way to a `Network`.
struct KerasGraph {
    let path: String
    private(set) var inputSize: ImageSize?
    /// Batch norms that leave tensors out.
    private(set) var normalizationsWithout: [String: (count: Int, scale: Bool, center: Bool)] = [:]
    private var layers: [Layer] = []
    private var output: String?
    private var inputChannels = 3

    private struct Layer {
        var name: String
        var kind: String
        var config: JSON
        var inputs: [String]
    }

    init(path: String) { self.path = path }

    private func fail(_ reason: String) -> CheckpointError { .cannotLoad(path, reason) }

    private func refuse(_ layer: Layer, _ reason: String) -> CheckpointError {
        fail("its layer '\(layer.name)' (\(layer.kind)) \(reason).")
    }

    // MARK: Reading the configuration

    mutating func read(_ json: JSON) throws {
        let kind = json["class_name"]?.stringValue ?? ""
        guard ["Functional", "Model", "Sequential"].contains(kind), let config = json["config"] else {
            throw fail("its model is a '\(kind)', a functional or sequential model was expected.")
        }
        let entries = config["layers"]?.arrayValue ?? config.arrayValue ?? []
        var previous: String?
        for entry in entries {
            guard let kind = entry["class_name"]?.stringValue, let config = entry["config"],
                let name = entry["name"]?.stringValue ?? config["name"]?.stringValue
            else { throw fail("its model_config has a layer without class or name.") }
            let inputs = try Self.inputs(of: entry) ?? previous.map { [$0] } ?? []
            layers.append(Layer(name: name, kind: kind, config: config, inputs: inputs))
            previous = name
        }
        let outputs = config["output_layers"]?.arrayValue ?? []
        // Keras 2 writes a list of outputs; Keras 3 writes a single one bare.
        output = outputs.first?.arrayValue?.first?.stringValue ?? outputs.first?.stringValue ?? previous
        if outputs.count > 1, outputs.first?.arrayValue != nil {
            throw fail("its model has \(outputs.count) outputs, one was expected.")
        }
    }

    /// The names of the layers that an entry reads; nil in a sequential model, which does not say.
    private static func inputs(of entry: JSON) throws -> [String]? {
        guard let nodes = entry["inbound_nodes"]?.arrayValue else { return nil }
        guard let first = nodes.first else { return [] }
        if let calls = first.arrayValue {  // Keras 2: [[["conv1", 0, 0, {}], …]]
            if let name = calls.first?.stringValue { return [name] }
            return calls.compactMap { $0.arrayValue?.first?.stringValue }
        }
        var names: [String] = []  // Keras 3: {"args": [{"class_name": "__keras_tensor__", "config": {"keras_history": …}}]}
        func visit(_ value: JSON) {
            if let history = value["config"]?["keras_history"]?.arrayValue, let name = history.first?.stringValue {
                names.append(name)
            } else {
                for inner in value.arrayValue ?? [] { visit(inner) }
            }
        }
        for argument in first["args"]?.arrayValue ?? [] { visit(argument) }
        return names
    }

    // MARK: Making the network

    /// - Parameter table: Tells the channels, which a configuration does not repeat for every layer.
    mutating func network(_ table: TensorTable) throws -> Network {
        var nodes: [Node] = []
        /// The node that gives a layer's output, and its channels.
        var value: [String: (node: String, channels: Int)] = [:]
        var pending: [String: Edges] = [:]
        for layer in layers {
            if layer.kind == "InputLayer" {
                try readInput(layer)
                value[layer.name] = (Node.image, inputChannels)
                continue
            }
            if value.isEmpty {  // A sequential model may state its input on the first layer.
                try readInput(layer)
                value[layer.inputs.first ?? ""] = (Node.image, inputChannels)
            }
            let sources = try (layer.inputs.isEmpty ? [""] : layer.inputs).map { name in
                guard let source = value[name] else {
                    throw refuse(layer, "reads '\(name)', which does not come before it")
                }
                return source
            }
            guard let source = sources.first else { throw refuse(layer, "reads nothing") }
            let padding = layer.inputs.first.flatMap { pending[$0] }
            var (operation, channels) = try operation(layer, channels: source.channels, table)
            if let edges = padding {
                guard case .convolution(var convolution) = operation, case .edges(let own) = convolution.window.padding
                else {
                    throw refuse(layer, "follows a zero padding in a way that is not read")
                }
                convolution.window.padding = .edges(
                    Edges(
                        top: own.top + edges.top, left: own.left + edges.left, bottom: own.bottom + edges.bottom,
                        right: own.right + edges.right))
                operation = .convolution(convolution)
            }
            guard let operation else {  // The layer changes nothing.
                value[layer.name] = source
                continue
            }
            if case .zeroPadding(let edges) = operation, feedsOnlyConvolutions(layer) {
                pending[layer.name] = edges
                value[layer.name] = source
                continue
            }
            nodes.append(Node(layer.name, stage: "", operation, inputs: sources.map(\.node)))
            var last = layer.name
            if let function = try inlineActivation(layer) {
                last = "\(layer.name)/\(function.rawValue)"
                nodes.append(Node(last, stage: "", .activation(function), inputs: [layer.name]))
            }
            value[layer.name] = (last, channels)
        }
        guard let output, let result = value[output], let last = nodes.firstIndex(where: { $0.name == result.node })
        else {
            throw fail("its output layer is not among its layers.")
        }
        nodes.removeSubrange((last + 1)...)
        var network = Network(name: "", inputChannels: inputChannels, nodes: nodes)
        let needed = network.ancestors(of: result.node)
        network.nodes.removeAll { !needed.contains($0.name) }
        network.nameStages()
        let convolutions = network.nodes.count { if case .convolution = $0.operation { true } else { false } }
        network.name = "functional network, \(convolutions) convolutions"
        return network
    }

    private func feedsOnlyConvolutions(_ layer: Layer) -> Bool {
        let readers = layers.filter { $0.inputs.contains(layer.name) }
        return !readers.isEmpty
            && readers.allSatisfy { $0.kind == "Conv2D" && $0.config["padding"]?.stringValue == "valid" }
    }

    private mutating func readInput(_ layer: Layer) throws {
        let shape = (layer.config["batch_input_shape"] ?? layer.config["batch_shape"])?.arrayValue ?? []
        guard shape.count == 4 else { throw refuse(layer, "is no image of [batch, height, width, channels]") }
        guard let channels = shape[3].intValue, channels == 1 || channels == 3 else {
            throw refuse(layer, "has \(shape[3].text) channels, 1 or 3 were expected, last")
        }
        inputChannels = channels
        if let height = shape[1].intValue, let width = shape[2].intValue, (1...8192).contains(height),
            (1...8192).contains(width)
        {
            inputSize = ImageSize(height: height, width: width)
        }
    }

    /// The operation of a layer, nil where it changes nothing at inference, and the channels of its output.
    private mutating func operation(_ layer: Layer, channels: Int, _ table: TensorTable) throws -> (
        FinetuneEngine.Operation?, Int
    ) {
        let config = layer.config
        if let format = config["data_format"]?.stringValue, format != "channels_last" {
            throw refuse(layer, "keeps channels first, only channels_last is read")
        }
        switch layer.kind {
        case "Conv2D":
            guard let filters = config["filters"]?.intValue, filters > 0 else {
                throw refuse(layer, "has no number of filters")
            }
            let groups = config["groups"]?.intValue ?? 1
            guard groups > 0, channels % groups == 0, filters % groups == 0 else {
                throw refuse(layer, "has groups that do not divide its channels")
            }
            return (
                .convolution(
                    Convolution(
                        channels: channels, filters: filters, groups: groups,
                        window: try window(layer, size: "kernel_size", defaultStride: 1),
                        hasBias: config["use_bias"]?.boolValue ?? true)), filters
            )
        case "BatchNormalization":
            let axis = config["axis"]?.intValue ?? config["axis"]?.arrayValue?.first?.intValue ?? -1
            guard axis == 3 || axis == -1 else { throw refuse(layer, "normalizes axis \(axis), the last was expected") }
            let (scales, centers) = (config["scale"]?.boolValue ?? true, config["center"]?.boolValue ?? true)
            if !scales || !centers { normalizationsWithout[layer.name] = (channels, !scales, !centers) }
            return (
                .batchNormalization(
                    BatchNormalization(
                        channels: channels, epsilon: config["epsilon"]?.doubleValue ?? 1e-3,
                        statisticsKept: config["momentum"]?.doubleValue ?? 0.99)), channels
            )
        case "Activation", "ReLU", "Softmax":
            let name =
                layer.kind == "Activation" ? config["activation"]?.stringValue ?? "linear" : layer.kind.lowercased()
            if layer.kind == "ReLU" {
                for key in ["max_value", "negative_slope", "threshold"] {
                    let isSet = (config[key]?.doubleValue ?? 0) != 0
                    if isSet { throw refuse(layer, "has \(key) set, a plain ReLU was expected") }
                }
            }
            return (try activation(name, layer).map { .activation($0) }, channels)
        case "Add": return (.addition, channels)
        case "MaxPooling2D": return (.maxPooling(try window(layer, size: "pool_size", defaultStride: nil)), channels)
        case "AveragePooling2D":
            return (
                .averagePooling(try window(layer, size: "pool_size", defaultStride: nil), countsPadding: false),
                channels
            )
        case "GlobalAveragePooling2D": return (.globalAveragePooling, channels)
        case "ZeroPadding2D":
            let sides = (config["padding"]?.arrayValue ?? []).map { $0.arrayValue?.compactMap(\.intValue) ?? [] }
            guard sides.count == 2, sides.allSatisfy({ $0.count == 2 && $0.allSatisfy { (0...1000).contains($0) } })
            else {
                throw refuse(layer, "has no padding of four sides")
            }
            return (
                .zeroPadding(Edges(top: sides[0][0], left: sides[1][0], bottom: sides[0][1], right: sides[1][1])),
                channels
            )
        case "Flatten": return (.flatten, channels)
        case "Dense":
            guard let units = config["units"]?.intValue, units > 0 else {
                throw refuse(layer, "has no number of units")
            }
            // How many features arrive depends on the image's size where an image was flattened; the file knows.
            let inputs = table.shape("\(layer.name).weight")?.last ?? channels
            return (.dense(inputs: inputs, outputs: units, hasBias: config["use_bias"]?.boolValue ?? true), units)
        case "Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "ActivityRegularization":
            return (nil, channels)
        default:
            throw refuse(
                layer,
                "is of a class that is not read. Known are Conv2D, BatchNormalization, Activation, ReLU, Add, pooling, ZeroPadding2D, Flatten, Dense and Dropout"
            )
        }
    }

    private func window(_ layer: Layer, size key: String, defaultStride: Int?) throws -> Window {
        func pair(_ key: String) -> [Int]? {
            let values =
                layer.config[key]?.arrayValue?.compactMap(\.intValue) ?? layer.config[key]?.intValue.map { [$0, $0] }
            return values?.count == 2 && values?.allSatisfy { (1...1000).contains($0) } == true ? values : nil
        }
        guard let size = pair(key) else { throw refuse(layer, "has no \(key) of two numbers") }
        let strides = pair("strides") ?? defaultStride.map { [$0, $0] } ?? size
        let dilations = pair("dilation_rate") ?? [1, 1]
        guard strides[0] == strides[1], dilations[0] == dilations[1] else {
            throw refuse(layer, "strides or dilates differently in the two directions")
        }
        let padding = layer.config["padding"]?.stringValue ?? "valid"
        guard padding == "valid" || padding == "same" else {
            throw refuse(layer, "pads by '\(padding)', valid or same were expected")
        }
        return Window(
            size[0], size[1], stride: strides[0], dilation: dilations[0],
            padding: padding == "same" ? .same : .edges(.none))
    }

    private func inlineActivation(_ layer: Layer) throws -> Activation? {
        guard layer.kind == "Conv2D" || layer.kind == "Dense", let name = layer.config["activation"]?.stringValue else {
            return nil
        }
        return try activation(name, layer)
    }

    /// Nil for the identity, and for the softmax that ends a classifier: the network's outputs are logits.
    private func activation(_ name: String, _ layer: Layer) throws -> Activation? {
        switch name {
        case "linear": nil
        case "relu": .relu
        case "softmax" where layer.name == output: nil
        default: throw refuse(layer, "applies '\(name)', which is not read here")
        }
    }
}

extension Network {
    /// Tells the stages of a network that has no names for them: the stem ends at the first fork (or the first
    /// activation where nothing forks), a new stage begins wherever the resolution falls, the head is the last dense layer and
    /// what follows it, and what comes between the images and the head pools.
    fileprivate mutating func nameStages() {
        var readers: [String: Int] = [:]
        for node in nodes { for input in node.inputs { readers[input, default: 0] += 1 } }
        let head = nodes.lastIndex { if case .dense = $0.operation { true } else { false } } ?? nodes.count
        let fork =
            nodes.firstIndex { (readers[$0.name] ?? 0) > 1 }
            ?? nodes.firstIndex { if case .activation = $0.operation { true } else { false } } ?? 0
        let pool =
            nodes.firstIndex {
                switch $0.operation {
                case .globalAveragePooling, .flatten: true
                default: false
                }
            } ?? head
        // A plain average pooling right before the flattening belongs to the pooling.
        var pooled = pool
        while pooled > 0, case .averagePooling = nodes[pooled - 1].operation { pooled -= 1 }
        var scale: [String: Int] = [Node.image: 1]
        var stage = 0
        var largest = 0
        for index in nodes.indices {
            let before = nodes[index].inputs.map { scale[$0] ?? 1 }.max() ?? 1
            let step: Int =
                switch nodes[index].operation {
                case .convolution(let convolution): convolution.window.stride
                case .maxPooling(let window), .averagePooling(let window, _): window.stride
                case .subsampling(let step): step
                default: 1
                }
            scale[nodes[index].name] = min(before * step, 1 << 20)  // Nobody vouches for the strides.
            if index >= head {
                nodes[index].stage = Stage.head
            } else if index >= pooled {
                nodes[index].stage = Stage.pooled
            } else if index <= fork {
                nodes[index].stage = Stage.stem
                largest = before * step
            } else {
                if stage == 0 || before * step > largest { stage += 1 }
                largest = max(largest, before * step)
                nodes[index].stage = "stage\(stage)"
            }
        }
    }
}
