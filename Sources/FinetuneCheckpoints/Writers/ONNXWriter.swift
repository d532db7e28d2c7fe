// ONNX (github.com/onnx/onnx, onnx.proto and Operators.md): the network with its preprocessing before it and a softmax
// after it, so that a runtime takes the pixels of a resized crop and gives probabilities.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

enum ONNXWriter {
    /// The version of the operators, read by every runtime of the last years.
    private static let operatorSet = 13
    private static let formatVersion = 7
    /// No protocol buffer is larger.
    private static let maximumBytes = 1 << 31 - 1

    static func write(_ model: Model, to path: String) throws -> Int {
        var graph = ONNXGraph()
        try graph.build(model)
        var message = Protobuf()
        message.set(1, formatVersion)
        message.set(2, "finetune")
        message.set(7, graph.message(name: model.network.name))
        var operators = Protobuf()
        operators.set(1, "")
        operators.set(2, operatorSet)
        message.set(8, operators)
        var metadata = [("architecture", model.network.name)]
        if let classes = model.classes { metadata.append(("labels", JSON(classes).text)) }
        if let recipe = model.recipe { metadata.append(("preprocessing", recipe.json.text)) }
        for (key, value) in metadata {
            var entry = Protobuf()
            entry.set(1, key)
            entry.set(2, value)
            message.set(14, entry)
        }
        guard message.count <= maximumBytes else {
            throw CheckpointError.cannotConvert(
                path,
                "the network takes \(message.count) bytes, an ONNX file holds at most \(maximumBytes). Use --to safetensors"
            )
        }
        var file = try AtomicFile(path)
        try message.write(to: &file)
        try file.commit()
        return model.weights.count
    }
}

/// The fields of a graph, in the making.
private struct ONNXGraph {
    private enum ElementType: Int {
        case float = 1
        case byte = 2
        case integer = 7
    }

    private var nodes: [Protobuf] = []
    private var initializers: [Protobuf] = []
    private var inputs: [Protobuf] = []
    private var outputs: [Protobuf] = []

    // MARK: The network

    mutating func build(_ model: Model) throws {
        var value = [Node.image: addPixels(model)]
        for node in model.network.nodes {
            value[node.name] = add(node, node.inputs.compactMap { value[$0] }, model.weights)
        }
        let result = value[model.network.nodes.last?.name ?? Node.image] ?? Node.image
        guard let classes = model.headOutputs, model.network.nodes.last?.stage == Stage.head else {
            emit("Identity", [result], "features")
            let channels = model.network.nodes.last { node in
                if case .globalAveragePooling = node.operation { true } else { false }
            }
            outputs.append(Self.information("features", .float, channels == nil ? nil : [nil, nil]))
            return
        }
        emit("Identity", [result], "logits")
        emit("Softmax", ["logits"], "probabilities") { $0.integer("axis", 1) }
        outputs.append(Self.information("probabilities", .float, [nil, classes]))
        outputs.append(Self.information("logits", .float, [nil, classes]))
    }

    /// The pixels of an image, `uint8 [N, height, width, channels]` in RGB, as the network's input; where nobody knows
    /// the recipe, the network's own floats in that shape.
    private mutating func addPixels(_ model: Model) -> String {
        guard let recipe = model.recipe else {
            let sides = model.inputSize.map { [$0.height, $0.width] } ?? [nil, nil]
            inputs.append(Self.information(Node.image, .float, [nil] + sides + [model.network.inputChannels]))
            return emit("Transpose", [Node.image], "image:planes") { $0.integers("perm", [0, 3, 1, 2]) }
        }
        inputs.append(Self.information(Node.image, .byte, [nil, recipe.height, recipe.width, recipe.channels]))
        var value = emit("Cast", [Node.image], "image:float") { $0.integer("to", ElementType.float.rawValue) }
        if recipe.order == .bgr {
            let order = addIntegers("image:order", [2, 1, 0])
            value = emit("Gather", [value, order], "image:bgr") { $0.integer("axis", 3) }
        }
        func apply(_ operation: String, _ numbers: [Double], neutral: Double) {
            guard numbers.contains(where: { $0 != neutral }) else { return }
            let name = "image:\(operation.lowercased())"
            addFloats("\(name):by", Tensor(shape: [numbers.count], values: numbers.map { Float($0) }))
            value = emit(operation, [value, "\(name):by"], name)
        }
        apply("Mul", [recipe.scale], neutral: 1)
        apply("Sub", recipe.mean, neutral: 0)
        apply("Div", recipe.standardDeviation, neutral: 1)
        return emit("Transpose", [value], "image:planes") { $0.integers("perm", [0, 3, 1, 2]) }
    }

