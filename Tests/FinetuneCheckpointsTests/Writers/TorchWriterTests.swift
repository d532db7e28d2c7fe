// What a state dict cannot say: every property that a network may have and torchvision's class of its names has not.

import FinetuneEngine
import FinetuneModels
import TestSupport
import Testing

@testable import FinetuneCheckpoints

/// One thing that a network does otherwise than PyTorch's class.
struct Change: CustomTestStringConvertible, Sendable {
    let testDescription: String
    /// What the refusal says.
    let words: String
    let apply: @Sendable (inout Network) -> Void

    init(_ description: String, _ words: String, _ apply: @escaping @Sendable (inout Network) -> Void) {
        testDescription = description
        self.words = words
        self.apply = apply
    }

    /// Changes that both families may have.
    ///
    /// - Parameters:
    ///   - convolution: Of an even number of channels, and not the first.
    ///   - normalization: Followed by `activation`.
    static func common(convolution: String, normalization: String, activation: String, pooling: String) -> [Change] {
        [
            Change("a stride", "a stride of 2") { $0.changeConvolution(convolution) { $0.window.stride = 2 } },
            Change("groups", "groups") { $0.changeConvolution(convolution) { $0.groups = 2 } },
            Change("dilation", "dilation") { $0.changeConvolution(convolution) { $0.window.dilation = 2 } },
            Change("padding", "pads otherwise") {
                $0.changeConvolution(convolution) { $0.window.padding = .edges(.all(2)) }
            },
            Change("a bias", "bias") { $0.changeConvolution(convolution) { $0.hasBias.toggle() } },
            Change("an epsilon", "epsilon") { network in
                network.change(normalization) { node in
                    guard case .batchNormalization(var batchNormalization) = node.operation else { return }
                    batchNormalization.epsilon = 1e-3
                    node.operation = .batchNormalization(batchNormalization)
                }
            },
            Change("an activation", "'\(activation)'") {
                $0.change(activation) { $0.operation = .activation(.gelu) }
            },
            Change("a pooling's size", "window") {
                $0.change(pooling) { $0.operation = .maxPooling(.square(5, stride: 2, padding: 1)) }
            },
            Change("a pooling's stride", "window") {
                $0.change(pooling) { $0.operation = .maxPooling(.square(3, stride: 3, padding: 1)) }
            },
            Change("an activation before the batch norm", "'\(normalization)'") {
                $0.exchange(normalization, withNext: activation)
            },
        ]
    }
}

extension Network {
    fileprivate mutating func change(_ name: String, _ body: (inout Node) -> Void) {
        if let index = nodes.firstIndex(where: { $0.name == name }) { body(&nodes[index]) }
    }

    fileprivate mutating func changeConvolution(_ name: String, _ body: (inout Convolution) -> Void) {
        change(name) { node in
            guard case .convolution(var convolution) = node.operation else { return }
            body(&convolution)
            node.operation = .convolution(convolution)
        }
    }

    /// Lets two nodes that follow each other follow each other the other way round.
    fileprivate mutating func exchange(_ name: String, withNext next: String) {
        guard let index = nodes.firstIndex(where: { $0.name == name }), index + 1 < nodes.count,
            nodes[index + 1].name == next
        else { return }
        for reader in nodes.indices.dropFirst(index + 2) {
            nodes[reader].inputs = nodes[reader].inputs.map { $0 == next ? name : $0 }
        }
        nodes[index + 1].inputs = nodes[index].inputs
        nodes[index].inputs = [next]
        nodes.swapAt(index, index + 1)
    }

    /// Gives each of two nodes the other's name, and so its tensors.
    fileprivate mutating func exchangeNames(_ first: String, _ second: String) {
        func exchanged(_ name: String) -> String { name == first ? second : name == second ? first : name }
        for index in nodes.indices {
            nodes[index].name = exchanged(nodes[index].name)
            nodes[index].inputs = nodes[index].inputs.map(exchanged)
        }
    }
}

