// From a network to the few fused steps that compute it: the walk that inference and training are compiled from.
//
// Batch norms with stored statistics are folded into the convolution before them (in double precision), residual
// additions and activations become what the convolution does after its own sum. Operations that move or scale pixels
// without mixing channels are convolutions with fixed filters, so that one fast kernel serves them and their
// activation is fused as well.

/// One step of a lowered network. Values are numbered; value 0 is the image.
struct Step {
    enum Kind {
        /// Adds `residual` to its sum, then applies `activation`.
        case convolution(FoldedConvolution, residual: Int?, activation: Activation?)
        /// A batch norm that is not folded, which only a training has. `name` is its node's.
        case batchNormalization(BatchNormalization, name: String, activation: Activation?)
        case maxPooling(Window)
        case averagePooling(Window, countsPadding: Bool)
        case activation(Activation)
        case addition(Int, activation: Activation?)
        /// Scales the channels of an image by the row that the other value is.
        case channelScaling(Int)
        /// An image to one row: the mean of each channel.
        case globalAverage
        /// An image to one row, channels fastest.
        case flatten
        /// Rows to rows of length 1.
        case rowNormalization
        /// Rows to rows.
        case dense(weight: Tensor, bias: Tensor?)
    }

    var name: String
    var kind: Kind
    var input: Int
    var output: Int
    /// Whether no number of its output is below 0, whatever the image.
    var isNonnegative = false

    /// Every value that it reads.
    var inputs: [Int] {
        switch kind {
        case .convolution(_, let residual?, _): [input, residual]
        case .addition(let other, _), .channelScaling(let other): [input, other]
        case .convolution, .batchNormalization, .maxPooling, .averagePooling, .activation, .globalAverage, .flatten,
            .rowNormalization, .dense:
            [input]
        }
    }
}

/// A network lowered to steps, up to one node.
struct Lowering {
    private(set) var steps: [Step] = []
    /// The value that holds the result.
    private(set) var result = 0

    let network: Network
    private let weights: Weights
    let purpose: Purpose
    /// The number of the value that each node gives.
    var valueOfNode: [String: Int] = [Node.image: 0]
    private var readers: [String: [Node]] = [:]
    /// Nodes that became part of the step before them.
    private var fused: Set<String> = []
    private(set) var channelsOfValue: [Int]
    /// Whether no number of a value is below 0, whatever the image.
    private(set) var isNonnegative: [Bool] = [false]

    enum Purpose {
        case inference
        /// Batch norms that normalize by each batch's own statistics stand alone, and so do those that follow no
        /// convolution, because their parameters learn.
        case training(live: Set<String>)
    }

    /// - Parameter output: The node whose value is wanted.
    /// - Throws: `EngineError` for a tensor that is missing or does not fit, or an operation out of place.
    init(_ network: Network, _ weights: Weights, output: String, for purpose: Purpose = .inference) throws {
        self.network = network
        self.weights = weights
        self.purpose = purpose
        channelsOfValue = [network.inputChannels]
        let needed = network.ancestors(of: output)
        for node in network.nodes where needed.contains(node.name) {
            for input in node.inputs { readers[input, default: []].append(node) }
        }
        for node in network.nodes where needed.contains(node.name) && !fused.contains(node.name) {
            try lower(node)
        }
        guard let value = valueOfNode[output] else {
            throw EngineError.unsupported(output, "the network has no such node")
        }
        result = value
    }

    private mutating func lower(_ node: Node) throws {
        let inputs = try node.inputs.map { name in
            guard let value = valueOfNode[name] else {
                throw EngineError.unsupported(node.name, "it reads '\(name)', which comes later")
            }
            return value
        }
        guard let input = inputs.first else { throw EngineError.unsupported(node.name, "it reads nothing") }
        switch node.operation {
        case .convolution(let convolution): try lowerConvolution(node, try folded(convolution, node), input)
        case .batchNormalization(let normalization): try lower(normalization, node, input)
        case .channelPadding(let before, let after):
            try lowerConvolution(node, try copying(node, input, before: before, after: after), input)
        case .subsampling(let step): try lower(subsampling: step, node, input)
        case .zeroPadding(let edges): try lower(padding: edges, node, input)
        case .activation(let activation): lower(activation, node, input)
        case .addition: try lower(sumOf: inputs, node)
        case .channelScaling: try lower(gate: inputs, node)
        case .maxPooling(let window): emit(node, .maxPooling(window), input, isNonnegative: isNonnegative[input])
        case .averagePooling(let window, let countsPadding):
            let kind = Step.Kind.averagePooling(window, countsPadding: countsPadding)
            emit(node, kind, input, isNonnegative: isNonnegative[input])
        case .globalAveragePooling: emit(node, .globalAverage, input)
        case .flatten: emit(node, .flatten, input)
        case .rowNormalization: emit(node, .rowNormalization, input)
        case .dense(_, let outputs, _):
            emit(
                node, .dense(weight: try tensor(.weight, of: node), bias: try tensorIfAny(.bias, of: node)), input,
                channels: outputs)
        }
    }

    mutating func absorb(_ node: Node) -> Node {
        fused.insert(node.name)
        return node
    }

    /// Adds a step that gives a node's value.
    ///
    /// - Parameter channels: Nil for those of the input.
    mutating func emit(
        _ node: Node, _ kind: Step.Kind, _ input: Int, channels: Int? = nil, isNonnegative: Bool = false
    ) {
        let output = channelsOfValue.count
        channelsOfValue.append(channels ?? channelsOfValue[input])
        self.isNonnegative.append(isNonnegative)
        valueOfNode[node.name] = output
        steps.append(
            Step(name: node.name, kind: kind, input: input, output: output, isNonnegative: isNonnegative))
    }

    func soleReader(of node: Node) -> Node? {
        guard let nodes = readers[node.name], nodes.count == 1, let only = nodes.first else { return nil }
        return only
    }

    /// One of the node's tensors, which has the shape that the operation says.
    ///
    /// - Throws: `EngineError` if it is missing or has another shape.
    func tensor(_ role: TensorRole, of node: Node) throws -> Tensor {
        guard let tensor = try tensorIfAny(role, of: node) else {
            throw EngineError.missingTensor(node.tensorName(role))
        }
        return tensor
    }

    /// The same for a tensor that the operation may do without; nil if it does.
    func tensorIfAny(_ role: TensorRole, of node: Node) throws -> Tensor? {
        guard let spec = node.operation.tensors.first(where: { $0.role == role }) else { return nil }
        let name = node.tensorName(role)
        guard let tensor = weights[name] else { throw EngineError.missingTensor(name) }
        guard tensor.shape == spec.shape else {
            throw EngineError.wrongShape(name, found: tensor.shape, expected: spec.shape)
        }
        return tensor
    }
}

extension Network {
    /// The node itself and every node that it depends on.
    package func ancestors(of output: String) -> Set<String> {
        var needed: Set<String> = [output]
        for node in nodes.reversed() where needed.contains(node.name) { needed.formUnion(node.inputs) }
        return needed
    }
}