    /// - Returns: The name of the node's output.
    private mutating func add(_ node: Node, _ inputs: [String], _ weights: Weights) -> String {
        // The graph's own inputs and outputs keep their names.
        let isTaken = [Node.image, "logits", "probabilities", "features"].contains(node.name)
        let name = isTaken ? "\(node.name):own" : node.name
        let tensors = node.tensors.compactMap { name, _ -> String? in
            guard let tensor = weights[name] else { return nil }
            addFloats(name, tensor)
            return name
        }
        switch node.operation {
        case .convolution(let convolution):
            return emit("Conv", inputs + tensors, name) {
                $0.window(convolution.window)
                $0.integers("dilations", [convolution.window.dilation, convolution.window.dilation])
                $0.integer("group", convolution.groups)
            }
        case .batchNormalization(let normalization):
            return emit("BatchNormalization", inputs + tensors, name) {
                $0.float("epsilon", Float(normalization.epsilon))
            }
        case .activation(let function): return add(function, inputs, name)
        case .addition: return emit("Add", inputs, name)
        case .channelScaling:
            let axes = addIntegers("\(name):axes", [2, 3])
            return emit("Mul", [inputs[0], emit("Unsqueeze", [inputs[1], axes], "\(name):factors")], name)
        case .maxPooling(let window): return emit("MaxPool", inputs, name) { $0.window(window) }
        case .averagePooling(let window, let countsPadding):
            return emit("AveragePool", inputs, name) {
                $0.window(window)
                $0.integer("count_include_pad", countsPadding ? 1 : 0)
            }
        case .globalAveragePooling:
            return emit("Flatten", [emit("GlobalAveragePool", inputs, "\(name):mean")], name) { $0.integer("axis", 1) }
        case .zeroPadding(let edges):
            let pads = addIntegers("\(name):pads", [0, 0, edges.top, edges.left, 0, 0, edges.bottom, edges.right])
            return emit("Pad", inputs + [pads], name)
        case .subsampling(let step):
            let ranges = [
                addIntegers("\(name):starts", [0, 0]), addIntegers("\(name):ends", [Int(Int32.max), Int(Int32.max)]),
                addIntegers("\(name):axes", [2, 3]), addIntegers("\(name):steps", [step, step]),
            ]
            return emit("Slice", inputs + ranges, name)
        case .channelPadding(let before, let after):
            return emit("Pad", inputs + [addIntegers("\(name):pads", [0, before, 0, 0, 0, after, 0, 0])], name)
        case .flatten:
            // Channels fastest, as Keras flattens.
            let planes = emit("Transpose", inputs, "\(name):pixels") { $0.integers("perm", [0, 2, 3, 1]) }
            return emit("Flatten", [planes], name) { $0.integer("axis", 1) }
        case .rowNormalization:
            return emit("LpNormalization", inputs, name) {
                $0.integer("axis", 1)
                $0.integer("p", 2)
            }
        case .dense:
            return emit("Gemm", inputs + tensors, name) {
                $0.integer("transB", 1)
            }
        }
    }

    private mutating func add(_ function: Activation, _ inputs: [String], _ name: String) -> String {
        func constant(_ role: String, _ value: Float) -> String {
            addFloats("\(name):\(role)", Tensor(shape: [1], repeating: value))
            return "\(name):\(role)"
        }
        func gated(_ argument: String) -> String {
            emit("Mul", inputs + [emit("Sigmoid", [argument], "\(name):gate")], name)
        }
        switch function {
        case .relu: return emit("Relu", inputs, name)
        case .leakyReLU: return emit("LeakyRelu", inputs, name) { $0.float("alpha", Activation.leakySlope) }
        case .elu: return emit("Elu", inputs, name)
        case .selu: return emit("Selu", inputs, name)
        case .tanh: return emit("Tanh", inputs, name)
        case .sigmoid: return emit("Sigmoid", inputs, name)
        case .gelu:
            // Opset 13 has no Gelu: x·½·(1 + erf(x/√2)).
            let scaled = emit("Mul", inputs + [constant("root", Float(0.5.squareRoot()))], "\(name):scaled")
            let share = emit("Add", [emit("Erf", [scaled], "\(name):erf"), constant("one", 1)], "\(name):share")
            let half = emit("Mul", [share, constant("half", 0.5)], "\(name):halved")
            return emit("Mul", inputs + [half], name)
        case .geluTanh:
            let square = emit("Mul", inputs + inputs, "\(name):square")
            let bent = emit(
                "Add", [emit("Mul", [square, constant("cubic", 0.044715)], "\(name):cubed"), constant("one", 1)],
                "\(name):bent")
            let root = constant("root", Float((2 / Double.pi).squareRoot()))
            let argument = emit("Mul", [emit("Mul", inputs + [root], "\(name):scaled"), bent], "\(name):argument")
            let share = emit("Add", [emit("Tanh", [argument], "\(name):tanh"), "\(name):one"], "\(name):share")
            let half = emit("Mul", [share, constant("half", 0.5)], "\(name):halved")
            return emit("Mul", inputs + [half], name)
        case .silu: return gated(inputs[0])
        case .quickGELU:
            return gated(emit("Mul", inputs + [constant("factor", Activation.quickFactor)], "\(name):scaled"))
        // Opset 13 has no HardSwish.
        case .hardSwish: return emit("Mul", inputs + [addHardSigmoid(inputs, "\(name):gate")], name)
        case .hardSigmoid: return addHardSigmoid(inputs, name)
        case .relu6: return emit("Clip", inputs + [scalar("\(name):low", 0), scalar("\(name):high", 6)], name)
        }
    }

