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
    /// How pixels reach the first layer with weights, if layers say so.
    private(set) var preparation: PixelPreparation?
    private(set) var layers: [Layer] = []
    /// The layers that give the model's outputs.
    private(set) var outputs: [String] = []
    var inputChannels = 3
    /// What the last layer's activation makes of the outputs.
    var outputMeaning = OutputMeaning.classes
    /// Whether the outputs are probabilities of classes.
    var endsInSoftmax = false
    /// What there is to say of a network that was read as a whole.
    private(set) var remarks: [String] = []
    /// What to know of how layers are read, such as options that are not known here.
    var warnings: [String] = []
    /// Why the head is not part of the network; nil if it is, or if there is none.
    var leftOutHead: LeftOutHead?
    /// The layers that are not computed, and why.
    var omitted: [String: String] = [:]

    struct Layer {
        var name: String
        var kind: String
        var config: JSON
        var call: KerasCall
        var inputs: [String] { call.layers }
    }

    /// What a layer gives: a node of the network, and what pixels went through before the first one.
    struct Value {
        var node: String
        var channels: Int
        /// Whether it is a row of features and no image.
        var isRow = false
        var pixels: PixelPreparation?
    }

    init(path: String) { self.path = path }

    func fail(_ reason: String) -> CheckpointError { .cannotLoad(path, reason) }

    func refuse(_ layer: Layer, _ reason: String) -> CheckpointError {
        fail("its layer '\(layer.name)' (\(layer.kind)) \(reason).")
    }

    /// The only output.
    var output: String? { outputs.count == 1 ? outputs[0] : nil }

    func isNormalization(_ name: String) -> Bool { layers.contains { $0.name == name && $0.kind == "Normalization" } }

    /// Whether a layer of the model is not part of the network, so that its weights are not needed.
    func leavesOut(_ layer: String) -> Bool { leftOutHead != nil && layers.contains { $0.name == layer } }

    // MARK: Reading the configuration

    /// The deepest nesting of models in models.
    private static let maximumDepth = 16

    mutating func read(_ json: JSON) throws {
        outputs = try read(json, inputs: [], depth: 0)
        var names: Set<String> = []
        if let twice = layers.first(where: { !names.insert($0.name).inserted }) {
            throw fail("it has two layers named '\(twice.name)'.")
        }
        if layers.contains(where: { $0.name == Node.image && $0.kind != "InputLayer" }) {
            throw fail("it has a layer named '\(Node.image)', which is what the input is called here.")
        }
    }

    /// Adds the layers of one model.
    ///
    /// - Parameter inputs: What feeds a model inside another, by the outer layers' names; empty for the outermost.
    /// - Returns: The names of the layers that give the model's outputs.
    private mutating func read(_ json: JSON, inputs given: [String], depth: Int) throws -> [String] {
        guard let kind = json["class_name"]?.stringValue else {
            throw fail(
                "its configuration is \(String(json.text.prefix(40))), an object with a class_name was expected.")
        }
        guard depth <= Self.maximumDepth else { throw fail("its models lie in each other too deep.") }
        guard Self.models.contains(kind), let config = json["config"] else {
            throw fail(
                "its model is of the class '\(kind)', whose code the file does not hold. Expected a functional or sequential model: build one of the same layers, and save that."
            )
        }
        /// The layer that stands for a name of this model.
        var meaning: [String: String] = [:]
        var previous = given.first
        let starts = Self.names(of: config["input_layers"])
        for entry in config["layers"]?.arrayValue ?? config.arrayValue ?? [] {
            guard var kind = entry["class_name"]?.stringValue, let config = entry["config"],
                let name = entry["name"]?.stringValue ?? config["name"]?.stringValue
            else { throw fail("its model_config has a layer without class or name.") }
            // A class of other authors may be called like one of Keras', whose entries name their module.
            if let registered = entry["registered_name"]?.stringValue,
                entry["module"]?.stringValue?.hasPrefix("keras") != true || registered.contains(">")
            {
                kind = registered.contains(">") ? registered : "a class \(registered) that is not Keras'"
            }
            let calls = Self.calls(of: entry)
            guard calls.count <= 1 else {
                throw fail("its layer '\(name)' is used more than once, which is not read.")
            }
            var call =
                calls.first ?? (entry["inbound_nodes"] == nil ? previous.map { KerasCall([$0]) } : nil) ?? KerasCall()
            call.rename(meaning)
            if kind == "InputLayer", !given.isEmpty {
                let place = starts.firstIndex(of: name) ?? 0
                guard given.count == max(starts.count, 1), given.indices.contains(place) else {
                    throw fail(
                        "its model gives \(given.count) layers to a model inside it, which reads \(starts.count).")
                }
                meaning[name] = given[place]
                previous = given[place]
            } else if Self.models.contains(kind) {
                if call.isTraining { warnAboutTraining(name, kind) }
                let results = try read(entry, inputs: call.layers, depth: depth + 1)
                guard results.count <= 1 else {
                    throw fail("its model '\(name)' gives \(results.count) outputs to other layers, one was expected.")
                }
                meaning[name] = results.first ?? name
                previous = results.first
            } else {
                layers.append(Layer(name: name, kind: kind, config: config, call: call))
                previous = name
            }
        }
        let names = Self.names(of: config["output_layers"])
        return names.isEmpty ? [previous].compactMap { $0 } : names.map { meaning[$0] ?? $0 }
    }

    /// The layers in a list of a model's inputs or outputs. Keras 2 writes a list; Keras 3 writes a single one bare.
    private static func names(of list: JSON?) -> [String] {
        let listed = list?.arrayValue ?? []
        return listed.first?.stringValue.map { [$0] }
            ?? listed.compactMap { $0.arrayValue?.first?.stringValue ?? $0.stringValue }
    }

    static let models: Set = ["Functional", "Model", "Sequential"]

    /// How often an entry is called, and with what; nothing in a sequential model.
    private static func calls(of entry: JSON) -> [KerasCall] {
        (entry["inbound_nodes"]?.arrayValue ?? []).map { node in
            node.arrayValue.map { KerasCall(keras2: $0) } ?? KerasCall(keras3: node)
        }
    }

    // MARK: Making the network

    /// - Parameter table: Tells the channels, which a configuration does not repeat for every layer.
    mutating func network(_ table: TensorTable) throws -> Network {
        var build = Build()
        for layer in layers {
            do {
                try add(layer, to: &build, table)
            } catch let error as CheckpointError {
                // What follows a row of features belongs to the head, without which the features can be used.
                let inputs = layer.inputs
                let isHead =
                    !inputs.isEmpty
                    && inputs.allSatisfy { omitted[$0] != nil || build.values[$0]?.isRow == true }
                let isSecondInput = layer.kind == "InputLayer" && !build.values.isEmpty
                guard isHead || isSecondInput || beginsHead(layer, build) else { throw error }
                omitted[layer.name] = inputs.compactMap { omitted[$0] }.first ?? error.reason
            }
        }
        var network = Network(name: "", inputChannels: inputChannels, nodes: build.nodes)
        if let output, let result = build.values[output], result.pixels == nil {
            network.nodes = network.part(before: result.node)
            if !result.isRow, !network.nodes.isEmpty {
                // Without a pooling the features are what the usual one makes of the map.
                remarks.append(
                    "The model ends in the map '\(output)'; the pooled features are the means of its channels.")
                network.nodes.append(
                    Node("\(result.node)/pooled", stage: "", .globalAveragePooling, inputs: [result.node]))
            }
        } else {
            network.nodes = try trunk(network, build)
        }
        guard !network.nodes.isEmpty else { throw fail("its output layer is not among its layers.") }
        network.nameStages()
        let convolutions = network.nodes.count { if case .convolution = $0.operation { true } else { false } }
        network.name = "functional network, \(convolutions) convolutions"
        return network
    }

    /// The network while its layers are added.
    struct Build {
        var nodes: [Node] = []
        var values: [String: Value] = [:]
        var pending: [String: Edges] = [:]
    }

    private mutating func add(_ layer: Layer, to build: inout Build, _ table: TensorTable) throws {
        warnAboutOptions(of: layer)
        let depends =
            layer.kind == "BatchNormalization" || layer.kind.contains("Dropout")
            || Self.augmentations.contains(layer.kind)
        if layer.call.isTraining, depends { warnAboutTraining(layer.name, layer.kind) }
        if layer.kind == "InputLayer" {
            guard build.values.isEmpty else { throw refuse(layer, "is a second input, and one of images is read") }
            let start = try input(layer)
            build.values[layer.name] = start
            return
        }
        if build.values.isEmpty {  // A sequential model may state its input on the first layer.
            build.values[layer.inputs.first ?? ""] = try input(layer)
        }
        let sources = try (layer.inputs.isEmpty ? [""] : layer.inputs).map { name in
            guard let source = build.values[name] else {
                if let reason = omitted[name] { throw fail("\(reason).") }
                throw refuse(layer, "reads '\(name)', which does not come before it")
            }
            return source
        }
        guard let source = sources.first else { throw refuse(layer, "reads nothing") }
        if source.pixels != nil {
            if let prepared = try prepared(layer, build.values) {
                build.values[layer.name] = Value(
                    node: Node.image, channels: prepared.channels.count, pixels: prepared)
                return
            }
            for source in sources { if let pixels = source.pixels { try settle(pixels, layer) } }
        }
        let padding = layer.inputs.first.flatMap { build.pending[$0] }
        var (operation, channels) = try operation(layer, source, table)
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
            build.values[layer.name] = Value(node: source.node, channels: channels, isRow: source.isRow)
            return
        }
        if case .zeroPadding(let edges) = operation, feedsOnlyConvolutions(layer) {
            build.pending[layer.name] = edges
            build.values[layer.name] = Value(node: source.node, channels: source.channels)
            return
        }
        build.nodes.append(Node(layer.name, stage: "", operation, inputs: sources.map(\.node)))
        var last = layer.name
        if let function = try inlineActivation(layer) {
            last = "\(layer.name)/\(function.rawValue)"
            build.nodes.append(Node(last, stage: "", .activation(function), inputs: [layer.name]))
        }
        let isRow: Bool =
            switch operation {
            case .globalAveragePooling, .flatten, .dense, .rowNormalization: true
            case .convolution, .channelScaling, .maxPooling, .averagePooling, .zeroPadding, .subsampling,
                .channelPadding:
                false
            case .batchNormalization, .activation, .addition: source.isRow
            }
        build.values[layer.name] = Value(node: last, channels: channels, isRow: isRow)
    }

    /// Takes the pixels as they reach the first layer that is none of preprocessing.
    private mutating func settle(_ pixels: PixelPreparation, _ layer: Layer) throws {
        if let preparation, preparation != pixels { throw refuse(layer, "reads other pixels than a layer before it") }
        guard pixels.order != nil else {
            let isRepeated = Set(pixels.channels.map(\.source)).count == 1 && pixels.channels.count > 1
            throw refuse(
                layer,
                isRepeated
                    ? "reads one channel of the image several times, which is not read. Build the model from the layer after it, and give it pictures of three channels"
                    : "reads the channels of the image in an order that is neither RGB nor BGR")
        }
        preparation = pixels
    }

    private func feedsOnlyConvolutions(_ layer: Layer) -> Bool {
        let readers = layers.filter { $0.inputs.contains(layer.name) }
        return !readers.isEmpty
            && readers.allSatisfy { $0.kind == "Conv2D" && $0.config["padding"]?.stringValue == "valid" }
    }

    private mutating func input(_ layer: Layer) throws -> Value {
        let shape = (layer.config["batch_input_shape"] ?? layer.config["batch_shape"])?.arrayValue ?? []
        guard shape.count == 4 else { throw refuse(layer, "is no image of [batch, height, width, channels]") }
        guard let channels = shape[3].intValue, (1...4096).contains(channels) else {
            throw refuse(layer, "has \(shape[3].text) channels, a number was expected, last")
        }
        inputChannels = channels
        let sides = shape[1...2].filter { $0 != .null }
        guard sides.allSatisfy({ $0.intValue.map((1...8192).contains) == true }) else {
            throw refuse(layer, "has images of \(shape[1].text)×\(shape[2].text) pixels, 1 to 8192 were expected")
        }
        if let height = shape[1].intValue, let width = shape[2].intValue {
            inputSize = ImageSize(height: height, width: width)
        }
        return Value(node: Node.image, channels: channels, pixels: PixelPreparation(channels))
    }
}

extension Network {
    /// The nodes that a node needs, and itself, in their order.
    func part(before node: String) -> [Node] {
        guard nodes.contains(where: { $0.name == node }) else { return [] }
        let needed = ancestors(of: node)
        return nodes.filter { needed.contains($0.name) }
    }
}
