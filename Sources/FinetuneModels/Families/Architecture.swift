// The families of networks, and their networks by name, for training from nothing.

internal import FinetuneEngine
internal import FinetuneFiles

/// A network as `--architecture` says it: `resnet18`, or with changes `resnet18,width=32,stem=3x3`.
package struct Architecture: Sendable {
    package let design: any NetworkDesign
    /// Pixels of a side of the images that it is meant for.
    package let imageSize: Int

    private static let families: [any NetworkDesign.Type] = [ResNet.self, VGG.self]

    package static var names: [String] { families.flatMap { $0.architectures } }

    /// What may follow a name, in words.
    package static let changes = "width=N, and of a ResNet stem=7x7 or stem=3x3"

    /// - Parameter outputs: The classes of the head.
    /// - Throws: `ArchitectureError` for a name or a change that is none.
    package init(_ text: String, outputs: Int) throws {
        let words = text.split(separator: ",").map(String.init)
        var changes = ArchitectureChanges()
        for word in words.dropFirst() {
            let pair = word.split(separator: "=", maxSplits: 1).map(String.init)
            switch (pair.first, pair.last.flatMap { Int($0) }) {
            case ("width", let width?) where (1...1024).contains(width): changes.width = width
            case ("stem", nil) where pair.last == "7x7": changes.stem = 7
            case ("stem", nil) where pair.last == "3x3": changes.stem = 3
            default: throw ArchitectureError.unknown(text)
            }
        }
        let found = Self.families.lazy.compactMap { family in
            family.architecture(words.first ?? "", changes: changes, outputs: outputs)
                .map { (design: $0.0 as any NetworkDesign, imageSize: $0.imageSize) }
        }
        guard let found = found.first else { throw ArchitectureError.unknown(text) }
        (design, imageSize) = found
    }

    /// The network with random weights: filters by He et al. 2015 with the fan out, as torchvision's,
    /// batch norms that change nothing, a head of zeros.
    package func model(seed: UInt64) -> Model {
        let network = design.network()
        var weights: Weights = [:]
        for (index, node) in network.nodes.enumerated() {
            var random = RandomNumbers(seed: seed, stream: UInt64(index))
            for (name, tensor) in node.tensors { weights[name] = tensor.beginning(in: node, &random) }
        }
        let recipe = InputRecipe(height: imageSize, width: imageSize, pixels: .torch)
        return Model(
            network: network, weights: weights, recipe: recipe, recipeSource: "the convention of torchvision",
            dialect: Model.newDialect)
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

/// A name that is not one of an architecture.
package struct ArchitectureError: Error, Sendable, CustomStringConvertible {
    package let description: String

    static func unknown(_ text: String) -> ArchitectureError {
        ArchitectureError(
            description:
                "'\(text)' is no architecture. Expected \(Architecture.names.joined(separator: ", ")), and after a comma \(Architecture.changes)."
        )
    }
}
