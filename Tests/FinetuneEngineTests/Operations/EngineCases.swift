// Small networks that between them use every operation and every fusion of the engine: what a case is, and all of them.

import FinetuneEngine
import Testing

/// Reproducible numbers in −1…1.
struct Numbers {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> Float {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(Int32(truncatingIfNeeded: state >> 32)) / Float(Int32.max)
    }
}

/// A network under test with random weights for every tensor that it names.
struct Case: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let channels: Int
    let height: Int
    let width: Int
    let nodes: [Node]

    init(
        _ description: String, channels: Int, size: (Int, Int),
        _ operations: [(String, FinetuneEngine.Operation, [String])]
    ) {
        testDescription = description
        self.channels = channels
        (height, width) = size
        nodes = operations.map { Node($0.0, stage: "stem", $0.1, inputs: $0.2) }
    }

    static func named(_ name: String) throws -> Case { try #require(cases.first { $0.testDescription == name }) }

    var network: Network { Network(name: testDescription, inputChannels: channels, nodes: nodes) }

    func weights() -> Weights {
        var numbers = Numbers(seed: 7)
        var weights: Weights = [:]
        func random(_ shape: [Int], scale: Float = 1, offset: Float = 0) -> Tensor {
            Tensor(shape: shape, values: (0..<shape.reduce(1, *)).map { _ in numbers.next() * scale + offset })
        }
        for (name, spec) in network.tensors {
            switch (spec.kind, spec.role) {
            case (.kernel, _):
                weights[name] = random(spec.shape, scale: 1 / Float(spec.shape.dropFirst().reduce(1, *)).squareRoot())
            case (.statistic, .runningVariance): weights[name] = random(spec.shape, scale: 0.5, offset: 0.6)
            case (.scale, _), (.bias, _), (.statistic, _): weights[name] = random(spec.shape)
            }
        }
        return weights
    }

    func images(_ count: Int) -> Tensor {
        var numbers = Numbers(seed: 11)
        return Tensor(
            shape: [count, height, width, channels],
            values: (0..<count * height * width * channels).map { _ in numbers.next() })
    }
}

extension Tensor {
    func reference(image: Int) -> ReferenceValue {
        let (height, width, channels) = (shape[1], shape[2], shape[3])
        let values = values
        return ReferenceValue(channels, height, width).mapped(channels, height, width) { c, y, x in
            Double(values[((image * height + y) * width + x) * channels + c])
        }
    }
}

func convolution(
    _ channels: Int, _ filters: Int, _ window: Window, groups: Int = 1, hasBias: Bool = false
) -> FinetuneEngine.Operation {
    .convolution(Convolution(channels: channels, filters: filters, groups: groups, window: window, hasBias: hasBias))
}

func normalization(_ channels: Int) -> FinetuneEngine.Operation {
    .batchNormalization(BatchNormalization(channels: channels, epsilon: 1e-5, statisticsKept: 0.9))
}

let image = Node.image

/// Every network of the files `…+Cases.swift`, one file for each operation.
let cases: [Case] = [
    Case.convolutions, Case.batchNormalizations, Case.channelScalings, Case.additions, Case.copies, Case.poolings,
    Case.denseLayers, Case.activations, Case.rowNormalizations,
].flatMap { $0 }
