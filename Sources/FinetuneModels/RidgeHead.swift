// Ridge regression on the classes' indicators, ±1, in closed form: scikit-learn's RidgeClassifier.
//
// Its decision values order the classes well; softmax of them is no calibrated probability.

package import FinetuneEngine
internal import FinetuneFiles
internal import Glibc

/// Minimizes `Σ weight · ‖y − W·x − b‖² + α‖W‖²`.
package enum RidgeHead {
    /// The strengths that are tried, from 10⁻² to 10⁶.
    package static let strengths = (0..<9).map { pow(10, Double($0) - 2) }

    static func fit(_ problem: HeadProblem, _ progress: (Double, String) -> Void) -> DenseHead {
        var trials: [StrengthTrial] = []
        var chosen = 1.0
        if let folds = problem.folds {
            trials = StrengthSearch.run(problem, folds, strengths: strengths, progress: progress) {
                solve($0, strengths: strengths)
            }
            let best = trials.map(\.accuracy).max() ?? 0
            // Of equals the strongest regularization.
            chosen = trials.last { $0.accuracy >= best - 1e-12 }?.strength ?? chosen
        }
        let head = solve(problem, strengths: [chosen])[0]
        progress(1, "strength \(chosen)")
        return DenseHead(
            weight: head.weight, bias: head.bias,
            record: ["head": "ridge", "strength": .number(chosen), "cross_validation": trials.json])
    }

    /// The solution for each strength. Works with the smaller of XᵀX and XXᵀ, computed once.
    package static func solve(_ problem: HeadProblem, strengths: [Double]) -> [(weight: Tensor, bias: Tensor)] {
        let (n, d, classes) = (problem.count, problem.dimensions, problem.classCount)
        let weights = problem.labels.map { problem.classWeights[$0] }
        let sum = max(weights.reduce(0, +), 1e-300)
        var mean = [Double](repeating: 0, count: d)
        problem.features.forEachRow { row, x in
            let share = weights[row] / sum
            for column in x.indices { mean[column] += share * Double(x[column]) }
        }
        // Rows without the weighted mean, times the root of their weight.
        let centered = problem.features.mapRows { row, x, out in
            let root = weights[row].squareRoot()
            for column in x.indices { out[column] = Float(root * (Double(x[column]) - mean[column])) }
        }
        var targetMean = [Double](repeating: 0, count: classes)
        for (label, weight) in zip(problem.labels, weights) {
            for k in 0..<classes { targetMean[k] += (k == label ? weight : -weight) / sum }
        }
        var targets = [Float](repeating: 0, count: n * classes)
        for (row, label) in problem.labels.enumerated() {
            for k in 0..<classes {
                targets[row * classes + k] = Float(weights[row].squareRoot() * ((k == label ? 1 : -1) - targetMean[k]))
            }
        }
        let isPrimal = d <= n
        let size = isPrimal ? d : n
        let gram = LinearAlgebra.gram(centered, ofColumns: isPrimal)
        var right = [Float](repeating: 0, count: classes * size)
        if isPrimal {
            LinearAlgebra.multiplyTransposed(targets, centered, m: classes, into: &right)
        } else {
            for row in 0..<n { for k in 0..<classes { right[k * n + row] = targets[row * classes + k] } }
        }
        return strengths.map { strength in
            var system = gram.map { Double($0) }
            for index in 0..<size { system[index * size + index] += strength }
            let solution = LinearAlgebra.solve(system, right.map { Double($0) }, n: size, count: classes)
            var weight = (solution ?? []).map { Float($0) }
            if weight.isEmpty { weight = [Float](repeating: 0, count: classes * size) }  // Features without any variance.
            if !isPrimal {
                // W = Aᵀ·X from the dual solution A `[classes, n]`.
                var primal = [Float](repeating: 0, count: classes * d)
                let dual = (0..<n).flatMap { row in (0..<classes).map { weight[$0 * n + row] } }
                LinearAlgebra.multiplyTransposed(dual, centered, m: classes, into: &primal)
                weight = primal
            }
            let bias = (0..<classes).map { k in
                Float(targetMean[k] - (0..<d).reduce(0) { $0 + Double(weight[k * d + $1]) * mean[$1] })
            }
            return (Tensor(shape: [classes, d], values: weight), Tensor(shape: [classes], values: bias))
        }
    }
}
