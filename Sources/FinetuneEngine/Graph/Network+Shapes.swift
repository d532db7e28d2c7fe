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

    /// The error for images that are too small: it names the first node before `output` that has no result, and how many
    /// pixels reach it.
    package func tooSmall(for output: String, height: Int, width: Int) -> EngineError {
        let needed = ancestors(of: output)
        for node in nodes
        where needed.contains(node.name) && outputShape(of: node.name, height: height, width: width) == nil {
            let left = node.inputs.first.flatMap { outputShape(of: $0, height: height, width: width) } ?? []
            if left.count == 3 { return .tooSmall(node.name, height: left[1], width: left[2]) }
        }
        return .tooSmall(output, height: height, width: width)
    }

    /// The first node that cannot compute what its inputs give, and why, whatever the size of the images.
    ///
    /// - Parameter size: Pixels of the network's input, height and width, on which the length of a flattened image
    ///   depends; nil if they are not known.
    /// - Returns: Nil if all nodes fit together. What comes after a window that is larger than the image, or after a
    ///   flattened image of unknown size, is not judged.
    package func misfit(size: (height: Int, width: Int)?) -> (node: String, reason: String)? {
        var shapes = [Node.image: [inputChannels, size?.height ?? 1024, size?.width ?? 1024]]
        for node in nodes {
            let inputs = node.inputs.compactMap { shapes[$0] }
            guard inputs.count == node.inputs.count, let input = inputs.first else { continue }
            if let reason = node.operation.objection(to: inputs) { return (node.name, reason) }
            if size == nil, case .flatten = node.operation { continue }
            shapes[node.name] = node.operation.outputShape(of: input)
        }
        return nil
    }
}

extension Operation {
    /// By how much the operation shrinks an image's sides.
    package var stride: Int {
        switch self {
        case .convolution(let convolution): convolution.window.stride
        case .maxPooling(let window), .averagePooling(let window, _): window.stride
        case .subsampling(let step): step
        case .batchNormalization, .activation, .addition, .channelScaling, .globalAveragePooling, .zeroPadding,
            .channelPadding, .flatten, .rowNormalization, .dense:
            1
        }
    }

    /// Whether the result is a row of features for each image; nil where it is what the first input is.
    package var givesRows: Bool? {
        switch self {
        case .globalAveragePooling, .flatten, .rowNormalization, .dense: true
        case .activation, .batchNormalization, .addition: nil
        case .convolution, .channelScaling, .maxPooling, .averagePooling, .zeroPadding, .subsampling, .channelPadding:
            false
        }
    }

    /// The channels, or features, of the result.
    ///
    /// - Parameter input: Those of the first input.
    /// - Returns: Nil for a flattened image, whose pixels decide.
    package func channels(of input: @autoclosure () throws -> Int) rethrows -> Int? {
        switch self {
        case .convolution(let convolution): convolution.filters
        case .dense(_, let outputs, _): outputs
        case .batchNormalization(let normalization): normalization.channels
        case .channelPadding(let before, let after): before + (try input()) + after
        case .flatten: nil
        case .activation, .addition, .channelScaling, .maxPooling, .averagePooling, .globalAveragePooling, .zeroPadding,
            .subsampling, .rowNormalization:
            try input()
        }
    }

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

    /// Why the operation cannot compute inputs of these shapes; nil if it can.
    fileprivate func objection(to inputs: [[Int]]) -> String? {
        let input = inputs[0]
        func image() -> String? { input.count == 3 ? nil : "reads an image, and a row of features reaches it" }
        func row() -> String? { input.count == 1 ? nil : "reads a row of features, and an image reaches it" }
        func count(_ expected: Int, _ things: String) -> String? {
            input[0] == expected ? nil : "reads \(expected) \(things), and \(input[0]) reach it"
        }
        switch self {
        case .convolution(let convolution): return image() ?? count(convolution.channels, "channels")
        case .batchNormalization(let normalization):
            return input.count == 1
                ? "normalizes a row of features with no dense layer beside it, which is not computed here"
                : count(normalization.channels, "channels")
        case .addition:
            guard inputs.count == 2 else { return "adds \(inputs.count) inputs, and two were expected" }
            return image() ?? (inputs[1] == input ? nil : "adds \(input) and \(inputs[1]), which have other shapes")
        case .channelScaling:
            guard inputs.count == 2 else { return "multiplies \(inputs.count) inputs, and two were expected" }
            return image()
                ?? (inputs[1] == [input[0]]
                    ? nil : "multiplies \(input) by \(inputs[1]), a row of \(input[0]) was expected")
        case .maxPooling, .averagePooling, .globalAveragePooling, .zeroPadding, .subsampling, .channelPadding,
            .flatten:
            return image()
        case .rowNormalization: return row()
        case .dense(let expected, _, _): return row() ?? count(expected, "features")
        case .activation: return nil
        }
    }
}
