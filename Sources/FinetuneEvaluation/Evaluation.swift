// How good predictions are: numbers in, verdicts out. Nothing here knows how the predictions were made.

package import FinetuneFiles
internal import Glibc

/// The scores of probabilities against the truth.
public struct Evaluation: Sendable {
    public let classes: [String]
    public let labels: [Int]
    /// One row an image, one column a class.
    public let probabilities: [[Double]]
    /// The most probable class of each image; the first of equals.
    public let predictions: [Int]

    /// - Parameters:
    ///   - probabilities: Shape `[images][classes]`, rows sum to 1.
    ///   - labels: 0..<classes.count.
    package init(probabilities: [[Double]], labels: [Int], classes: [String]) {
        precondition(
            probabilities.count == labels.count, "\(probabilities.count) predictions got \(labels.count) labels")
        self.probabilities = probabilities
        self.labels = labels
        self.classes = classes
        predictions = probabilities.map(\.indexOfLargest)
    }

    public var count: Int { labels.count }

    /// How many predictions are right.
    public var hits: Int { zip(predictions, labels).count { $0 == $1 } }

    public var accuracy: Double { count == 0 ? .nan : Double(hits) / Double(count) }

    /// The 95 % interval of the accuracy (Wilson 1927): statsmodels' `proportion_confint(method='wilson')`.
    public var accuracyInterval: ClosedRange<Double> { Interval.wilson(hits, of: count) }

    /// The share of images whose label is among the `k` most probable classes.
    public func topAccuracy(_ k: Int) -> Double {
        let hits = zip(probabilities, labels).count { row, label in
            row.indices.count { row[$0] > row[label] || (row[$0] == row[label] && $0 < label) } < k
        }
        return count == 0 ? .nan : Double(hits) / Double(count)
    }

    /// The mean of −ln p(label), probabilities no smaller than 2⁻⁵²: scikit-learn's `log_loss`.
    public var logLoss: Double {
        let sum = zip(probabilities, labels).reduce(0) { $0 - log(max($1.0[$1.1], 0x1p-52)) }
        return count == 0 ? .nan : sum / Double(count)
    }

    /// The mean over classes that occur, in truth or prediction, of F1: scikit-learn's `f1_score(average='macro')`.
    public var macroF1: Double {
        let scores = perClass.filter { $0.support > 0 || $0.predicted > 0 }.map(\.f1)
        return scores.isEmpty ? .nan : scores.reduce(0, +) / Double(scores.count)
    }

    /// Expected calibration error over 15 bins of equal width (Guo et al. 2017): torchmetrics'
    /// `MulticlassCalibrationError(n_bins=15, norm='l1')`.
    public var calibrationError: Double {
        let bins = 15
        var confidence = [Double](repeating: 0, count: bins)
        var correct = [Double](repeating: 0, count: bins)
        for (index, row) in probabilities.enumerated() {
            let value = row[predictions[index]]
            let bin = min(bins - 1, max(0, Int((value * Double(bins)).rounded(.up)) - 1))
            confidence[bin] += value
            correct[bin] += predictions[index] == labels[index] ? 1 : 0
        }
        let gap = zip(confidence, correct).reduce(0) { $0 + abs($1.0 - $1.1) }
        return count == 0 ? .nan : gap / Double(count)
    }

    /// Rows are the truth, columns the predictions.
    public var confusion: [[Int]] {
        var matrix = [[Int]](repeating: [Int](repeating: 0, count: classes.count), count: classes.count)
        for (label, prediction) in zip(labels, predictions) { matrix[label][prediction] += 1 }
        return matrix
    }

    /// One class's scores. A ratio without cases is 0.
    public struct ClassScore: Sendable {
        public let name: String
        public let precision: Double
        public let recall: Double
        public let f1: Double
        /// Images of the class.
        public let support: Int
        /// Images predicted to be of the class.
        public let predicted: Int
    }

    public var perClass: [ClassScore] {
        let matrix = confusion
        return classes.indices.map { k in
            let hits = Double(matrix[k][k])
            let support = matrix[k].reduce(0, +)
            let predicted = matrix.reduce(0) { $0 + $1[k] }
            func ratio(_ part: Double, _ whole: Double) -> Double { whole > 0 ? part / whole : 0 }
            return ClassScore(
                name: classes[k], precision: ratio(hits, Double(predicted)), recall: ratio(hits, Double(support)),
                f1: ratio(2 * hits, Double(predicted + support)), support: support, predicted: predicted)
        }
    }
}

/// Intervals of proportions.
package enum Interval {
    /// Wilson's score interval at 95 %.
    package static func wilson(_ hits: Int, of count: Int) -> ClosedRange<Double> {
        guard count > 0 else { return 0...1 }
        let (n, p, z) = (Double(count), Double(hits) / Double(count), 1.959963984540054)
        let center = (p + z * z / (2 * n)) / (1 + z * z / n)
        let half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)).squareRoot()
        return max(0, center - half)...min(1, center + half)
    }
}

// MARK: - As files

extension Evaluation {
    /// The scores under the names of the command's contract.
    package var json: JSON {
        [
            "accuracy": .number(accuracy),
            "accuracy_ci": JSON([accuracyInterval.lowerBound, accuracyInterval.upperBound]),
            "top5": .number(topAccuracy(min(5, classes.count))), "macro_f1": .number(macroF1),
            "log_loss": .number(logLoss), "ece": .number(calibrationError),
        ]
    }

    package var perClassJSON: JSON {
        .array(
            perClass.map {
                [
                    "class": .string($0.name), "precision": .number($0.precision), "recall": .number($0.recall),
                    "f1": .number($0.f1), "support": .integer($0.support),
                ]
            })
    }

    /// The confusion matrix: a header of predicted classes, a row for each true class.
    package var confusionCSV: String {
        CSV.line(["true \\ predicted"] + classes)
            + zip(classes, confusion).map { CSV.line([$0] + $1.map { String($0) }) }.joined()
    }
}

extension [Double] {
    /// The index of the largest value, the first of equals; 0 where there is none.
    package var indexOfLargest: Int { indices.max { self[$0] < self[$1] || (self[$0] == self[$1] && $0 > $1) } ?? 0 }
}
