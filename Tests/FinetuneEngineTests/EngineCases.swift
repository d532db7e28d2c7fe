// Small networks that between them use every operation and every fusion of the engine.

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

let cases: [Case] =
    [
        Case(
            "a convolution with bias and odd channels", channels: 3, size: (9, 7),
            [
                ("conv", convolution(3, 5, .square(3, padding: 1), hasBias: true), [image])
            ]),
        Case(
            "a strided convolution with TensorFlow's padding", channels: 3, size: (10, 7),
            [
                ("conv", convolution(3, 8, Window(3, 3, stride: 2, padding: .same)), [image])
            ]),
        Case(
            "a dilated convolution", channels: 4, size: (11, 9),
            [
                ("conv", convolution(4, 6, Window(3, 3, dilation: 2, padding: .edges(.all(2)))), [image])
            ]),
        Case(
            "a grouped convolution", channels: 8, size: (8, 8),
            [
                ("conv", convolution(8, 12, .square(3, padding: 1), groups: 4), [image])
            ]),
        Case(
            "a convolution wide enough for Winograd", channels: 32, size: (14, 14),
            [
                ("conv", convolution(32, 48, .square(3, padding: 1)), [image])
            ]),
        Case(
            "convolution, batch norm, ReLU", channels: 3, size: (12, 10),
            [
                ("conv", convolution(3, 16, .square(7, stride: 2, padding: 3), hasBias: true), [image]),
                ("bn", normalization(16), ["conv"]), ("relu", .activation(.relu), ["bn"]),
            ]),
        Case(
            "squeeze and excitation", channels: 3, size: (9, 8),
            [
                ("conv", convolution(3, 20, .square(3, padding: 1)), [image]), ("bn", normalization(20), ["conv"]),
                ("squeeze", .globalAveragePooling, ["bn"]),
                ("reduce", .dense(inputs: 20, outputs: 6, hasBias: true), ["squeeze"]),
                ("relu", .activation(.relu), ["reduce"]),
                ("expand", .dense(inputs: 6, outputs: 20, hasBias: true), ["relu"]),
                ("gate", .activation(.sigmoid), ["expand"]), ("scale", .channelScaling, ["bn", "gate"]),
                ("short", convolution(3, 20, .square(1)), [image]), ("add", .addition, ["scale", "short"]),
                ("out", .activation(.relu), ["add"]),
            ]),
        Case(
            "an identity shortcut", channels: 16, size: (8, 8),
            [
                ("first", convolution(16, 16, .square(1)), [image]), ("relu", .activation(.relu), ["first"]),
                ("conv1", convolution(16, 16, .square(3, padding: 1)), ["relu"]), ("bn1", normalization(16), ["conv1"]),
                ("relu1", .activation(.relu), ["bn1"]),
                ("conv2", convolution(16, 16, .square(3, padding: 1)), ["relu1"]),
                ("bn2", normalization(16), ["conv2"]),
                ("add", .addition, ["bn2", "relu"]), ("out", .activation(.relu), ["add"]),
            ]),
        Case(
            "a projection shortcut, either order of the sum", channels: 8, size: (9, 9),
            [
                ("first", convolution(8, 8, .square(1)), [image]),
                ("main", convolution(8, 20, .square(3, stride: 2, padding: 1)), ["first"]),
                ("bnm", normalization(20), ["main"]),
                ("side", convolution(8, 20, .square(1, stride: 2)), ["first"]), ("bns", normalization(20), ["side"]),
                ("add", .addition, ["bnm", "bns"]), ("out", .activation(.relu), ["add"]),
            ]),
        Case(
            "a residual that is read again later", channels: 16, size: (6, 6),
            [
                ("a", convolution(16, 16, .square(1)), [image]), ("b", convolution(16, 16, .square(1)), ["a"]),
                ("sum", .addition, ["b", "a"]), ("sum2", .addition, ["sum", "a"]),
            ]),
        Case(
            "a parameter-free shortcut of the CIFAR networks", channels: 6, size: (9, 7),
            [
                ("main", convolution(6, 12, .square(3, stride: 2, padding: 1)), [image]),
                ("sub", .subsampling(step: 2), [image]), ("pad", .channelPadding(before: 3, after: 3), ["sub"]),
                ("add", .addition, ["main", "pad"]), ("out", .activation(.relu), ["add"]),
            ]),
        Case(
            "pre-activation: a batch norm without a convolution before it", channels: 5, size: (6, 6),
            [
                ("bn", normalization(5), [image]), ("relu", .activation(.relu), ["bn"]),
                ("conv", convolution(5, 7, .square(3)), ["relu"]),
            ]),
        Case(
            "max pooling that pads with minus infinity", channels: 4, size: (9, 8),
            [
                ("conv", convolution(4, 16, .square(1), hasBias: true), [image]),
                ("pool", .maxPooling(.square(3, stride: 2, padding: 1)), ["conv"]),
            ]),
        Case(
            "zero padding before max pooling of numbers that may be negative", channels: 4, size: (9, 8),
            [
                ("conv", convolution(4, 16, .square(1), hasBias: true), [image]),
                ("pad", .zeroPadding(.all(1)), ["conv"]), ("pool", .maxPooling(.square(3, stride: 2)), ["pad"]),
            ]),
        Case(
            "zero padding before max pooling after a ReLU", channels: 4, size: (9, 8),
            [
                ("conv", convolution(4, 16, .square(1), hasBias: true), [image]),
                ("relu", .activation(.relu), ["conv"]),
                ("pad", .zeroPadding(.all(1)), ["relu"]), ("pool", .maxPooling(.square(3, stride: 2)), ["pad"]),
            ]),
        Case(
            "average pooling without the padding", channels: 3, size: (7, 7),
            [
                ("pool", .averagePooling(.square(2, stride: 2, padding: 1), countsPadding: false), [image])
            ]),
        Case(
            "average pooling with the padding", channels: 16, size: (7, 7),
            [
                ("pool", .averagePooling(.square(2, stride: 2, padding: 1), countsPadding: true), [image])
            ]),
        Case(
            "global pooling and a dense layer", channels: 20, size: (5, 6),
            [
                ("relu", .activation(.relu), [image]), ("pool", .globalAveragePooling, ["relu"]),
                ("fc", .dense(inputs: 20, outputs: 7, hasBias: true), ["pool"]),
            ]),
        Case(
            "a dense layer on a flattened image", channels: 4, size: (3, 2),
            [
                ("conv", convolution(4, 6, .square(1)), [image]), ("flat", .flatten, ["conv"]),
                ("fc1", .dense(inputs: 36, outputs: 9, hasBias: false), ["flat"]),
                ("relu", .activation(.relu), ["fc1"]),
                ("fc2", .dense(inputs: 9, outputs: 4, hasBias: true), ["relu"]),
            ]),
        Case(
            "activations in a row", channels: 3, size: (64, 64),
            [
                ("a", convolution(3, 3, .square(1), hasBias: true), [image]), ("gelu", .activation(.gelu), ["a"]),
                ("silu", .activation(.silu), ["gelu"]), ("relu6", .activation(.relu6), ["silu"]),
                ("b", convolution(3, 3, .square(3, padding: 1), hasBias: true), ["relu6"]),
                ("gate", .activation(.silu), ["b"]), ("end", .activation(.relu6), ["gate"]),
            ]),
        Case(
            "a row brought to length 1", channels: 8, size: (4, 3),
            [("pool", .globalAveragePooling, [image]), ("unit", .rowNormalization, ["pool"])]),
    ]
    + Activation.allCases.map { activation in
        Case(
            "\(activation) over an image and on rows", channels: 3, size: (5, 6),
            [
                ("conv", convolution(3, 5, .square(3, padding: 1)), [image]),
                ("over", .activation(activation), ["conv"]), ("pool", .globalAveragePooling, ["over"]),
                ("fc", .dense(inputs: 5, outputs: 6, hasBias: true), ["pool"]),
                ("row", .activation(activation), ["fc"]),
            ])
    }
    + Activation.allCases.map { activation in
        Case(
            "\(activation) after a sum and after a pooling", channels: 4, size: (6, 6),
            [
                ("a", convolution(4, 16, .square(1)), [image]),
                ("b", convolution(4, 16, .square(3, padding: 1)), [image]),
                ("bn", normalization(16), ["b"]), ("sum", .addition, ["bn", "a"]),
                ("first", .activation(activation), ["sum"]),
                ("pool", .averagePooling(.square(2, stride: 2), countsPadding: true), ["first"]),
                ("second", .activation(activation), ["pool"]),
            ])
    }
