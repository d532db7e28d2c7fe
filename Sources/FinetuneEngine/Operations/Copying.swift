// Operations that only move pixels and channels: convolutions with fixed filters, so that one fast kernel serves them and
// what follows is fused with them.

extension Lowering {
    /// Fewer pixels, with the channels of zeros that a shortcut of CIFAR's ResNets adds next.
    mutating func lower(subsampling step: Int, _ node: Node, _ input: Int) throws {
        let window = Window(1, 1, stride: step)
        if let next = soleReader(of: node), case .channelPadding(let before, let after) = next.operation {
            let copy = try copying(absorb(next), input, before: before, after: after, window: window)
            try lowerConvolution(next, copy, input)
            valueOfNode[node.name] = valueOfNode[next.name]
        } else {
            try lowerConvolution(node, try copying(node, input, window: window), input)
        }
    }

    mutating func lower(padding edges: Edges, _ node: Node, _ input: Int) throws {
        // Zeros never win a maximum among numbers that are not negative, so pooling can pad by itself.
        if isNonnegative[input], let next = soleReader(of: node), case .maxPooling(var window) = next.operation,
            case .edges(let inner) = window.padding
        {
            window.padding = .edges(inner + edges)
            emit(absorb(next), .maxPooling(window), input, isNonnegative: true)
        } else {
            let copy = try copying(node, input, window: Window(1, 1, padding: .edges(edges)))
            try lowerConvolution(node, copy, input)
        }
    }

    /// The filters of a node that only moves channels. They grow with the square of what a file says in a few digits, so
    /// they are bounded: 4096 channels are twice what any ResNet has.
    func copying(
        _ node: Node, _ input: Int, before: Int = 0, after: Int = 0, window: Window = Window(1, 1)
    ) throws -> FoldedConvolution {
        let channels = channelsOfValue[input]
        let filters = before + channels + after
        guard channels <= 4096, filters <= 4096 else {
            throw EngineError.unsupported(node.name, "it moves \(channels) channels to \(filters), at most 4096 are")
        }
        return .copying(channels, before: before, after: after, window: window)
    }
}

extension FoldedConvolution {
    /// A convolution that copies each channel to its place among channels of zeros.
    static func copying(_ channels: Int, before: Int, after: Int, window: Window) -> FoldedConvolution {
        let filters = before + channels + after
        let weight = Tensor(shape: [filters, channels, 1, 1]) { values in
            values.update(repeating: 0)
            for channel in 0..<channels { values[(before + channel) * channels + channel] = 1 }
        }
        return FoldedConvolution(groups: 1, window: window, weight: weight)
    }
}

extension Edges {
    static func + (a: Edges, b: Edges) -> Edges {
        Edges(top: a.top + b.top, left: a.left + b.left, bottom: a.bottom + b.bottom, right: a.right + b.right)
    }
}
