// A convolution with everything linear around it folded in: what inference and training compile.

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

extension Lowering {
    /// Emits a convolution with the batch norm, the addition and the activation that follow it and read nothing else.
    mutating func lowerConvolution(_ node: Node, _ convolution: FoldedConvolution, _ input: Int) throws {
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
            channels: convolution.filters, isNonnegative: activation?.isNonnegative ?? false)
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

    func folded(_ convolution: Convolution, _ node: Node) throws -> FoldedConvolution {
        FoldedConvolution(
            source: .init(convolution: node.name), groups: convolution.groups, window: convolution.window,
            weight: try tensor(.weight, of: node), bias: try tensorIfAny(.bias, of: node))
    }

    /// The factor and offset of each channel that a batch norm in inference amounts to.
    func scaling(_ normalization: BatchNormalization, _ node: Node) throws -> ChannelScaling {
        ChannelScaling(
            try tensor(.weight, of: node).values, try tensor(.bias, of: node).values,
            mean: try tensor(.runningMean, of: node).values, variance: try tensor(.runningVariance, of: node).values,
            epsilon: normalization.epsilon)
    }
}

extension FoldedConvolution {
    var filters: Int { weight.shape[0] }
    var inputChannels: Int { weight.shape[1] * groups }

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
        return Tensor.unsafelyFilled(shape: weight.shape) { values in
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
