// The plain meaning of one step of training: forward and backward of every operation, side by side, in double precision.

import FinetuneEngine
import Glibc

/// Loss, logits, gradients and batch statistics of a batch of images, by reverse-mode differentiation.
struct ReferenceTraining {
    /// The mean over the batch of the cross-entropy of softmax(logits).
    private(set) var loss = 0.0
    private(set) var logits: [[Double]] = []
    /// By tensor name.
    private(set) var gradients: [String: [Double]] = [:]
    /// Mean and biased variance of the batch, by live batch norm.
    private(set) var statistics: [String: (mean: [Double], variance: [Double])] = [:]

    private let weights: [String: [Double]]
    private let live: Set<String>
    private var values: [String: [ReferenceValue]]
    private var slopes: [String: [ReferenceValue]] = [:]
    private var tape: [(inout ReferenceTraining) -> Void] = []

    /// - Parameters:
    ///   - live: Batch norms that use the batch's own statistics.
    ///   - targets: `[image][class]`, rows sum to 1.
    init(
        _ network: Network, _ weights: [String: [Double]], live: Set<String>, images: [ReferenceValue],
        targets: [[Double]]
    ) {
        self.weights = weights
        self.live = live
        values = [Node.image: images]
        for node in network.nodes { forward(node) }
        let output = network.nodes.last?.name ?? Node.image
        var seeds: [ReferenceValue] = []
        for (z, target) in zip(values[output] ?? [], targets) {
            let largest = z.values.max() ?? 0
            let sum = z.values.reduce(0) { $0 + exp($1 - largest) }
            loss -= zip(z.values, target).reduce(0) { $0 + $1.1 * ($1.0 - largest - log(sum)) } / Double(images.count)
            logits.append(z.values)
            var seed = z
            for k in target.indices {
                seed.values[k] = (exp(z.values[k] - largest) / sum - target[k]) / Double(images.count)
            }
            seeds.append(seed)
        }
        slopes[output] = seeds
        while let backward = tape.popLast() { backward(&self) }
    }

    private func tensor(_ name: String) -> [Double] { weights[name] ?? [] }

    private mutating func contribute(_ dx: [ReferenceValue], to name: String) {
        guard let old = slopes[name] else {
            slopes[name] = dx
            return
        }
        slopes[name] = zip(old, dx).map { a, b in
            var sum = a
            for index in sum.values.indices { sum.values[index] += b.values[index] }
            return sum
        }
    }