    private mutating func addHardSigmoid(_ inputs: [String], _ name: String) -> String {
        emit("HardSigmoid", inputs, name) {
            $0.float("alpha", 1.0 / 6)
            $0.float("beta", 0.5)
        }
    }

    /// - Returns: The name of a constant without dimensions.
    private mutating func scalar(_ name: String, _ value: Float) -> String {
        addFloats(name, Tensor(shape: [], repeating: value))
        return name
    }

    // MARK: The messages

    /// A node's attributes.
    struct Attributes {
        fileprivate var messages: [Protobuf] = []

        private mutating func append(_ name: String, type: Int, _ fill: (inout Protobuf) -> Void) {
            var attribute = Protobuf()
            attribute.set(1, name)
            fill(&attribute)
            attribute.set(20, type)
            messages.append(attribute)
        }

        mutating func float(_ name: String, _ value: Float) { append(name, type: 1) { $0.set(2, value) } }
        mutating func integer(_ name: String, _ value: Int) { append(name, type: 2) { $0.set(3, value) } }
        mutating func text(_ name: String, _ value: String) { append(name, type: 3) { $0.set(4, value) } }
        mutating func integers(_ name: String, _ values: [Int]) {
            append(name, type: 7) { for value in values { $0.set(8, value) } }
        }

        mutating func window(_ window: Window) {
            integers("kernel_shape", [window.height, window.width])
            integers("strides", [window.stride, window.stride])
            switch window.padding {
            case .same: text("auto_pad", "SAME_UPPER")
            case .edges(let edges): integers("pads", [edges.top, edges.left, edges.bottom, edges.right])
            }
        }
    }

    @discardableResult
    private mutating func emit(
        _ operation: String, _ inputs: [String], _ output: String, _ fill: (inout Attributes) -> Void = { _ in }
    ) -> String {
        var attributes = Attributes()
        fill(&attributes)
        var node = Protobuf()
        for input in inputs { node.set(1, input) }
        node.set(2, output)
        node.set(3, output)
        node.set(4, operation)
        for attribute in attributes.messages { node.set(5, attribute) }
        nodes.append(node)
        return output
    }

    private mutating func addFloats(_ name: String, _ tensor: Tensor) {
        var message = Protobuf()
        for size in tensor.shape { message.set(1, size) }
        message.set(2, ElementType.float.rawValue)
        message.set(8, name)
        message.set(9, count: tensor.count * 4) { show in
            try tensor.withSpan { try show($0.bytes) }
        }
        initializers.append(message)
    }

    private mutating func addIntegers(_ name: String, _ values: [Int]) -> String {
        var message = Protobuf()
        message.set(1, values.count)
        message.set(2, ElementType.integer.rawValue)
        message.set(8, name)
        message.set(9, values.flatMap { Int64($0).littleEndianBytes })
        initializers.append(message)
        return name
    }

    /// The type and shape of an input or output; nil for a size that is left open.
    private static func information(_ name: String, _ type: ElementType, _ shape: [Int?]?) -> Protobuf {
        var tensor = Protobuf()
        tensor.set(1, type.rawValue)
        if let shape {
            var sizes = Protobuf()
            for (place, size) in shape.enumerated() {
                var dimension = Protobuf()
                if let size { dimension.set(1, size) } else { dimension.set(2, place == 0 ? "N" : "\(name)_\(place)") }
                sizes.set(1, dimension)
            }
            tensor.set(2, sizes)
        }
        var kind = Protobuf()
        kind.set(1, tensor)
        var information = Protobuf()
        information.set(1, name)
        information.set(2, kind)
        return information
    }

    func message(name: String) -> Protobuf {
        var graph = Protobuf()
        for node in nodes { graph.set(1, node) }
        graph.set(2, name)
        for initializer in initializers { graph.set(5, initializer) }
        for input in inputs { graph.set(11, input) }
        for output in outputs { graph.set(12, output) }
        return graph
    }
}
