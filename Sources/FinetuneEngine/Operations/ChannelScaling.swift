// What a batch norm with stored statistics does to each channel, and a convolution that does it as well.

internal import Glibc

/// `y = x · factor + offset` for each channel.
struct ChannelScaling {
    var factor: [Double]
    var offset: [Double]
}

extension ChannelScaling {
    /// A batch norm: `γ·(x − μ)/√(σ² + ε) + β`, in double precision.
    init(_ gamma: [Float], _ beta: [Float], mean: [Float], variance: [Float], epsilon: Double) {
        factor = gamma.indices.map { Double(gamma[$0]) / (Double(variance[$0]) + epsilon).squareRoot() }
        offset = []
        offset = beta.indices.map { Double(beta[$0]) - Double(mean[$0]) * factor[$0] }
    }
}

extension BatchNormalization {
    /// The filters and biases of a convolution that does what this batch norm does after it.
    ///
    /// - Parameters:
    ///   - weight: `[filters, channels, height, width]`
    ///   - bias: `[filters]`; nil for a convolution without.
    ///   - gamma: `[filters]`, and so are `beta`, `mean` and `variance`.
    package func folded(
        into weight: Tensor, _ bias: Tensor?, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor
    ) -> (weight: Tensor, bias: Tensor) {
        let convolution = FoldedConvolution(
            groups: 1, window: Window(1, 1), weight: weight, bias: bias,
            scaling: ChannelScaling(
                gamma.values, beta.values, mean: mean.values, variance: variance.values, epsilon: epsilon))
        return (convolution.foldedWeight(), convolution.foldedBias())
    }
}
