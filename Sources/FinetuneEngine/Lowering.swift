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
        default: [input]
        }
    }
}

/// A convolution with everything linear around it folded in.
struct FoldedConvolution {
    /// The tensors that it is made of; nil where its filters are fixed.
    var source: Source?
    var groups: Int
    var window: Window
    /// `[filters, channels/groups, height, width]`
    var weight: Tensor
    /// `[filters]`
    var bias: Tensor?
    /// What a batch norm makes of each filter's result; folded in when the filters are packed, to keep one copy.
    var scaling: ChannelScaling?

    /// Names of nodes.
    struct Source {
        var convolution: String
        var normalization: (name: String, epsilon: Double)?
    }
}

/// A network lowered to steps, up to one node.
struct Lowering {
    private(set) var steps: [Step] = []
    /// The value that holds the result.
    private(set) var result = 0

    private let network: Network
    private let weights: Weights
    private let purpose: Purpose
    private var valueOfNode: [String: Int] = [Node.image: 0]
    private var readers: [String: [Node]] = [:]
    private var fused: Set<String> = []
    private var channelsOfValue: [Int]
    private var isNonnegative: [Bool] = [false]

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
        let channels = channelsOfValue[input]
        switch node.operation {
        case .convolution(let convolution):
            try lowerConvolution(node, try folded(convolution, node), input)
        case .batchNormalization(let normalization):
            let scaling = try scaling(normalization, node)
            guard case .training = purpose else { return try lowerConvolution(node, .scaling(scaling), input) }
            guard channels == normalization.channels else {
                throw EngineError.unsupported(
                    node.name, "it reads \(normalization.channels) channels and is given \(channels)")
            }
            var last = node
            let activation = absorbActivation(after: &last, only: .relu)
            emit(
                last, .batchNormalization(normalization, name: node.name, activation: activation), input,
                channels: channels, isNonnegative: activation == .relu)
        case .channelPadding(let before, let after):
            let copy = try copying(node, channels, before: before, after: after, window: Window(1, 1))
            try lowerConvolution(node, copy, input)
        case .subsampling(let step):
            if let next = soleReader(of: node), case .channelPadding(let before, let after) = next.operation {
                fused.insert(next.name)
                let copy = try copying(
                    next, channels, before: before, after: after, window: Window(1, 1, stride: step))
                try lowerConvolution(next, copy, input)
                valueOfNode[node.name] = valueOfNode[next.name]
            } else {
                let copy = try copying(node, channels, window: Window(1, 1, stride: step))
                try lowerConvolution(node, copy, input)
            }
        case .zeroPadding(let edges):
            // Zeros never win a maximum among numbers that are not negative, so pooling can pad by itself.
            if isNonnegative[input], let next = soleReader(of: node), case .maxPooling(var window) = next.operation,
                case .edges(let inner) = window.padding
            {
                window.padding = .edges(inner + edges)
                fused.insert(next.name)
                emit(next, .maxPooling(window), input, channels: channels, isNonnegative: true)
            } else {
                let copy = try copying(node, channels, window: Window(1, 1, padding: .edges(edges)))
                try lowerConvolution(node, copy, input)
            }
        case .activation(let activation):
            emit(node, .activation(activation), input, channels: channels, isNonnegative: activation == .relu)
        case .addition:
            guard inputs.count == 2 else { throw EngineError.unsupported(node.name, "it adds \(inputs.count) inputs") }
            guard channelsOfValue[inputs[1]] == channels else {
                throw EngineError.unsupported(
                    node.name, "it adds \(channels) and \(channelsOfValue[inputs[1]]) channels")
            }
            var last = node
            let activation = absorbActivation(after: &last)
            emit(
                last, .addition(inputs[1], activation: activation), input, channels: channels,
                isNonnegative: activation == .relu)
        case .channelScaling:
            guard inputs.count == 2, channelsOfValue[inputs[1]] == channels else {
                throw EngineError.unsupported(node.name, "it has no factor for each of \(channels) channels")
            }
            emit(node, .channelScaling(inputs[1]), input, channels: channels)
        case .maxPooling(let window):
            emit(node, .maxPooling(window), input, channels: channels, isNonnegative: isNonnegative[input])
        case .averagePooling(let window, let countsPadding):
            let kind = Step.Kind.averagePooling(window, countsPadding: countsPadding)
            emit(node, kind, input, channels: channels, isNonnegative: isNonnegative[input])
        case .globalAveragePooling:
            emit(node, .globalAverage, input, channels: channels)
        case .flatten:
            emit(node, .flatten, input, channels: channels)
        case .rowNormalization:
            emit(node, .rowNormalization, input, channels: channels)
        case .dense(let inputs, let outputs, let hasBias):
            let weight = try tensor("\(node.name).weight", [outputs, inputs])
            let bias = hasBias ? try tensor("\(node.name).bias", [outputs]) : nil
            emit(node, .dense(weight: weight, bias: bias), input, channels: outputs)
        }
    }

    /// Emits a convolution with the batch norm, the addition and the activation that follow it and read nothing else.
    private mutating func lowerConvolution(_ node: Node, _ convolution: FoldedConvolution, _ input: Int) throws {
        guard convolution.inputChannels == channelsOfValue[input] else {
            throw EngineError.unsupported(
                node.name, "it reads \(convolution.inputChannels) channels and is given \(channelsOfValue[input])")
        }
        var convolution = convolution
        var last = node
        if convolution.scaling == nil, let next = soleReader(of: last),
            case .batchNormalization(let normalization) = next.operation, folds(next)
        {
            guard normalization.channels == convolution.filters else {
                throw EngineError.unsupported(
                    next.name, "it reads \(normalization.channels) channels and is given \(convolution.filters)")
            }
            convolution.scaling = try scaling(normalization, next)
            convolution.source?.normalization = (next.name, normalization.epsilon)
            last = absorb(next)
        }
        var residual: Int?
        if let next = soleReader(of: last), case .addition = next.operation, next.inputs.count == 2,
            let other = next.inputs.first(where: { $0 != last.name }), let value = valueOfNode[other], value != 0,
            channelsOfValue[value] == convolution.filters
        {
            residual = value
            last = absorb(next)
        }
        let activation = absorbActivation(after: &last)
        emit(
            last, .convolution(convolution, residual: residual, activation: activation), input,
            channels: convolution.filters, isNonnegative: activation == .relu)
    }

    /// Whether a batch norm becomes part of the convolution before it. In a training a convolution with fixed filters
    /// has no place for what the batch norm learns.
    private func folds(_ node: Node) -> Bool {
        guard case .training(let live) = purpose else { return true }
        guard case .convolution = network.nodes.first(where: { $0.name == node.inputs.first })?.operation else {
            return false
        }
        return !live.contains(node.name)
    }

    private mutating func absorb(_ node: Node) -> Node {
        fused.insert(node.name)
        return node
    }

    private mutating func absorbActivation(after last: inout Node, only kind: Activation? = nil) -> Activation? {
        guard let next = soleReader(of: last), case .activation(let function) = next.operation,
            kind == nil || kind == function, function.algorithm != nil
        else { return nil }
        last = absorb(next)
        return function
    }

    private mutating func emit(
        _ node: Node, _ kind: Step.Kind, _ input: Int, channels: Int, isNonnegative: Bool = false
    ) {
        let output = channelsOfValue.count
        channelsOfValue.append(channels)
        self.isNonnegative.append(isNonnegative)
        valueOfNode[node.name] = output
        steps.append(
            Step(name: node.name, kind: kind, input: input, output: output, isNonnegative: isNonnegative))
    }

    private func soleReader(of node: Node) -> Node? {
        guard let nodes = readers[node.name], nodes.count == 1, let only = nodes.first else { return nil }
        return only
    }

    private func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
        guard let tensor = weights[name] else { throw EngineError.missingTensor(name) }
        guard tensor.shape == shape else { throw EngineError.wrongShape(name, found: tensor.shape, expected: shape) }
        return tensor
    }

    private func folded(_ convolution: Convolution, _ node: Node) throws -> FoldedConvolution {
        let window = convolution.window
        let shape = [convolution.filters, convolution.channels / convolution.groups, window.height, window.width]
        return FoldedConvolution(
            source: .init(convolution: node.name), groups: convolution.groups, window: window,
            weight: try tensor("\(node.name).weight", shape),
            bias: convolution.hasBias ? try tensor("\(node.name).bias", [convolution.filters]) : nil)
    }

    /// The filters of a node that only moves channels. They grow with the square of what a file says in a few digits, so
    /// they are bounded: 4096 channels are twice what any ResNet has.
    private func copying(
        _ node: Node, _ channels: Int, before: Int = 0, after: Int = 0, window: Window
    ) throws -> FoldedConvolution {
        let filters = before + channels + after
        guard channels <= 4096, filters <= 4096 else {
            throw EngineError.unsupported(node.name, "it moves \(channels) channels to \(filters), at most 4096 are")
        }
        return .copying(channels, before: before, after: after, window: window)
    }

    /// The factor and offset of each channel that a batch norm in inference amounts to.
    private func scaling(_ normalization: BatchNormalization, _ node: Node) throws -> ChannelScaling {
        let shape = [normalization.channels]
        let gamma = try tensor("\(node.name).weight", shape).values
        let beta = try tensor("\(node.name).bias", shape).values
        let mean = try tensor("\(node.name).running_mean", shape).values
        let variance = try tensor("\(node.name).running_var", shape).values
        return ChannelScaling(gamma, beta, mean: mean, variance: variance, epsilon: normalization.epsilon)
    }
}