@Suite("A state dict that is written") struct TorchWriterTests {
    private static func resNet(_ stridePlace: ResNet.StridePlace = .middle) -> Network {
        ResNet(
            stem: .pooled(kernel: 7), stemFilters: 4,
            stages: [
                [ResNet.Block(filters: [4, 4, 16], stride: 1, hasProjection: true)],
                [ResNet.Block(filters: [8, 8, 32], stride: 2, hasProjection: true)],
            ], shortcut: .projection, stridePlace: stridePlace, head: ("fc", 3, true)
        ).network()
    }

    private static let vgg = VGG(
        blocks: [[4, 4], [8, 8]], hasNormalization: true, hidden: VGG.Hidden(side: 2, widths: [6, 6]),
        head: (VGG.headName, 3, true)
    ).network()

    private static func model(_ network: Network) -> Model {
        var weights: Weights = [:]
        for (index, (name, spec)) in network.tensors.enumerated() {
            weights[name] = Tensor(
                shape: spec.shape, values: (0..<spec.count).map { Float(($0 + index) % 7 + 1) / 8 })
        }
        return Model(network: network, weights: weights, recipe: nil, dialect: "test")
    }

    /// Writes a model as safetensors and reads it again.
    private func written(_ model: Model) throws -> Model {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        try ModelFile.write(model, to: folder + "/x.safetensors", as: .safetensors)
        return try load(folder + "/x.safetensors")
    }

    private func expectRefusal(_ model: Model, _ words: String) {
        let error = #expect(throws: CheckpointError.self) { try written(model) }
        let text = error?.description ?? ""
        #expect(text.contains("cannot write") && text.contains(words), "\(text)")
    }

    private func expectRefusal(_ network: Network, _ change: Change) {
        var network = network
        change.apply(&network)
        expectRefusal(Self.model(network), change.words)
    }

    @Test("comes back as the same network where nothing is changed") func unchanged() throws {
        for network in [Self.resNet(), Self.vgg] { #expect(try written(Self.model(network)).network == network) }
    }

    static let resNetChanges: [Change] =
        Change.common(
            convolution: "layer1.0.conv1", normalization: "layer1.0.bn1", activation: "layer1.0.relu1",
            pooling: "maxpool") + [
            Change("TensorFlow's padding at a stride", "pads otherwise") {
                $0.changeConvolution("layer2.0.conv2") { $0.window.padding = .same }
            },
            Change("two batch norms in each other's place", "stands in another place") {
                $0.exchangeNames("layer1.0.bn1", "layer1.0.bn2")
            },
            Change("no shortcut", "another order") {
                $0.change("layer1.0.relu") { $0.inputs = ["layer1.0.bn3"] }
            },
            Change("a flattening in place of the means", "'avgpool'") {
                $0.change("avgpool") { $0.operation = .flatten }
            },
        ]

    @Test("is refused with the one thing that a ResNet does otherwise", arguments: resNetChanges)
    func resNets(_ change: Change) { expectRefusal(Self.resNet(), change) }

    static let vggChanges: [Change] =
        Change.common(
            convolution: "features.3", normalization: "features.4", activation: "features.5", pooling: "features.6") + [
            Change("two batch norms in each other's place", "stands in another place") {
                $0.exchangeNames("features.8", "features.11")
            },
            Change("the activation of a hidden layer", "'classifier.0.relu'") {
                $0.change("classifier.0.relu") { $0.operation = .activation(.gelu) }
            },
        ]

    @Test("is refused with the one thing that a VGG does otherwise", arguments: vggChanges)
    func vggs(_ change: Change) { expectRefusal(Self.vgg, change) }

    @Test("is refused where bottlenecks take their stride first, or batch norms are folded") func whole() {
        expectRefusal(Self.model(Self.resNet(.first)), "a stride of 2")
        expectRefusal(Self.model(Self.resNet()).folded().model, "is missing: it is folded")
    }

    @Test("may have TensorFlow's padding where that is the same: at a stride of 1") func samePadding() throws {
        var network = Self.resNet()
        network.changeConvolution("layer1.0.conv2") { $0.window.padding = .same }
        #expect(try written(Self.model(network)).network == Self.resNet())
    }
}
