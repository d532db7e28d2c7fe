// Random weights to begin with, so that signals and gradients keep their size from layer to layer.

public import FinetuneEngine
package import FinetuneFiles

/// The variance of a layer's initial weights. Biases begin at zero.
public enum Initialization: String, Sendable, CaseIterable {
    /// `2 / ((1 + a²)·fan)` with the slope `a` of a leaky ReLU below 0 (He et al. 2015), normal:
    /// `torch.nn.init.kaiming_normal_`.
    case kaiming
    /// `2 / (fanIn + fanOut)` (Glorot and Bengio 2010), uniform: `torch.nn.init.xavier_uniform_`.
    case xavier
    /// `1 / fanIn` (LeCun et al. 1998), normal: what SELU asks for.
    case lecun
    /// 0: what a linear head can begin with.
    case zero

    /// What Kaiming's variance counts.
    package enum Fan: Sendable {
        /// Inputs of a unit, which keeps the size of signals.
        case inputs
        /// Units that read an input, which keeps the size of gradients: torchvision's choice for ResNets.
        case outputs
    }

    /// What suits a layer that an activation follows.
    public static func suited(to activation: Activation) -> Initialization {
        switch activation {
        case .relu, .relu6, .leakyReLU, .elu, .gelu, .geluTanh, .quickGELU, .silu, .hardSwish: .kaiming
        case .tanh, .sigmoid, .hardSigmoid: .xavier
        case .selu: .lecun
        }
    }

    /// Draws a layer's weights.
    ///
    /// - Parameters:
    ///   - shape: `[outputs, inputs]`, or filters `[filters, channels, height, width]`, whose fans count every pixel.
    ///   - activation: What follows, for Kaiming's slope.
    package func tensor(
        _ shape: [Int], for activation: Activation = .relu, fan: Fan = .inputs, _ random: inout RandomNumbers
    ) -> Tensor {
        let deviation = variance(shape, for: activation, fan: fan).squareRoot()
        return Tensor(shape: shape) { values in
            for index in values.indices {
                switch self {
                case .kaiming, .lecun: values[index] = Float(random.nextNormal() * deviation)
                // A uniform number within ±b has the variance b²/3.
                case .xavier: values[index] = Float((2 * random.nextUnit() - 1) * 3.0.squareRoot() * deviation)
                case .zero: values[index] = 0
                }
            }
        }
    }

    /// The variance of the weights.
    package func variance(_ shape: [Int], for activation: Activation = .relu, fan: Fan = .inputs) -> Double {
        let pixels = shape.dropFirst(2).reduce(1, *)
        let (inputs, outputs) = (Double(shape[1] * pixels), Double(shape[0] * pixels))
        switch self {
        case .kaiming:
            let slope = activation == .leakyReLU ? Double(Activation.leakySlope) : 0
            return 2 / ((1 + slope * slope) * (fan == .inputs ? inputs : outputs))
        case .xavier: return 2 / (inputs + outputs)
        case .lecun: return 1 / inputs
        case .zero: return 0
        }
    }
}
