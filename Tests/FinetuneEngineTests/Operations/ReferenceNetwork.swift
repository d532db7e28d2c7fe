// The plain meaning of a network: every operation as loops in double precision, written for reading.

import FinetuneEngine
import Glibc

/// An image or a row of doubles, `[channels, height, width]`; rows have height and width 1.
struct ReferenceValue {
    var channels: Int
    var height: Int
    var width: Int
    var values: [Double]

    init(_ channels: Int, _ height: Int, _ width: Int) {
        (self.channels, self.height, self.width) = (channels, height, width)
        values = [Double](repeating: 0, count: channels * height * width)
    }

    subscript(channel: Int, y: Int, x: Int) -> Double {
        get { values[(channel * height + y) * width + x] }
        set { values[(channel * height + y) * width + x] = newValue }
    }

    func mapped(_ channels: Int, _ height: Int, _ width: Int, _ value: (Int, Int, Int) -> Double) -> ReferenceValue {
        var result = ReferenceValue(channels, height, width)
        for c in 0..<channels { for y in 0..<height { for x in 0..<width { result[c, y, x] = value(c, y, x) } } }
        return result
    }
}

/// Evaluates a network on one image.
func evaluateReference(_ network: Network, _ weights: Weights, output: String, on image: ReferenceValue)
    -> ReferenceValue
{
    var results = [Node.image: image]
    for node in network.nodes where network.ancestors(of: output).contains(node.name) {
        let x = results[node.inputs[0]] ?? image
        func tensor(_ role: String) -> [Double] { (weights["\(node.name).\(role)"]?.values ?? []).map { Double($0) } }
        switch node.operation {
        case .convolution(let convolution):
            let (weight, bias, window) = (tensor("weight"), tensor("bias"), convolution.window)
            let edges = window.edges(height: x.height, width: x.width)
            let size = window.output(height: x.height, width: x.width)
            let (inputs, outputs) = (
                convolution.channels / convolution.groups, convolution.filters / convolution.groups
            )
            results[node.name] = x.mapped(convolution.filters, size.height, size.width) { f, oy, ox in
                var sum = convolution.hasBias ? bias[f] : 0
                for c in 0..<inputs {
                    for ky in 0..<window.height {
                        for kx in 0..<window.width {
                            let y = oy * window.stride - edges.top + ky * window.dilation
                            let xx = ox * window.stride - edges.left + kx * window.dilation
                            guard y >= 0, y < x.height, xx >= 0, xx < x.width else { continue }
                            sum +=
                                weight[((f * inputs + c) * window.height + ky) * window.width + kx]
                                * x[f / outputs * inputs + c, y, xx]
                        }
                    }
                }
                return sum
            }
        case .batchNormalization(let normalization):
            let (gamma, beta, mean, variance) = (
                tensor("weight"), tensor("bias"), tensor("running_mean"), tensor("running_var")
            )
            results[node.name] = x.mapped(x.channels, x.height, x.width) { c, y, xx in
                (x[c, y, xx] - mean[c]) / (variance[c] + normalization.epsilon).squareRoot() * gamma[c] + beta[c]
            }
        case .activation(let activation):
            results[node.name] = x.mapped(x.channels, x.height, x.width) { activation.reference(x[$0, $1, $2]) }
        case .rowNormalization:
            let length = x.values.reduce(0) { $0 + $1 * $1 }.squareRoot()
            results[node.name] = x.mapped(x.channels, 1, 1) { c, _, _ in x[c, 0, 0] / length }
        case .channelScaling:
            let factors = results[node.inputs[1]] ?? image
            results[node.name] = x.mapped(x.channels, x.height, x.width) { x[$0, $1, $2] * factors[$0, 0, 0] }
        case .addition:
            let other = results[node.inputs[1]] ?? image
            results[node.name] = x.mapped(x.channels, x.height, x.width) { x[$0, $1, $2] + other[$0, $1, $2] }
        case .maxPooling(let window):
            results[node.name] = pooled(x, window) { $0.max() ?? 0 }
        case .averagePooling(let window, let countsPadding):
            results[node.name] = pooled(x, window) {
                $0.reduce(0, +) / Double(countsPadding ? window.height * window.width : $0.count)
            }
        case .globalAveragePooling:
            results[node.name] = x.mapped(x.channels, 1, 1) { c, _, _ in
                x.values[c * x.height * x.width..<(c + 1) * x.height * x.width].reduce(0, +)
                    / Double(x.height * x.width)
            }
        case .zeroPadding(let edges):
            results[node.name] = x.mapped(
                x.channels, x.height + edges.top + edges.bottom, x.width + edges.left + edges.right
            ) { c, y, xx in
                let (sy, sx) = (y - edges.top, xx - edges.left)
                return sy >= 0 && sy < x.height && sx >= 0 && sx < x.width ? x[c, sy, sx] : 0
            }
        case .subsampling(let step):
            results[node.name] = x.mapped(x.channels, (x.height + step - 1) / step, (x.width + step - 1) / step) {
                x[$0, $1 * step, $2 * step]
            }
        case .channelPadding(let before, let after):
            results[node.name] = x.mapped(before + x.channels + after, x.height, x.width) { c, y, xx in
                c >= before && c < before + x.channels ? x[c - before, y, xx] : 0
            }
        case .flatten:
            results[node.name] = x.mapped(x.channels * x.height * x.width, 1, 1) { index, _, _ in
                x[index % x.channels, index / x.channels / x.width, index / x.channels % x.width]
            }
        case .dense(let inputs, let outputs, let hasBias):
            let (weight, bias) = (tensor("weight"), tensor("bias"))
            results[node.name] = x.mapped(outputs, 1, 1) { output, _, _ in
                (0..<inputs).reduce(hasBias ? bias[output] : 0) { $0 + weight[output * inputs + $1] * x.values[$1] }
            }
        }
    }
    return results[output] ?? image
}

