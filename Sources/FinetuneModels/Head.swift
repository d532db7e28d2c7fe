// Heads: what is trained on the features of the frozen part, and how.

package import FinetuneEngine
package import FinetuneFiles
internal import Glibc

/// A linear classifier on raw features.
package struct DenseHead: Sendable {
    /// Shape `[classes, features]`.
    package var weight: Tensor
    /// Shape `[classes]`.
    package var bias: Tensor
    /// How it was fitted, for the record.
    package var record: JSON

    package init(weight: Tensor, bias: Tensor, record: JSON) {
        self.weight = weight
        self.bias = bias
        self.record = record
    }
}

/// Training features with all that fitting a head needs.
package struct HeadProblem: Sendable {
    /// Shape `[images, features]`, scaled.
    package var features: Tensor
    /// 0..<classCount.
    package var labels: [Int]
    package var classCount: Int
    /// How much an image of each class counts.
    package var classWeights: [Double]
    /// The fold of each image for choosing the strength; nil where there are too few images to choose.
    package var folds: [Int]?

    /// - Parameter classWeights: Nil for 1 each.
    package init(
        features: Tensor, labels: [Int], classCount: Int, classWeights: [Double]? = nil, folds: [Int]?
    ) {
        self.features = features
        self.classWeights = classWeights ?? [Double](repeating: 1, count: classCount)
        self.labels = labels
        self.classCount = classCount
        self.folds = folds
    }

    var count: Int { features.shape[0] }
    var dimensions: Int { features.shape[1] }

    /// The part of the problem with or without one fold.
    func split(fold: Int, _ folds: [Int]) -> (training: HeadProblem, held: HeadProblem) {
        func part(_ isIncluded: (Int) -> Bool) -> HeadProblem {
            let rows = labels.indices.filter { isIncluded(folds[$0]) }
            return HeadProblem(
                features: features.rows(rows), labels: rows.map { labels[$0] }, classCount: classCount,
                classWeights: classWeights, folds: nil)
        }
        return (part { $0 != fold }, part { $0 == fold })
    }
}

/// One try of cross-validation.
package struct StrengthTrial: Sendable {
    /// scikit-learn's `C` for logistic regression, `alpha` for ridge.
    package var strength: Double
    package var accuracy: Double
    package var logLoss: Double
}

/// Heads that have one best answer, which is found.
public enum ConvexHead: String, Sendable, CaseIterable {
    /// Multinomial logistic regression to its optimum, the strength of L2 chosen by cross-validation: scikit-learn's
    /// `LogisticRegressionCV`.
    case logistic
    /// Ridge regression on the classes' indicators in closed form, the strength chosen likewise: scikit-learn's
    /// `RidgeClassifier`.
    case ridge

    /// Fits a head.
    ///
    /// - Parameter progress: Told how much is done, 0 to 1, with a word on what happened.
    package func fit(_ problem: HeadProblem, threads: Int, progress: (Double, String) -> Void) -> DenseHead {
        LinearAlgebra.withThreads(threads) {
            switch self {
            case .logistic: LogisticHead.fit(problem, progress)
            case .ridge: RidgeHead.fit(problem, progress)
            }
        }
    }
}

/// Cross-validation over a list of strengths.
enum StrengthSearch {
    /// - Parameter fit: Weight `[classes, features]` and bias `[classes]` for each strength, in order.
    static func run(
        _ problem: HeadProblem, _ folds: [Int], strengths: [Double], progress: (Double, String) -> Void,
        fit: (HeadProblem) -> [(weight: Tensor, bias: Tensor)]
    ) -> [StrengthTrial] {
        var trials = strengths.map { StrengthTrial(strength: $0, accuracy: 0, logLoss: 0) }
        let count = (folds.max() ?? 0) + 1
        for fold in 0..<count {
            let (training, held) = problem.split(fold: fold, folds)
            guard held.count > 0, training.count > 0 else { continue }
            for (index, head) in fit(training).enumerated() {
                let logits = held.features.dense(weight: head.weight, bias: head.bias)
                let score = Softmax.score(logits, labels: held.labels)
                trials[index].accuracy += score.accuracy / Double(count)
                trials[index].logLoss += score.logLoss / Double(count)
            }
            progress(Double(fold + 1) / Double(count + 1), "fold \(fold + 1) of \(count)")
        }
        return trials
    }
}

extension [StrengthTrial] {
    var json: JSON {
        .array(
            map {
                ["strength": .number($0.strength), "accuracy": .number($0.accuracy), "log_loss": .number($0.logLoss)]
            })
    }
}

/// Softmax of rows of logits, in double precision.
package enum Softmax {
    /// Probabilities, shape `[rows, classes]` like the logits.
    package static func probabilities(_ logits: Tensor) -> [[Double]] {
        let classes = logits.shape[1]
        let values = logits.values
        return (0..<logits.shape[0]).map { row in
            let logits = values[row * classes..<(row + 1) * classes].map { Double($0) }
            let largest = logits.max() ?? 0
            let powers = logits.map { exp($0 - largest) }
            let sum = powers.reduce(0, +)
            return powers.map { $0 / sum }
        }
    }

    /// The share of rows whose largest logit is the label's, and the mean of −ln p(label).
    static func score(_ logits: Tensor, labels: [Int]) -> (accuracy: Double, logLoss: Double) {
        var (hits, loss) = (0, 0.0)
        for (row, label) in zip(probabilities(logits), labels) {
            if row.firstIndex(of: row.max() ?? 0) == label { hits += 1 }
            loss -= log(max(row[label], 0x1p-1022))
        }
        return (Double(hits) / Double(max(labels.count, 1)), loss / Double(max(labels.count, 1)))
    }
}
