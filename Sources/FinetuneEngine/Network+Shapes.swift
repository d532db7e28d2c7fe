// The shapes of what a network's nodes give, without running it.

extension Network {
    /// The shape of one image's value at a node: `[channels, height, width]`, or `[features]` for rows.
    ///
    /// - Parameters:
    ///   - height: Pixels of the network's input.
    /// - Returns: Nil where the network has no such node, or the image is too small for it.
    package func outputShape(of output: String, height: Int, width: Int) -> [Int]? {
        var shapes = [Node.image: [inputChannels, height, width]]
        let needed = ancestors(of: output)
        for node in nodes where needed.contains(node.name) {
            guard let input = node.inputs.first.flatMap({ shapes[$0] }) else { return nil }
            shapes[node.name] = node.operation.outputShape(of: input)
        }
        return shapes[output]
    }
}

extension Operation {
    /// The shape of the result for a first input of some shape; nil where it does not fit.
    fileprivate func outputShape(of input: [Int]) -> [Int]? {
        func windowed(_ window: Window, _ channels: Int) -> [Int]? {
            guard input.count == 3 else { return nil }
            let size = window.output(height: input[1], width: input[2])
            return size.height > 0 && size.width > 0 ? [channels, size.height, size.width] : nil
        }
        switch self {
        case .convolution(let convolution): return windowed(convolution.window, convolution.filters)
        case .maxPooling(let window), .averagePooling(let window, _): return windowed(window, input[0])
        case .batchNormalization, .activation, .addition, .channelScaling: return input
        case .globalAveragePooling: return [input[0]]
        case .flatten: return [input.reduce(1, *)]
        case .rowNormalization: return input.count == 1 ? input : nil
        case .dense(_, let outputs, _): return [outputs]
        case .zeroPadding(let edges):
            return input.count == 3
                ? [input[0], input[1] + edges.top + edges.bottom, input[2] + edges.left + edges.right] : nil
        case .subsampling(let step):
            return input.count == 3 ? [input[0], (input[1] + step - 1) / step, (input[2] + step - 1) / step] : nil
        case .channelPadding(let before, let after):
            return input.count == 3 ? [before + input[0] + after, input[1], input[2]] : nil
        }
    }
}
