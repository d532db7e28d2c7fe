// Whether a training step is right on this processor: compares its gradients with numerical differences of the loss,
// computed by plain loops.

internal import Glibc

extension SelfTest {
    /// A step through a convolution, a batch norm on the batch's own statistics, a ReLU, a pooling and a dense layer.
    ///
    /// Along the gradient g that the program computes, the loss must rise by |g| per unit of length; plain loops in double
    /// precision say by how much it does.
    static func trainingStep(_ precision: Precision, _ thread: EngineThread) async throws -> SelfTest {
        let step = TrainingStep()
        let program = try await TrainingProgram(
            step.network, step.weights, rules: step.learning.reduce(into: [:]) { $0[$1] = ParameterRule(learns: true) },
            live: ["norm"], batch: TrainingStep.batch, height: TrainingStep.size, width: TrainingStep.size,
            precision: precision, thread: thread)
        _ = try await program.evaluate(step.images, targets: step.targets)
        let gradients = await program.gradients
        let length = gradients.values.reduce(0.0) { sum, gradient in
            gradient.values.reduce(sum) { $0 + Double($1) * Double($1) }
        }.squareRoot()
        let reach = 1e-4
        let rise =
            (step.loss(along: gradients, by: reach / length) - step.loss(along: gradients, by: -reach / length))
            / (2 * reach)
        let kernel = await program.kernels.last { $0.step.hasPrefix("norm") || $0.step.hasPrefix("relu") }?.name ?? ""
        return SelfTest(
            library: .oneDNN, name: "training step in \(precision.rawValue)", kernel: kernel,
            error: abs(rise - length) / length, tolerance: precision == .fp32 ? 1e-3 : 0.05)
    }
}

/// The network, the images and the labels of the step, and its loss by plain loops.
private struct TrainingStep {
    static let batch = 2
    static let size = 8
    static let channels = 16
    static let epsilon = 1e-3

    let window = Window.square(3, padding: 1)
    let learning = ["conv.weight", "norm.weight", "norm.bias", "head.weight", "head.bias"]
    let images = Self.tensor([batch, size, size, channels], 11)
    let targets = Tensor(shape: [batch, 2], values: [1, 0, 0, 1])
    let weights: Weights = [
        "conv.weight": Self.tensor([channels, channels, 3, 3], 12), "norm.weight": Self.tensor([channels], 13),
        "norm.bias": Self.tensor([channels], 14), "norm.running_mean": Self.tensor([channels], 15),
        "norm.running_var": Tensor(shape: [channels], repeating: 1), "head.weight": Self.tensor([2, channels], 16),
        "head.bias": Self.tensor([2], 17),
    ]

    var network: Network {
        Network(
            name: "self-test", inputChannels: Self.channels,
            nodes: [
                Node(
                    "conv", stage: "stem",
                    .convolution(
                        Convolution(channels: Self.channels, filters: Self.channels, window: window, hasBias: false)),
                    inputs: [Node.image]),
                Node(
                    "norm", stage: "stem",
                    .batchNormalization(
                        BatchNormalization(channels: Self.channels, epsilon: Self.epsilon, statisticsKept: 0.9)),
                    inputs: ["conv"]),
                Node("relu", stage: "stem", .activation(.relu), inputs: ["norm"]),
                Node("mean", stage: "pooled", .globalAveragePooling, inputs: ["relu"]),
                Node("head", stage: "head", .dense(inputs: Self.channels, outputs: 2, hasBias: true), inputs: ["mean"]),
            ])
    }

    private static func tensor(_ shape: [Int], _ stream: UInt64) -> Tensor {
        Tensor(shape: shape, values: SelfTest.numbers(shape.reduce(1, *), stream: stream))
    }

    /// The mean cross-entropy with the weights moved by a multiple of a direction.
    func loss(along direction: [String: Tensor], by factor: Double) -> Double {
        func moved(_ name: String) -> [Double] {
            let values = (weights[name]?.values ?? []).map { Double($0) }
            guard let direction = direction[name]?.values else { return values }
            return zip(values, direction).map { $0 + factor * Double($1) }
        }
        let (scale, shift) = (moved("norm.weight"), moved("norm.bias"))
        let (head, bias) = (moved("head.weight"), moved("head.bias"))
        let filters = moved("conv.weight")
        let pixels = Self.size * Self.size
        let maps = (0..<Self.batch).map { image in
            SelfTest.Plain(
                Array(images.values[image * pixels * Self.channels..<(image + 1) * pixels * Self.channels]), Self.size,
                Self.channels
            ).convolved(filters, [Double](repeating: 0, count: Self.channels), window).values
        }
        let count = Double(Self.batch * pixels)
        var pooled = [[Double]](repeating: [], count: Self.batch)
        for channel in 0..<Self.channels {
            let values = maps.map { map in stride(from: channel, to: map.count, by: Self.channels).map { map[$0] } }
            let mean = values.joined().reduce(0, +) / count
            let variance = values.joined().reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count
            for image in 0..<Self.batch {
                let sum = values[image].reduce(0) { sum, value in
                    let normal = (value - mean) / (variance + Self.epsilon).squareRoot()
                    return sum + max(0, normal * scale[channel] + shift[channel])
                }
                pooled[image].append(sum / Double(pixels))
            }
        }
        // Of two classes the loss is log(1 + e^(wrong − right)); image i has class i.
        return pooled.enumerated().reduce(0) { sum, image in
            let logits = (0..<2).map { output in
                image.element.indices.reduce(bias[output]) {
                    $0 + image.element[$1] * head[output * Self.channels + $1]
                }
            }
            return sum + log1p(exp(logits[1 - image.offset] - logits[image.offset]))
        } / Double(Self.batch)
    }
}
