// Scores that look at classes: averages over them, how well each is told from the rest, and where the model is sure and
// wrong.

/// The mean of the classes' scores.
public struct Average: Sendable {
    /// Of what is predicted to be of a class, the share that is, 0…1.
    public let precision: Double
    /// Of the images of a class, the share that is found, 0…1.
    public let recall: Double
    /// The mean of the classes' own F1, 0…1: not that of the two means.
    public let f1: Double
}

extension Evaluation {
    /// The mean over classes that occur, in truth or prediction: scikit-learn's
    /// `precision_recall_fscore_support(average='macro')`.
    public var macro: Average { average(weighting: { $0.support > 0 || $0.predicted > 0 ? 1 : 0 }) }

    /// The mean over classes, each as often as it has images: `average='weighted'`.
    public var weighted: Average { average(weighting: { Double($0.support) }) }

    private func average(weighting weight: (ClassScore) -> Double) -> Average {
        let rows = perClass
        let total = rows.reduce(0) { $0 + weight($1) }
        func mean(_ score: (ClassScore) -> Double) -> Double {
            total > 0 ? rows.reduce(0) { $0 + weight($1) * score($1) } / total : .nan
        }
        return Average(precision: mean(\.precision), recall: mean(\.recall), f1: mean(\.f1))
    }

    /// For each class, the probability that an image of it gets more of it than one of another class does, 0…1; nil
    /// where the class has no image, or all: scikit-learn's `roc_auc_score` of one class against the rest.
    public var rocAUC: [Double?] {
        classes.indices.map { k in
            let positives = labels.count { $0 == k }
            guard positives > 0, positives < count else { return nil }
            let sorted = (0..<count).sorted { probabilities[$0][k] < probabilities[$1][k] }
            var ranks = 0.0
            var start = 0
            while start < count {
                // Equal probabilities share the mean of their ranks.
                var end = start + 1
                while end < count, probabilities[sorted[end]][k] == probabilities[sorted[start]][k] { end += 1 }
                let hits = sorted[start..<end].count { labels[$0] == k }
                ranks += Double(hits) * Double(start + 1 + end) / 2
                start = end
            }
            let (p, n) = (Double(positives), Double(count - positives))
            return (ranks - p * (p + 1) / 2) / (p * n)
        }
    }

    /// The mean of the classes' areas under the ROC curve, of two classes the second's: scikit-learn's
    /// `roc_auc_score(multi_class='ovr', average='macro')`; nil where a class has none.
    public var macroROCAUC: Double? {
        let areas = rocAUC
        if areas.count == 2 { return areas[1] }
        let known = areas.compactMap(\.self)
        return known.count == areas.count && !known.isEmpty ? known.reduce(0, +) / Double(known.count) : nil
    }

    /// An image on whose class the model is wrong.
    public struct Mistake: Sendable, Equatable {
        /// Place among the images.
        public let index: Int
        /// The class's place among `classes`.
        public let label: Int
        /// The predicted class's place among `classes`.
        public let prediction: Int
        /// Of the prediction.
        public let probability: Double
    }

    /// The wrong predictions that the model is surest of, the surest first.
    public func mistakes(_ most: Int) -> [Mistake] {
        let wrong = labels.indices.filter { predictions[$0] != labels[$0] }.map {
            Mistake(
                index: $0, label: labels[$0], prediction: predictions[$0],
                probability: probabilities[$0][predictions[$0]])
        }
        return Array(wrong.sorted { ($1.probability, $0.index) < ($0.probability, $1.index) }.prefix(most))
    }
}
