// The networks of the engine's tests, made to learn.

import Testing

@testable import FinetuneEngine

/// A case made to learn: a convolution before it, so that gradients pass through all of it, and a dense layer after it.
struct TrainingCase: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let network: Network
    let height: Int
    let width: Int
    let weights: Weights
    private let channels: Int

    static let batch = 3
    static let classes = 3

    static let all = cases.map(TrainingCase.init)
    /// Those that plain loops evaluate a hundred times in a moment.
    static let small = all.filter { $0.weights.values.reduce(0) { $0 + $1.count } < 1500 }

    /// Each with stored statistics, and those with a batch norm once more with the batch's own: the flag.
    static func withStatistics(_ examples: [TrainingCase]) -> [(TrainingCase, Bool)] {
        examples.map { ($0, false) } + examples.filter { !$0.normalizations.isEmpty }.map { ($0, true) }
    }

    static func named(_ name: String) throws -> TrainingCase { try #require(all.first { $0.testDescription == name }) }

    init(_ example: Case) {
        testDescription = example.testDescription
        (height, width, channels) = (example.height, example.width, example.channels)
        var nodes = [
            Node("in", stage: "stem", convolution(channels, channels, Window(1, 1), hasBias: true), inputs: [image])
        ]
        nodes += example.nodes.map { node in
            Node(node.name, stage: "stem", node.operation, inputs: node.inputs.map { $0 == image ? "in" : $0 })
        }
        var network = Network(name: example.testDescription, inputChannels: channels, nodes: nodes)
        let last = nodes.last?.name ?? image
        let shape = network.outputShape(of: last, height: height, width: width) ?? []
        var input = last
        if shape.count == 3 {
            network.nodes.append(Node("rows", stage: "pooled", .flatten, inputs: [last]))
            input = "rows"
        }
        let dense = FinetuneEngine.Operation.dense(
            inputs: shape.reduce(1, *), outputs: Self.classes, hasBias: true)
        network.nodes.append(Node("head", stage: "head", dense, inputs: [input]))
        self.network = network
        weights = Case(
            example.testDescription, channels: channels, size: (height, width),
            network.nodes.map { ($0.name, $0.operation, $0.inputs) }
        ).weights()
    }

    var images: Tensor {
        var numbers = Numbers(seed: 11)
        return Tensor(
            shape: [Self.batch, height, width, channels],
            values: (0..<Self.batch * height * width * channels).map { _ in numbers.next() })
    }

    /// Smoothed labels.
    var targets: [[Double]] {
        (0..<Self.batch).map { image in (0..<Self.classes).map { $0 == image % Self.classes ? 0.8 : 0.1 } }
    }

    var targetTensor: Tensor {
        Tensor(shape: [Self.batch, Self.classes], values: targets.flatMap { $0 }.map { Float($0) })
    }

    var normalizations: Set<String> {
        Set(network.nodes.filter { if case .batchNormalization = $0.operation { true } else { false } }.map(\.name))
    }

    /// Everything learns.
    var rules: [String: ParameterRule] {
        weights.filter { !$0.key.contains("running") }.mapValues { _ in ParameterRule(learns: true) }
    }

    func reference(live: Set<String>, _ weights: [String: [Double]]? = nil) -> ReferenceTraining {
        ReferenceTraining(
            network, weights ?? self.weights.mapValues { $0.values.map { Double($0) } }, live: live,
            images: (0..<Self.batch).map { images.reference(image: $0) }, targets: targets)
    }

    func program(
        live: Set<String> = [], rules: [String: ParameterRule]? = nil, batch: Int = batch,
        optimizer: FinetuneEngine.Optimizer = .momentum(), dropout: [String: Dropout] = [:], averages: Bool = false,
        _ precision: Precision = .fp32
    ) async throws -> TrainingProgram {
        try await TrainingProgram(
            network, weights, rules: rules ?? self.rules, optimizer: optimizer, live: live, dropout: dropout,
            averages: averages, batch: batch, height: height, width: width, precision: precision,
            thread: TrainingProgramTests.thread)
    }
}
