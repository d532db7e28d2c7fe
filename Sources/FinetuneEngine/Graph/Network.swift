// A network is data: a list of nodes in the order data takes them. Everything else is a walk over it.

/// A feed-forward network for images, without its numbers.
package struct Network: Sendable, Equatable {
    /// The architecture in the field's words, such as `ResNet-50 v1.5, width 64`.
    package var name: String
    /// Channels of the input image: 3, or 1 for gray.
    package var inputChannels: Int
    /// Every node comes after the nodes it reads. The last one gives the network's output: the logits,
    /// or the features where the network has no head.
    package var nodes: [Node]

    package init(name: String, inputChannels: Int, nodes: [Node]) {
        self.name = name
        self.inputChannels = inputChannels
        self.nodes = nodes
    }
}

/// One operation of a network with its place in it.
package struct Node: Sendable, Equatable {
    /// Unique in the network, and the prefix of its tensors' names.
    package var name: String
    /// `stem`, `stage1` …, `pooled` (what turns the last stage into the features), or `head`.
    package var stage: String
    package var operation: Operation
    /// Names of the nodes it reads; `Node.image` is the network's input.
    package var inputs: [String]

    /// The name under which nodes read the network's input, shape `[batch, height, width, channels]`.
    package static let image = "image"

    package init(_ name: String, stage: String, _ operation: Operation, inputs: [String]) {
        self.name = name
        self.stage = stage
        self.operation = operation
        self.inputs = inputs
    }
}

/// What a node computes.
package enum Operation: Sendable, Equatable {
    /// Tensors `weight` `[filters, channels/groups, height, width]` and, with a bias, `bias` `[filters]`.
    case convolution(Convolution)
    /// Tensors `weight`, `bias`, `running_mean`, `running_var`, each `[channels]`.
    case batchNormalization(BatchNormalization)
    case activation(Activation)
    /// The sum of two inputs of one shape.
    case addition
    /// Each channel of the first input, an image, times what the second, a row, holds for it: the end of a
    /// squeeze-and-excitation (Hu et al. 2018).
    case channelScaling
    /// Padding never wins the maximum.
    case maxPooling(Window)
    /// The mean over the window's pixels inside the image, or over the whole window.
    case averagePooling(Window, countsPadding: Bool)
    /// `[batch, channels, height, width]` to `[batch, channels]`.
    case globalAveragePooling
    /// Zeros around the image.
    case zeroPadding(Edges)
    /// Every `step`-th pixel in both directions from the first on, `x[:, :, ::step, ::step]`.
    case subsampling(step: Int)
    /// Channels of zeros before and after (He et al. 2015, shortcut option A).
    case channelPadding(before: Int, after: Int)
    /// `[batch, channels, height, width]` to one row an image, channels fastest, as Keras flattens.
    case flatten
    /// Each row divided by its Euclidean length: `torch.nn.functional.normalize`.
    case rowNormalization
    /// Tensors `weight` `[outputs, inputs]` and, with a bias, `bias` `[outputs]`.
    case dense(inputs: Int, outputs: Int, hasBias: Bool)
}

/// The shape of a two-dimensional convolution.
package struct Convolution: Sendable, Equatable {
    package var channels: Int
    package var filters: Int
    package var groups: Int
    package var window: Window
    package var hasBias: Bool

    package init(channels: Int, filters: Int, groups: Int = 1, window: Window, hasBias: Bool) {
        self.channels = channels
        self.filters = filters
        self.groups = groups
        self.window = window
        self.hasBias = hasBias
    }
}

/// Normalization of each channel by a mean and a variance (Ioffe and Szegedy 2015).
package struct BatchNormalization: Sendable, Equatable {
    package var channels: Int
    /// Added to the variance before its root.
    package var epsilon: Double
    /// The fraction of the stored statistics that one training step keeps: Keras' `momentum`, one minus PyTorch's.
    package var statisticsKept: Double
    /// Whether the stored variance takes in n/(n−1) times that of a batch of n values, as PyTorch's does and Keras' not.
    package var storesUnbiasedVariance: Bool

    package init(
        channels: Int, epsilon: Double, statisticsKept: Double, storesUnbiasedVariance: Bool = true
    ) {
        self.channels = channels
        self.epsilon = epsilon
        self.statisticsKept = statisticsKept
        self.storesUnbiasedVariance = storesUnbiasedVariance
    }
}