extension Activation {
    /// The definition.
    func reference(_ x: Double) -> Double {
        switch self {
        case .relu: max(x, 0)
        case .leakyReLU: x > 0 ? x : 0.01 * x
        case .elu: x > 0 ? x : expm1(x)
        case .selu: 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x))
        case .gelu: x * 0.5 * (1 + erf(x / 2.squareRoot()))
        case .geluTanh: x * 0.5 * (1 + Glibc.tanh(Self.bent(x)))
        case .quickGELU: x / (1 + exp(-1.702 * x))
        case .silu: x / (1 + exp(-x))
        case .relu6: min(max(x, 0), 6)
        case .hardSwish: x * min(max(x + 3, 0), 6) / 6
        case .hardSigmoid: min(max(x + 3, 0), 6) / 6
        case .tanh: Glibc.tanh(x)
        case .sigmoid: 1 / (1 + exp(-x))
        }
    }

    private static func bent(_ x: Double) -> Double { (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x) }

    /// Its derivative.
    func referenceSlope(_ x: Double) -> Double {
        switch self {
        case .relu: x > 0 ? 1 : 0
        case .leakyReLU: x > 0 ? 1 : 0.01
        case .elu: x > 0 ? 1 : exp(x)
        case .selu: 1.0507009873554805 * (x > 0 ? 1 : 1.6732632423543772 * exp(x))
        case .gelu: 0.5 * (1 + erf(x / 2.squareRoot())) + x * exp(-x * x / 2) / (2 * Double.pi).squareRoot()
        case .geluTanh:
            0.5 * (1 + Glibc.tanh(Self.bent(x)))
                + 0.5 * x / (Glibc.cosh(Self.bent(x)) * Glibc.cosh(Self.bent(x)))
                * (2 / Double.pi).squareRoot() * (1 + 3 * 0.044715 * x * x)
        case .quickGELU: reference(x) * 1.702 + (1 - 1.702 * reference(x)) / (1 + exp(-1.702 * x))
        case .silu: reference(x) + (1 - reference(x)) / (1 + exp(-x))
        case .relu6: x > 0 && x < 6 ? 1 : 0
        case .hardSwish: x <= -3 ? 0 : x >= 3 ? 1 : (2 * x + 3) / 6
        case .hardSigmoid: abs(x) < 3 ? 1.0 / 6 : 0
        case .tanh: 1 - Glibc.tanh(x) * Glibc.tanh(x)
        case .sigmoid: reference(x) * (1 - reference(x))
        }
    }
}

private func pooled(_ x: ReferenceValue, _ window: Window, _ combine: ([Double]) -> Double) -> ReferenceValue {
    let edges = window.edges(height: x.height, width: x.width)
    let size = window.output(height: x.height, width: x.width)
    return x.mapped(x.channels, size.height, size.width) { c, oy, ox in
        var inside: [Double] = []
        for ky in 0..<window.height {
            for kx in 0..<window.width {
                let (y, xx) = (oy * window.stride - edges.top + ky, ox * window.stride - edges.left + kx)
                if y >= 0, y < x.height, xx >= 0, xx < x.width { inside.append(x[c, y, xx]) }
            }
        }
        return combine(inside)
    }
}
