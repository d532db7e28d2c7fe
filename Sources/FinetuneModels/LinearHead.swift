// Softmax regression by stochastic gradient descent with momentum, as torch.optim.SGD counts it.

internal import FinetuneEngine
internal import FinetuneFiles
internal import Glibc

/// A linear head that learns by small steps from zero.
package enum LinearHead {
    /// `v = momentum·v + g`, `w = w − rate·v`, the rate falling by half a cosine from step to step.
    package static func fit(_ problem: HeadProblem, _ settings: LinearSettings, _ progress: (Double, String) -> Void)
        -> DenseHead
    {
        let (n, d, classes) = (problem.count, problem.dimensions, problem.classCount)
        let size = classes * d
        var weight = [Float](repeating: 0, count: size)
        var bias = [Float](repeating: 0, count: classes)
        var (weightVelocity, biasVelocity) = (weight, bias)
        var losses: [Double] = []
        let steps = settings.epochs * ((n + settings.batch - 1) / settings.batch)
        var step = 0
        for epoch in 0..<settings.epochs {
            var order = Array(0..<n)
            var random = RandomNumbers(seed: settings.seed, stream: UInt64(epoch))
            order.shuffle(using: &random)
            var sum = 0.0
            for start in stride(from: 0, to: n, by: settings.batch) {
                let rows = Array(order[start..<min(start + settings.batch, n)])
                let rate = Float(settings.learningRate * (1 + cos(.pi * Double(step) / Double(max(steps, 1)))) / 2)
                step += 1
                var gradient = [Float](repeating: 0, count: size)
                var biasGradient = [Float](repeating: 0, count: classes)
                let x = problem.features.rows(rows)
                var residuals = [Float](repeating: 0, count: rows.count * classes)
                x.withUnsafeBufferPointer { x in
                    guard let x = x.baseAddress else { return }
                    LinearAlgebra.multiply(x, weight, rows: rows.count, inner: d, columns: classes, into: &residuals)
                    for (row, sample) in rows.enumerated() {
                        let logits = (0..<classes).map { Double(residuals[row * classes + $0] + bias[$0]) }
                        let largest = logits.max() ?? 0
                        let total = logits.reduce(0) { $0 + exp($1 - largest) }
                        sum += log(total) + largest - logits[problem.labels[sample]]
                        for k in 0..<classes {
                            let residual = Float(
                                (exp(logits[k] - largest) / total - (k == problem.labels[sample] ? 1 : 0))
                                    / Double(rows.count))
                            residuals[row * classes + k] = residual
                            biasGradient[k] += residual
                        }
                    }
                    LinearAlgebra.multiplyTransposed(residuals, x, rows: rows.count, m: classes, n: d, into: &gradient)
                }
                let (momentum, l2) = (Float(settings.momentum), Float(settings.l2))
                for index in 0..<size {
                    weightVelocity[index] = momentum * weightVelocity[index] + gradient[index] + l2 * weight[index]
                    weight[index] -= rate * weightVelocity[index]
                }
                for k in 0..<classes {
                    biasVelocity[k] = momentum * biasVelocity[k] + biasGradient[k]
                    bias[k] -= rate * biasVelocity[k]
                }
            }
            losses.append(sum / Double(max(n, 1)))
            progress(Double(epoch + 1) / Double(settings.epochs), "epoch \(epoch + 1), loss \(losses[epoch])")
        }
        return DenseHead(
            weight: Tensor(shape: [classes, d], values: weight), bias: Tensor(shape: [classes], values: bias),
            record: [
                "head": "linear", "epochs": .integer(settings.epochs), "batch": .integer(settings.batch),
                "learning_rate": .number(settings.learningRate), "momentum": .number(settings.momentum),
                "l2": .number(settings.l2), "losses": JSON(losses),
            ])
    }
}