    private mutating func forward(_ node: Node) {
        let name = node.name
        let input = node.inputs[0]
        let x = values[input] ?? []
        switch node.operation {
        case .convolution(let convolution): convolve(node, convolution, x)
        case .batchNormalization(let normalization): normalize(node, normalization, x)
        case .activation(let activation):
            push(name, x.map { $0.mapped(activation.reference) }) { step, dy in
                step.contribute(
                    zip(x, dy).map { x, dy in x.combined(dy) { activation.referenceSlope($0) * $1 } }, to: input)
            }
        case .rowNormalization:
            let lengths = x.map { $0.values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
            let y = zip(x, lengths).map { x, length in x.mapped { $0 / length } }
            push(name, y) { step, dy in
                step.contribute(
                    zip(zip(y, dy), lengths).map { pair, length in
                        let along = zip(pair.0.values, pair.1.values).reduce(0) { $0 + $1.0 * $1.1 }
                        return pair.0.combined(pair.1) { ($1 - $0 * along) / length }
                    }, to: input)
            }
        case .addition:
            let other = values[node.inputs[1]] ?? []
            push(name, zip(x, other).map { $0.combined($1, +) }) { step, dy in
                step.contribute(dy, to: input)
                step.contribute(dy, to: node.inputs[1])
            }
        case .channelScaling:
            let factors = values[node.inputs[1]] ?? []
            func scaled(_ images: [ReferenceValue]) -> [ReferenceValue] {
                zip(images, factors).map { x, s in
                    x.mapped(x.channels, x.height, x.width) { x[$0, $1, $2] * s[$0, 0, 0] }
                }
            }
            push(name, scaled(x)) { step, dy in
                step.contribute(scaled(dy), to: input)
                step.contribute(
                    zip(zip(x, dy), factors).map { pair, s in
                        s.mapped(s.channels, 1, 1) { c, _, _ in
                            let size = pair.0.height * pair.0.width
                            return (c * size..<(c + 1) * size).reduce(0) { $0 + pair.0.values[$1] * pair.1.values[$1] }
                        }
                    }, to: node.inputs[1])
            }
        case .maxPooling(let window):
            slide(name, input, x, window) { taps, x in
                // The gradient goes to the first maximum in row-major order.
                guard
                    let best = taps.max(by: { x.values[$0] < x.values[$1] || (x.values[$0] == x.values[$1] && $0 > $1) }
                    )
                else { return [] }
                return [(best, 1)]
            }
        case .averagePooling(let window, let countsPadding):
            slide(name, input, x, window) { taps, _ in
                let factor = 1 / Double(countsPadding ? window.height * window.width : taps.count)
                return taps.map { ($0, factor) }
            }
        case .globalAveragePooling:
            move(name, input, x, { ($0.channels, 1, 1) }) { x, c, _, _ in
                let size = x.height * x.width
                return (c * size..<(c + 1) * size).map { ($0, 1 / Double(size)) }
            }
        case .zeroPadding(let edges):
            move(
                name, input, x,
                { ($0.channels, $0.height + edges.top + edges.bottom, $0.width + edges.left + edges.right) }
            ) {
                x, c, y, xx in x.index(c, y - edges.top, xx - edges.left).map { [($0, 1)] } ?? []
            }
        case .subsampling(let step):
            move(name, input, x, { ($0.channels, ($0.height + step - 1) / step, ($0.width + step - 1) / step) }) {
                x, c, y, xx in x.index(c, y * step, xx * step).map { [($0, 1)] } ?? []
            }
        case .channelPadding(let before, let after):
            move(name, input, x, { (before + $0.channels + after, $0.height, $0.width) }) { x, c, y, xx in
                c >= before && c < before + x.channels ? x.index(c - before, y, xx).map { [($0, 1)] } ?? [] : []
            }
        case .flatten:
            move(name, input, x, { ($0.channels * $0.height * $0.width, 1, 1) }) { x, place, _, _ in
                let (c, pixel) = (place % x.channels, place / x.channels)
                return [(c * x.height * x.width + pixel, 1)]
            }
        case .dense(let inputs, let outputs, let hasBias):
            let (weight, bias) = (tensor("\(name).weight"), tensor("\(name).bias"))
            let y = x.map { x in
                ReferenceValue(outputs, 1, 1).mapped(outputs, 1, 1) { k, _, _ in
                    (0..<inputs).reduce(hasBias ? bias[k] : 0) { $0 + weight[k * inputs + $1] * x.values[$1] }
                }
            }
            push(name, y) { step, dy in
                var dw = [Double](repeating: 0, count: weight.count)
                var db = [Double](repeating: 0, count: outputs)
                let dx = zip(x, dy).map { x, dy in
                    var dx = x.mapped { _ in 0 }
                    for k in 0..<outputs {
                        db[k] += dy.values[k]
                        for i in 0..<inputs {
                            dw[k * inputs + i] += dy.values[k] * x.values[i]
                            dx.values[i] += dy.values[k] * weight[k * inputs + i]
                        }
                    }
                    return dx
                }
                step.gradients["\(name).weight"] = dw
                if hasBias { step.gradients["\(name).bias"] = db }
                step.contribute(dx, to: input)
            }
        }
    }

    /// Keeps a node's values, and what turns its slopes into those of its inputs.
    private mutating func push(
        _ name: String, _ y: [ReferenceValue], _ backward: @escaping (inout ReferenceTraining, [ReferenceValue]) -> Void
    ) {
        values[name] = y
        tape.append { step in
            if let dy = step.slopes[name] { backward(&step, dy) }
        }
    }

    /// An operation whose every output is a sum of inputs with fixed factors.
    private mutating func move(
        _ name: String, _ input: String, _ x: [ReferenceValue], _ shape: (ReferenceValue) -> (Int, Int, Int),
        _ terms: @escaping (ReferenceValue, Int, Int, Int) -> [(index: Int, factor: Double)]
    ) {
        let y = x.map { x in
            let (channels, height, width) = shape(x)
            return x.mapped(channels, height, width) { c, row, column in
                terms(x, c, row, column).reduce(0) { $0 + x.values[$1.index] * $1.factor }
            }
        }
        push(name, y) { step, dy in
            step.contribute(
                zip(x, dy).map { x, dy in
                    var dx = x.mapped { _ in 0 }
                    for c in 0..<dy.channels {
                        for row in 0..<dy.height {
                            for column in 0..<dy.width {
                                for term in terms(x, c, row, column) {
                                    dx.values[term.index] += dy[c, row, column] * term.factor
                                }
                            }
                        }
                    }
                    return dx
                }, to: input)
        }
    }

    /// A pooling: the terms of an output, given the places of its window inside the image.
    private mutating func slide(
        _ name: String, _ input: String, _ x: [ReferenceValue], _ window: Window,
        _ terms: @escaping ([Int], ReferenceValue) -> [(index: Int, factor: Double)]
    ) {
        move(
            name, input, x,
            {
                (
                    $0.channels, window.output(height: $0.height, width: $0.width).height,
                    window.output(height: $0.height, width: $0.width).width
                )
            }
        ) {
            x, c, row, column in
            let edges = window.edges(height: x.height, width: x.width)
            var taps: [Int] = []
            for ky in 0..<window.height {
                for kx in 0..<window.width {
                    if let index = x.index(
                        c, row * window.stride - edges.top + ky, column * window.stride - edges.left + kx)
                    {
                        taps.append(index)
                    }
                }
            }
            return terms(taps, x)
        }
    }

    private mutating func convolve(_ node: Node, _ convolution: Convolution, _ x: [ReferenceValue]) {
        let window = convolution.window
        let weight = tensor("\(node.name).weight")
        let bias = tensor("\(node.name).bias")
        let (inputs, outputs) = (convolution.channels / convolution.groups, convolution.filters / convolution.groups)
        /// Calls `body` with the places in filters and image of every product of one output.
        func taps(_ x: ReferenceValue, _ f: Int, _ oy: Int, _ ox: Int, _ body: (_ weight: Int, _ input: Int) -> Void) {
            let edges = window.edges(height: x.height, width: x.width)
            for c in 0..<inputs {
                for ky in 0..<window.height {
                    for kx in 0..<window.width {
                        let y = oy * window.stride - edges.top + ky * window.dilation
                        let xx = ox * window.stride - edges.left + kx * window.dilation
                        guard let index = x.index(f / outputs * inputs + c, y, xx) else { continue }
                        body(((f * inputs + c) * window.height + ky) * window.width + kx, index)
                    }
                }
            }
        }
        let y = x.map { x in
            let size = window.output(height: x.height, width: x.width)
            return x.mapped(convolution.filters, size.height, size.width) { f, oy, ox in
                var sum = convolution.hasBias ? bias[f] : 0
                taps(x, f, oy, ox) { sum += weight[$0] * x.values[$1] }
                return sum
            }
        }
        push(node.name, y) { step, dy in
            var dw = [Double](repeating: 0, count: weight.count)
            var db = [Double](repeating: 0, count: convolution.filters)
            let dx = zip(x, dy).map { x, dy in
                var dx = x.mapped { _ in 0 }
                for f in 0..<dy.channels {
                    for oy in 0..<dy.height {
                        for ox in 0..<dy.width {
                            let slope = dy[f, oy, ox]
                            db[f] += slope
                            taps(x, f, oy, ox) {
                                dw[$0] += slope * x.values[$1]
                                dx.values[$1] += slope * weight[$0]
                            }
                        }
                    }
                }
                return dx
            }
            step.gradients["\(node.name).weight"] = dw
            if convolution.hasBias { step.gradients["\(node.name).bias"] = db }
            step.contribute(dx, to: node.inputs[0])
        }
    }

    private mutating func normalize(_ node: Node, _ normalization: BatchNormalization, _ x: [ReferenceValue]) {
        let gamma = tensor("\(node.name).weight")
        let beta = tensor("\(node.name).bias")
        let isLive = live.contains(node.name)
        var mean = tensor("\(node.name).running_mean")
        var variance = tensor("\(node.name).running_var")
        let size = (x.first?.height ?? 0) * (x.first?.width ?? 0)
        let count = Double(size * x.count)
        func sum(_ c: Int, _ term: (Int, Int) -> Double) -> Double {
            x.indices.reduce(0) { total, image in
                (c * size..<(c + 1) * size).reduce(total) { $0 + term(image, $1) }
            }
        }
        if isLive {
            for c in mean.indices {
                mean[c] = sum(c) { x[$0].values[$1] } / count
                variance[c] = sum(c) { (x[$0].values[$1] - mean[c]) * (x[$0].values[$1] - mean[c]) } / count
            }
            statistics[node.name] = (mean, variance)
        }
        let inverse = variance.map { 1 / ($0 + normalization.epsilon).squareRoot() }
        let normalized = x.map { x in
            x.mapped(x.channels, x.height, x.width) { c, y, xx in (x[c, y, xx] - mean[c]) * inverse[c] }
        }
        let y = normalized.map { n in n.mapped(n.channels, n.height, n.width) { n[$0, $1, $2] * gamma[$0] + beta[$0] } }
        push(node.name, y) { step, dy in
            let db = beta.indices.map { c in sum(c) { dy[$0].values[$1] } }
            let dg = beta.indices.map { c in sum(c) { dy[$0].values[$1] * normalized[$0].values[$1] } }
            step.gradients["\(node.name).weight"] = dg
            step.gradients["\(node.name).bias"] = db
            step.contribute(
                zip(dy, normalized).map { dy, n in
                    dy.mapped(dy.channels, dy.height, dy.width) { c, y, xx in
                        let own = isLive ? dy[c, y, xx] - db[c] / count - n[c, y, xx] * dg[c] / count : dy[c, y, xx]
                        return own * gamma[c] * inverse[c]
                    }
                }, to: node.inputs[0])
        }
    }
}

extension ReferenceValue {
    fileprivate func mapped(_ value: (Double) -> Double) -> ReferenceValue {
        var result = self
        for index in values.indices { result.values[index] = value(values[index]) }
        return result
    }

    fileprivate func combined(_ other: ReferenceValue, _ value: (Double, Double) -> Double) -> ReferenceValue {
        var result = self
        for index in values.indices { result.values[index] = value(values[index], other.values[index]) }
        return result
    }

    /// The place of a pixel; nil outside the image.
    fileprivate func index(_ channel: Int, _ y: Int, _ x: Int) -> Int? {
        y >= 0 && y < height && x >= 0 && x < width ? (channel * height + y) * width + x : nil
    }
}
