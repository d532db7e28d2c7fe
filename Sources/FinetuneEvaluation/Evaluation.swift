// How good predictions are: numbers in, verdicts out. Nothing here knows how the predictions were made.

internal import Glibc

/// The scores of probabilities against the truth.
public struct Evaluation: Sendable {
    /// Names, in the order of the columns.
    public let classes: [String]
    /// Each image's place among `classes`.
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

    /// The number of images.
    public var count: Int { labels.count }

    /// Whether each prediction is right.
    package var isRight: [Bool] { zip(predictions, labels).map { $0 == $1 } }

    /// How many predictions are right.
    public var hits: Int { zip(predictions, labels).count { $0 == $1 } }

    /// The share that is right, 0…1, NaN without images: scikit-learn's `accuracy_score`.
    public var accuracy: Double { count == 0 ? .nan : Double(hits) / Double(count) }

    /// The 95 % interval of the accuracy (Wilson 1927): statsmodels' `proportion_confint(method='wilson')`.
    public var accuracyInterval: ClosedRange<Double> { Interval.wilson(hits, of: count) }

    /// The share of images whose label is among the `k` most probable classes, 0…1, NaN without images: scikit-learn's
    /// `top_k_accuracy_score`.
    public func topAccuracy(_ k: Int) -> Double {
        let hits = zip(probabilities, labels).count { row, label in
            row.indices.count { row[$0] > row[label] || (row[$0] == row[label] && $0 < label) } < k
        }
        return count == 0 ? .nan : Double(hits) / Double(count)
    }

    /// −ln p(label) of each image, probabilities no smaller than 2⁻⁵².
    package var losses: [Double] { zip(probabilities, labels).map { -log(max($0[$1], 0x1p-52)) } }

    /// The mean of −ln p(label) in nats, probabilities no smaller than 2⁻⁵²: scikit-learn's `log_loss`.
    public var logLoss: Double { count == 0 ? .nan : losses.reduce(0, +) / Double(count) }

    /// The mean over classes that occur, in truth or prediction, of F1: scikit-learn's `f1_score(average='macro')`.
    public var macroF1: Double {
        let scores = perClass.filter { $0.support > 0 || $0.predicted > 0 }.map(\.f1)
        return scores.isEmpty ? .nan : scores.reduce(0, +) / Double(scores.count)
    }

    /// Expected calibration error over 15 bins of equal width (Guo et al. 2017): torchmetrics'
    /// `MulticlassCalibrationError(n_bins=15, norm='l1')`.
    public var calibrationError: Double {
        let gaps = reliability.map { Double($0.count) * abs($0.confidence - $0.accuracy) }
        return count == 0 ? .nan : gaps.reduce(0, +) / Double(count)
    }

    /// The mean over images of the summed squares of probability − truth, 0…2 (Brier 1950): scikit-learn's
    /// `brier_score_loss(scale_by_half=False)`.
    public var brier: Double {
        let sum = zip(probabilities, labels).reduce(0.0) { sum, image in
            sum + Self.brier(image.0, label: image.1)
        }
        return count == 0 ? .nan : sum / Double(count)
    }

    static func brier(_ row: [Double], label: Int) -> Double {
        row.indices.reduce(0.0) { sum, k in
            let gap = row[k] - (k == label ? 1 : 0)
            return sum + gap * gap
        }
    }

    /// Images by truth (rows) and prediction (columns), in the order of `classes`: scikit-learn's `confusion_matrix`.
    public var confusion: [[Int]] {
        var matrix = [[Int]](repeating: [Int](repeating: 0, count: classes.count), count: classes.count)
        for (label, prediction) in zip(labels, predictions) { matrix[label][prediction] += 1 }
        return matrix
    }

    /// One class's scores. A ratio without cases is 0.
    public struct ClassScore: Sendable {
        /// The class's.
        public let name: String
        /// Of what is predicted to be of the class, the share that is, 0…1.
        public let precision: Double
        /// Of the images of the class, the share that is found, 0…1.
        public let recall: Double
        /// The harmonic mean of precision and recall, 0…1.
        public let f1: Double
        /// Images of the class.
        public let support: Int
        /// Images predicted to be of the class.
        public let predicted: Int
    }

    /// In the order of `classes`: scikit-learn's `precision_recall_fscore_support(zero_division=0)`.
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
        wilson(share: Double(hits) / Double(max(count, 1)), of: count)
    }

    /// - Parameter p: The share of hits: a mean over several runs on the same `count` images is no less uncertain.
    package static func wilson(share p: Double, of count: Int) -> ClosedRange<Double> {
        guard count > 0 else { return 0...1 }
        let (n, z) = (Double(count), 1.959963984540054)
        let center = (p + z * z / (2 * n)) / (1 + z * z / n)
        let half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)).squareRoot()
        return max(0, center - half)...min(1, center + half)
    }
}

extension [Double] {
    /// The index of the largest value, the first of equals; 0 where there is none.
    package var indexOfLargest: Int { indices.max { self[$0] < self[$1] || (self[$0] == self[$1] && $0 > $1) } ?? 0 }
}
