// Networks by name, for training from nothing: torchvision's ResNets, and those of small images (He et al. 2015).

internal import FinetuneEngine
internal import FinetuneFiles
internal import Glibc

/// A ResNet as `--architecture` says it: `resnet18`, or with changes `resnet18,width=32,stem=3x3`.
package struct Architecture: Sendable, Equatable {
    package let resNet: ResNet
    /// Pixels of a side of the images that it is meant for.
    package let imageSize: Int

    /// Blocks a stage, and whether they are bottlenecks.
    private static let large: [Int: (blocks: [Int], isBottleneck: Bool)] = [
        18: ([2, 2, 2, 2], false), 34: ([3, 4, 6, 3], false), 50: ([3, 4, 6, 3], true), 101: ([3, 4, 23, 3], true),
        152: ([3, 8, 36, 3], true),
    ]
    /// Depths `6n + 2` of networks with three stages of basic blocks.
    private static let small = [20, 32, 44, 56, 110]

    package static var names: [String] { (large.keys.sorted() + small).map { "resnet\($0)" } }

    /// - Parameter outputs: The classes of the head.
    /// - Throws: `ArchitectureError` for a name or a change that is none.
    package init(_ text: String, outputs: Int) throws {
        let words = text.split(separator: ",").map(String.init)
        guard let name = words.first, name.hasPrefix("resnet"), let depth = Int(name.dropFirst(6)),
            Self.large[depth] != nil || Self.small.contains(depth)
        else { throw ArchitectureError.unknown(text) }
        let isSmall = Self.small.contains(depth)
        var (width, hasSmallStem) = (isSmall ? 16 : 64, isSmall)
        for word in words.dropFirst() {
            let pair = word.split(separator: "=", maxSplits: 1).map(String.init)
            switch (pair.first, pair.last) {
            case ("width", let value?):
                guard let number = Int(value), (1...1024).contains(number) else {
                    throw ArchitectureError.unknown(text)
                }
                width = number
            case ("stem", "7x7") where pair.count == 2: hasSmallStem = false
            case ("stem", "3x3") where pair.count == 2: hasSmallStem = true
            default: throw ArchitectureError.unknown(text)
            }
        }
        let (blocks, isBottleneck) = Self.large[depth] ?? (Array(repeating: (depth - 2) / 6, count: 3), false)
        var stages: [[ResNet.Block]] = []
        var channels = width
        for (index, count) in blocks.enumerated() {
            let planes = width << index
            stages.append(
                (0..<count).map { number in
                    let filters = isBottleneck ? [planes, planes, 4 * planes] : [planes, planes]
                    let stride = number == 0 && index > 0 ? 2 : 1
                    defer { channels = filters.last ?? channels }
                    return ResNet.Block(
                        filters: filters, stride: stride, hasProjection: stride > 1 || channels != filters.last)
                })
        }
        resNet = ResNet(
            stem: hasSmallStem ? .small : .pooled(kernel: 7), stemFilters: width, stages: stages,
            shortcut: isSmall ? .padding : .projection, stridePlace: .middle, head: ("fc", outputs, true))
        imageSize = isSmall ? 32 : hasSmallStem ? 64 : 224
    }

    /// The network with random weights: filters by Kaiming et al. 2015 with the fan out, as torchvision's ResNets,
    /// batch norms that change nothing, a head of zeros.
    package func model(seed: UInt64) -> Model {
        let network = resNet.network()
        var weights: Weights = [:]
        for (index, node) in network.nodes.enumerated() {
            var random = RandomNumbers(seed: seed, stream: UInt64(index))
            for (name, tensor) in node.tensors { weights[name] = tensor.beginning(in: node, &random) }
        }
        let recipe = InputRecipe(height: imageSize, width: imageSize, pixels: .torch)
        return Model(
            network: network, weights: weights, recipe: recipe, recipeSource: "the convention of torchvision",
            dialect: "random weights")
    }
}

extension TensorSpec {
    /// The initial value of the tensor in a network with random weights.
    fileprivate func beginning(in node: Node, _ random: inout RandomNumbers) -> Tensor {
        switch kind {
        case .kernel where node.stage != Stage.head: Initialization.kaiming.tensor(shape, fan: .outputs, &random)
        case .kernel, .bias: Tensor(shape: shape, repeating: 0)
        case .scale: Tensor(shape: shape, repeating: 1)
        case .statistic: Tensor(shape: shape, repeating: role == .runningVariance ? 1 : 0)
        }
    }
}

/// A network that nobody knows.
package struct ArchitectureError: Error, Sendable, CustomStringConvertible {
    package let description: String

    static func unknown(_ text: String) -> ArchitectureError {
        ArchitectureError(
            description:
                "'\(text)' is no architecture. Expected \(Architecture.names.joined(separator: ", ")), and after a comma width=N, stem=7x7 or stem=3x3."
        )
    }
}
