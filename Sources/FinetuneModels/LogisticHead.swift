// Multinomial logistic regression with L2, to its optimum: scikit-learn's LogisticRegressionCV on the same features.

internal import FinetuneEngine
internal import FinetuneFiles
internal import Glibc

/// Minimizes `C · Σ weight · loss + ½‖W‖²`, intercepts free.
package enum LogisticHead {
    /// The strengths that are tried: seven, from 10⁻⁵ to 10.
    package static let strengths = (0..<7).map { pow(10, Double($0) - 5) }

    static func fit(_ problem: HeadProblem, _ progress: (Double, String) -> Void) -> DenseHead {
        var trials: [StrengthTrial] = []
        var chosen = 1.0
        if let folds = problem.folds {
            trials = StrengthSearch.run(problem, folds, strengths: strengths, progress: progress) { training in
                var start: [Double]?
                return strengths.map { strength in
                    let optimum = solve(training, strength: strength, from: start)
                    start = optimum.x
                    return split(optimum.x, training)
                }
            }
            // Of equals the strongest regularization, as LogisticRegressionCV's argmax picks it.
            let best = trials.map(\.accuracy).max() ?? 0
            chosen = trials.first { $0.accuracy >= best - 1e-12 }?.strength ?? chosen
        }
        let optimum = solve(problem, strength: chosen, from: nil)
        progress(1, "strength \(chosen)")
        let (weight, bias) = split(optimum.x, problem)
        return DenseHead(
            weight: weight, bias: bias,
            record: [
                "head": "logistic", "strength": .number(chosen), "iterations": .integer(optimum.iterations),
                "objective": .number(optimum.value * Double(problem.count) * chosen), "cross_validation": trials.json,
            ])
    }

    /// The probabilities of each sample by heads that were fitted without its fold.
    ///
    /// - Parameter strength: Of those heads.
    /// - Returns: Shape `[samples][classes]`.
    package static func heldOut(_ problem: HeadProblem, _ folds: [Int], strength: Double, threads: Int) -> [[Double]] {
        LinearAlgebra.withThreads(threads) {
            var rows = [[Double]](repeating: [], count: problem.count)
            for fold in 0...(folds.max() ?? 0) {
                let (training, held) = problem.split(fold: fold, folds)
                guard training.count > 0, held.count > 0 else { continue }
                let head = split(solve(training, strength: strength, from: nil).x, training)
                let found = Softmax.probabilities(held.features.dense(weight: head.weight, bias: head.bias))
                let places = folds.indices.filter { folds[$0] == fold }
                for (place, row) in zip(places, found) { rows[place] = row }
            }
            return rows
        }
    }

    /// The optimum for one strength: `[classes · features]` weights, then `[classes]` intercepts.
    ///
    /// With two classes the penalty counts twice, which makes softmax's probabilities those of binomial regression.
    package static func solve(_ problem: HeadProblem, strength: Double, from start: [Double]?) -> LBFGS.Result {
        var loss = LogisticLoss(
            problem, penalty: (problem.classCount == 2 ? 2 : 1) / (strength * Double(problem.count)))
        return LBFGS().minimize(from: start ?? [Double](repeating: 0, count: loss.parameterCount)) {
            loss.evaluate($0, &$1)
        }
    }

    private static func split(_ x: [Double], _ problem: HeadProblem) -> (weight: Tensor, bias: Tensor) {
        let count = problem.classCount * problem.dimensions
        return (
            Tensor(shape: [problem.classCount, problem.dimensions], values: x[..<count].map { Float($0) }),
            Tensor(shape: [problem.classCount], values: x[count...].map { Float($0) })
        )
    }
}

/// The mean loss with its penalty and gradient.
struct LogisticLoss {
    private let problem: HeadProblem
    private let penalty: Double
    private var weights: [Float]
    private var logits: [Float]
    private var product: [Float]

    /// - Parameter penalty: The factor of `½‖W‖²` beside the mean of the losses.
    init(_ problem: HeadProblem, penalty: Double) {
        self.problem = problem
        self.penalty = penalty
        weights = [Float](repeating: 0, count: problem.classCount * problem.dimensions)
        logits = [Float](repeating: 0, count: problem.count * problem.classCount)
        product = weights
    }

    var parameterCount: Int { problem.classCount * (problem.dimensions + 1) }

    mutating func evaluate(_ x: [Double], _ gradient: inout [Double]) -> Double {
        let (classes, count) = (problem.classCount, problem.count)
        let size = classes * problem.dimensions
        for index in 0..<size { weights[index] = Float(x[index]) }
        var loss = 0.0
        var biasGradient = [Double](repeating: 0, count: classes)
        let factor = 1 / Double(count)
        LinearAlgebra.multiply(problem.features, weights, columns: classes, into: &logits)
        // Logits become (probability − truth)/count in place.
        var row = [Double](repeating: 0, count: classes)
        for sample in 0..<count {
            let start = sample * classes
            var largest = -Double.infinity
            for k in 0..<classes {
                row[k] = Double(logits[start + k]) + x[size + k]
                largest = max(largest, row[k])
            }
            let own = row[problem.labels[sample]]
            var sum = 0.0
            for k in 0..<classes {
                row[k] = exp(row[k] - largest)
                sum += row[k]
            }
            let weight = problem.classWeights[problem.labels[sample]]
            loss += weight * (log(sum) + largest - own)
            for k in 0..<classes {
                let residual = (row[k] / sum - (k == problem.labels[sample] ? 1 : 0)) * weight * factor
                biasGradient[k] += residual
                logits[start + k] = Float(residual)
            }
        }
        LinearAlgebra.multiplyTransposed(logits, problem.features, m: classes, into: &product)
        var square = 0.0
        for index in 0..<size {
            square += x[index] * x[index]
            gradient[index] = Double(product[index]) + penalty * x[index]
        }
        for k in 0..<classes { gradient[size + k] = biasGradient[k] }
        return loss * factor + penalty * square / 2
    }
}