/// A window that slides over an image, in pixels.
package struct Window: Sendable, Equatable {
    package var height: Int
    package var width: Int
    package var stride: Int
    package var dilation: Int
    package var padding: Padding

    package init(_ height: Int, _ width: Int, stride: Int = 1, dilation: Int = 1, padding: Padding = .edges(.none)) {
        self.height = height
        self.width = width
        self.stride = stride
        self.dilation = dilation
        self.padding = padding
    }

    /// A square window with the same padding on every side.
    package static func square(_ side: Int, stride: Int = 1, padding: Int = 0) -> Window {
        Window(side, side, stride: stride, padding: .edges(.all(padding)))
    }

    /// The padding of an image of `height` × `width` pixels.
    package func edges(height: Int, width: Int) -> Edges {
        switch padding {
        case .edges(let edges): return edges
        case .same:
            func split(_ size: Int, _ kernel: Int) -> (Int, Int) {
                let outputs = (size + stride - 1) / stride
                let total = max((outputs - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
                return (total / 2, total - total / 2)
            }
            let (top, bottom) = split(height, self.height)
            let (left, right) = split(width, self.width)
            return Edges(top: top, left: left, bottom: bottom, right: right)
        }
    }

    /// The size of what the window makes of an image of `height` × `width` pixels; not positive where it does not fit.
    package func output(height: Int, width: Int) -> (height: Int, width: Int) {
        let edges = edges(height: height, width: width)
        func size(_ size: Int, _ kernel: Int) -> Int {
            let room = size - ((kernel - 1) * dilation + 1)
            return room < 0 ? 0 : room / stride + 1
        }
        return (
            size(height + edges.top + edges.bottom, self.height), size(width + edges.left + edges.right, self.width)
        )
    }
}

/// How a window treats the border.
package enum Padding: Sendable, Equatable {
    case edges(Edges)
    /// TensorFlow's rule: as many outputs as strides fit into the image, the odd pixel of padding below and right.
    case same
}

/// Pixels on the four sides of an image.
package struct Edges: Sendable, Equatable {
    package var top, left, bottom, right: Int

    package init(top: Int, left: Int, bottom: Int, right: Int) {
        (self.top, self.left, self.bottom, self.right) = (top, left, bottom, right)
    }

    package static let none = all(0)
    package static func all(_ pixels: Int) -> Edges { Edges(top: pixels, left: pixels, bottom: pixels, right: pixels) }
}

/// Element-wise functions between layers.
public enum Activation: String, Sendable, Equatable, CaseIterable {
    /// `max(x, 0)`
    case relu
    /// `min(max(x, 0), 6)`
    case relu6
    /// `x` above 0, `0.01·x` below: the slope of `torch.nn.LeakyReLU`.
    case leakyReLU = "leaky-relu"
    /// `x` above 0, `exp(x) − 1` below (Clevert et al. 2015, α = 1).
    case elu
    /// `λx` above 0, `λα(exp(x) − 1)` below (Klambauer et al. 2017).
    case selu
    /// `x·Φ(x)` with the normal distribution's Φ (Hendrycks and Gimpel 2016), not its approximation by tanh.
    case gelu
    /// `½x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))`: `torch.nn.GELU(approximate="tanh")`.
    case geluTanh = "gelu-tanh"
    /// `x·sigmoid(1.702·x)`, another approximation of GELU.
    case quickGELU = "quick-gelu"
    /// `x·sigmoid(x)`, also called Swish.
    case silu
    /// `x·min(max(x + 3, 0), 6)/6` (Howard et al. 2019).
    case hardSwish = "hard-swish"
    /// `min(max(x + 3, 0), 6)/6`: that of PyTorch and Keras 3. Keras 2 has `0.2·x + 0.5` between 0 and 1.
    case hardSigmoid = "hard-sigmoid"
    /// `(exp(x) − exp(−x)) / (exp(x) + exp(−x))`
    case tanh
    /// `1 / (1 + exp(−x))`
    case sigmoid

    /// The slope of a leaky ReLU below 0.
    package static let leakySlope: Float = 0.01
    /// The fixed point of SELU: mean 0 and variance 1 go on to the next layer.
    package static let seluScale = 1.0507009873554804934193349852946
    package static let seluAlpha = 1.6732632423543772848170429916717
    /// What a quick GELU multiplies its argument with.
    package static let quickFactor: Float = 1.702

    /// Whether no result is below 0.
    package var isNonnegative: Bool {
        switch self {
        case .relu, .relu6, .sigmoid, .hardSigmoid: true
        case .leakyReLU, .elu, .selu, .gelu, .geluTanh, .quickGELU, .silu, .hardSwish, .tanh: false
        }
    }
}
