// The stages of small graphs whose files have no names for them, told by hand.

import FinetuneEngine
import Testing

@testable import FinetuneCheckpoints

@Suite("Stages without names") struct NetworkStageNamesTests {
    /// The stages that the nodes of a graph get, in their order.
    private func stages(_ nodes: [(name: String, operation: FinetuneEngine.Operation, inputs: [String])]) -> [String] {
        var network = Network(
            name: "graph", inputChannels: 3,
            nodes: nodes.map { Node($0.name, stage: "", $0.operation, inputs: $0.inputs) })
        network.nameStages()
        return network.nodes.map(\.stage)
    }

    private func convolution(stride: Int = 1) -> FinetuneEngine.Operation {
        .convolution(
            Convolution(channels: 4, filters: 4, window: .square(3, stride: stride, padding: 1), hasBias: false))
    }

    private let relu = FinetuneEngine.Operation.activation(.relu)
    private let dense = FinetuneEngine.Operation.dense(inputs: 4, outputs: 2, hasBias: true)

    @Test("begin after the first activation where nothing forks, and where the resolution falls") func chain() {
        let found = stages([
            ("a", convolution(), [Node.image]), ("relu", relu, ["a"]),
            ("b", convolution(stride: 2), ["relu"]), ("relu_b", relu, ["b"]),
            ("c", convolution(stride: 2), ["relu_b"]), ("relu_c", relu, ["c"]),
            ("pool", .globalAveragePooling, ["relu_c"]), ("fc", dense, ["pool"]),
        ])
        #expect(found == ["stem", "stem", "stage1", "stage1", "stage2", "stage2", "pooled", "head"])
    }

    @Test("begin with the block, whose second convolution may be the one with the stride") func forks() {
        let found = stages([
            ("stem", convolution(stride: 2), [Node.image]), ("bent", relu, ["stem"]),
            // The first block keeps the resolution.
            ("a", convolution(), ["bent"]), ("sum", .addition, ["a", "bent"]), ("out", relu, ["sum"]),
            ("b1", convolution(), ["out"]), ("b2", convolution(stride: 2), ["b1"]),
            ("short", convolution(stride: 2), ["out"]), ("sum2", .addition, ["b2", "short"]), ("out2", relu, ["sum2"]),
            ("pool", .globalAveragePooling, ["out2"]), ("fc", dense, ["pool"]),
        ])
        #expect(
            found == [
                "stem", "stem", "stage1", "stage1", "stage1", "stage2", "stage2", "stage2", "stage2", "stage2",
                "pooled", "head",
            ])
    }

    @Test("leave a plain average pooling before the flattening to the pooling, but no max pooling") func flattened() {
        func found(_ pooling: FinetuneEngine.Operation) -> [String] {
            stages([
                ("a", convolution(), [Node.image]), ("relu", relu, ["a"]),
                ("b", convolution(stride: 2), ["relu"]), ("relu_b", relu, ["b"]),
                ("pool", pooling, ["relu_b"]), ("rows", .flatten, ["pool"]), ("fc", dense, ["rows"]),
            ])
        }
        let before = ["stem", "stem", "stage1", "stage1"]
        #expect(
            found(.averagePooling(.square(2, stride: 2), countsPadding: true)) == before + ["pooled", "pooled", "head"])
        #expect(found(.maxPooling(.square(2, stride: 2))) == before + ["stage2", "pooled", "head"])
    }

    @Test("do not end with the pooling of a squeeze-and-excitation") func squeeze() {
        let found = stages([
            ("stem", convolution(), [Node.image]), ("bent", relu, ["stem"]), ("a", convolution(), ["bent"]),
            ("mean", .globalAveragePooling, ["a"]),
            ("excite", .dense(inputs: 4, outputs: 4, hasBias: true), ["mean"]),
            ("gate", .activation(.sigmoid), ["excite"]), ("scaled", .channelScaling, ["a", "gate"]),
            ("sum", .addition, ["scaled", "bent"]), ("out", relu, ["sum"]),
            ("pool", .globalAveragePooling, ["out"]), ("fc", dense, ["pool"]),
        ])
        #expect(found == ["stem", "stem"] + Array(repeating: "stage1", count: 7) + ["pooled", "head"])
    }

    @Test("have no pooling and no head where the network ends in an image") func image() {
        let found = stages([
            ("a", convolution(), [Node.image]), ("relu", relu, ["a"]),
            ("b", convolution(stride: 2), ["relu"]), ("relu_b", relu, ["b"]),
        ])
        #expect(found == ["stem", "stem", "stage1", "stage1"])
    }
}
