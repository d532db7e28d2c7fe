// The tensors of a network: what each operation has, of which shape and for what. Everything else asks here.

/// One tensor of an operation.
package struct TensorSpec: Sendable, Equatable {
    /// The end of its name, after the node's: see `Node.tensorName`.
    package let role: TensorRole
    package let shape: [Int]
    package let kind: Kind

    /// What a tensor is for.
    package enum Kind: Sendable {
        /// Filters and matrices: what inputs are multiplied with and added up.
        case kernel
        /// What is added.
        case bias
        /// By what a normalization multiplies each channel.
        case scale
        /// A mean or a variance of activations, which is measured and has no gradient.
        case statistic
    }

    /// Whether a gradient may change it.
    package var learns: Bool { kind != .statistic }

    /// Whether penalties on the size of weights (L1, L2, L2-SP) are for it: shrinking a scale or a bias regularizes nothing.
    package var isPenalized: Bool { kind == .kernel }

    package var count: Int { shape.reduce(1, *) }

    init(_ role: TensorRole, _ shape: [Int], _ kind: Kind) {
        self.role = role
        self.shape = shape
        self.kind = kind
    }
}

/// What a tensor is to its operation, by the names of `torch.nn`.
package enum TensorRole: String, Sendable {
    case weight, bias
    case runningMean = "running_mean"
    case runningVariance = "running_var"
}

extension Operation {
    /// The tensors of the operation: parameters first, then statistics.
    package var tensors: [TensorSpec] {
        switch self {
        case .convolution(let c):
            [TensorSpec(.weight, [c.filters, c.channels / c.groups, c.window.height, c.window.width], .kernel)]
                + (c.hasBias ? [TensorSpec(.bias, [c.filters], .bias)] : [])
        case .batchNormalization(let normalization):
            [
                TensorSpec(.weight, [normalization.channels], .scale),
                TensorSpec(.bias, [normalization.channels], .bias),
                TensorSpec(.runningMean, [normalization.channels], .statistic),
                TensorSpec(.runningVariance, [normalization.channels], .statistic),
            ]
        case .dense(let inputs, let outputs, let hasBias):
            [TensorSpec(.weight, [outputs, inputs], .kernel)]
                + (hasBias ? [TensorSpec(.bias, [outputs], .bias)] : [])
        case .activation, .addition, .channelScaling, .maxPooling, .averagePooling, .globalAveragePooling, .zeroPadding,
            .subsampling, .channelPadding, .flatten, .rowNormalization:
            []
        }
    }

    /// The number of values that a gradient may change.
    package var parameterCount: Int { tensors.reduce(0) { $0 + ($1.learns ? $1.count : 0) } }
}

extension Node {
    /// The name of a tensor of this node, which it has in `Weights` and in our own files.
    package func tensorName(_ role: TensorRole) -> String { "\(name).\(role.rawValue)" }

    /// Names and facts of all its tensors.
    package var tensors: [(name: String, spec: TensorSpec)] {
        operation.tensors.map { (tensorName($0.role), $0) }
    }
}

extension Network {
    /// Every tensor that the network needs, in the order of its nodes.
    package var tensors: [(name: String, spec: TensorSpec)] { nodes.flatMap(\.tensors) }
}