extension FoldedConvolution {
    var filters: Int { weight.shape[0] }
    var inputChannels: Int { weight.shape[1] * groups }

    /// A convolution that copies each channel to its place among channels of zeros.
    static func copying(_ channels: Int, before: Int, after: Int, window: Window) -> FoldedConvolution {
        let filters = before + channels + after
        let weight = Tensor(shape: [filters, channels, 1, 1]) { values in
            values.update(repeating: 0)
            for channel in 0..<channels { values[(before + channel) * channels + channel] = 1 }
        }
        return FoldedConvolution(groups: 1, window: window, weight: weight)
    }

    /// A depthwise convolution that scales each channel.
    static func scaling(_ scaling: ChannelScaling) -> FoldedConvolution {
        let channels = scaling.factor.count
        return FoldedConvolution(
            groups: channels, window: Window(1, 1), weight: Tensor(shape: [channels, 1, 1, 1], repeating: 1),
            scaling: scaling)
    }

    /// The filters with the scaling folded in: `(w·x + b)·f + o = (w·f)·x + (b·f + o)`.
    func foldedWeight() -> Tensor {
        guard let scaling else { return weight }
        let size = weight.count / filters
        return Tensor(shape: weight.shape) { values in
            weight.withUnsafeBufferPointer { old in
                ParallelLoop.run(filters, grain: max(1, 16384 / size)) { range in
                    for filter in range {
                        let factor = scaling.factor[filter]
                        for index in filter * size..<(filter + 1) * size {
                            values[index] = Float(Double(old[index]) * factor)
                        }
                    }
                }
            }
        }
    }

    /// `[filters]`, zeros where neither the convolution nor a batch norm brings one.
    func foldedBias() -> Tensor {
        let old = bias?.values ?? [Float](repeating: 0, count: filters)
        guard let scaling else { return Tensor(shape: [filters], values: old) }
        return Tensor(
            shape: [filters],
            values: old.indices.map { Float(Double(old[$0]) * scaling.factor[$0] + scaling.offset[$0]) })
    }
}

extension Edges {
    static func + (a: Edges, b: Edges) -> Edges {
        Edges(top: a.top + b.top, left: a.left + b.left, bottom: a.bottom + b.bottom, right: a.right + b.right)
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
