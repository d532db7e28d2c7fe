// Layers and connections of a Keras model, models inside models included, on their way to a `Network`.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

struct KerasGraph {
    let path: String
    var inputSize: ImageSize?
    /// Batch norms that leave tensors out.
    var normalizationsWithout: [String: (count: Int, scale: Bool, center: Bool)] = [:]
    /// What `Normalization` layers keep in the file, by layer and role.
    var statistics: [String: [Double]] = [:]
    /// How pixels reach the first layer with weights, where layers say so, and which layers do.
    private(set) var pixels: InputRecipe.Pixels?
    var preprocessingLayers: [String] = []
    var layers: [Layer] = []
    var output: String?
    var inputChannels = 3

    struct Layer {
        var name: String
        var kind: String
        var config: JSON
        var inputs: [String]
    }

    /// What a layer gives: a node of the network, and what pixels went through before the first one.
    struct Value {
        var node: String
        var channels: Int
        var pixels: PixelMap?
    }

    init(path: String) { self.path = path }

    func fail(_ reason: String) -> CheckpointError { .cannotLoad(path, reason) }

    func refuse(_ layer: Layer, _ reason: String) -> CheckpointError {
        fail("its layer '\(layer.name)' (\(layer.kind)) \(reason).")
    }

    func isNormalization(_ name: String) -> Bool { layers.contains { $0.name == name && $0.kind == "Normalization" } }

    // MARK: Reading the configuration

    /// The deepest nesting of models in models.
    private static let maximumDepth = 16

    mutating func read(_ json: JSON) throws {
        output = try read(json, inputs: [], depth: 0)
        let names = layers.map(\.name)
        if let twice = names.first(where: { name in names.count { $0 == name } > 1 }) {
            throw fail("it has two layers named '\(twice)'.")
        }
        if layers.contains(where: { $0.name == Node.image && $0.kind != "InputLayer" }) {
            throw fail("it has a layer named '\(Node.image)', which is what the input is called here.")
        }
    }

    /// Adds the layers of one model.
    ///
    /// - Parameter inputs: What feeds a model inside another, by the outer layers' names; empty for the outermost.
    /// - Returns: The name of the layer that gives the model's output.
    private mutating func read(_ json: JSON, inputs given: [String], depth: Int) throws -> String? {
        let kind = json["class_name"]?.stringValue ?? ""
        guard depth <= Self.maximumDepth else { throw fail("its models lie in each other too deep.") }
        guard Self.models.contains(kind), let config = json["config"] else {
            throw fail("its model is a '\(kind)', a functional or sequential model was expected.")
        }
        /// The layer that stands for a name of this model.
        var meaning: [String: String] = [:]
        var previous = given.first
        for entry in config["layers"]?.arrayValue ?? config.arrayValue ?? [] {
            guard let kind = entry["class_name"]?.stringValue, let config = entry["config"],
                let name = entry["name"]?.stringValue ?? config["name"]?.stringValue
            else { throw fail("its model_config has a layer without class or name.") }
            guard let calls = Self.calls(of: entry), calls.count <= 1 else {
                throw fail("its layer '\(name)' is used more than once, which is not read.")
            }
            let listed = calls.first ?? (entry["inbound_nodes"] == nil ? previous.map { [$0] } : nil) ?? []
            let inputs = listed.map { meaning[$0] ?? $0 }
            if kind == "InputLayer", let first = given.first {
                meaning[name] = first
                previous = first
            } else if Self.models.contains(kind) {
                let result = try read(entry, inputs: inputs, depth: depth + 1)
                meaning[name] = result ?? name
                previous = result
            } else {
                layers.append(Layer(name: name, kind: kind, config: config, inputs: inputs))
                previous = name
            }
        }
        let outputs = config["output_layers"]?.arrayValue ?? []
        // Keras 2 writes a list of outputs; Keras 3 writes a single one bare.
        if outputs.count > 1, outputs.first?.arrayValue != nil {
            throw fail("its model has \(outputs.count) outputs, one was expected.")
        }
        let name = outputs.first?.arrayValue?.first?.stringValue ?? outputs.first?.stringValue
        return name.map { meaning[$0] ?? $0 } ?? previous
    }

    static let models: Set = ["Functional", "Model", "Sequential"]

    /// The names of the layers that each call of an entry reads; none in a sequential model, nil where unreadable.
    private static func calls(of entry: JSON) -> [[String]]? {
        guard let nodes = entry["inbound_nodes"]?.arrayValue else { return [] }
        return nodes.map { node in
            if let calls = node.arrayValue {  // Keras 2: [["conv1", 0, 0, {}], …], or one of them bare
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
            for argument in node["args"]?.arrayValue ?? [] { visit(argument) }
            return names
        }
    }

    // MARK: Making the network

    /// - Parameter table: Tells the channels, which a configuration does not repeat for every layer.
    mutating func network(_ table: TensorTable) throws -> Network {
        var nodes: [Node] = []
        var value: [String: Value] = [:]
        var pending: [String: Edges] = [:]
        for layer in layers {
            if layer.kind == "InputLayer" {
                try readInput(layer)
                value[layer.name] = Value(node: Node.image, channels: inputChannels, pixels: PixelMap(inputChannels))
                continue
            }
            if value.isEmpty {  // A sequential model may state its input on the first layer.
                try readInput(layer)
                value[layer.inputs.first ?? ""] = Value(
                    node: Node.image, channels: inputChannels, pixels: PixelMap(inputChannels))
            }
            let sources = try (layer.inputs.isEmpty ? [""] : layer.inputs).map { name in
                guard let source = value[name] else {
                    throw refuse(layer, "reads '\(name)', which does not come before it")
                }
                return source
            }
            guard let source = sources.first else { throw refuse(layer, "reads nothing") }
            if let map = source.pixels {
                if let next = try preprocessing(layer, map) {
                    value[layer.name] = Value(node: Node.image, channels: source.channels, pixels: next)
                    continue
                }
                try settle(map, layer)
            }
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
                value[layer.name] = Value(node: source.node, channels: source.channels)
                continue
            }
            if case .zeroPadding(let edges) = operation, feedsOnlyConvolutions(layer) {
                pending[layer.name] = edges
                value[layer.name] = Value(node: source.node, channels: source.channels)
                continue
            }
            nodes.append(Node(layer.name, stage: "", operation, inputs: sources.map(\.node)))
            var last = layer.name
            if let function = try inlineActivation(layer) {
                last = "\(layer.name)/\(function.rawValue)"
                nodes.append(Node(last, stage: "", .activation(function), inputs: [layer.name]))
            }
            value[layer.name] = Value(node: last, channels: channels)
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

    /// Takes the pixels as they reach the first layer that is none of preprocessing.
    private mutating func settle(_ map: PixelMap, _ layer: Layer) throws {
        let found = preprocessingLayers.isEmpty ? nil : map.pixels
        if let pixels, pixels != found { throw refuse(layer, "reads other pixels than a layer before it") }
        pixels = found
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
}
