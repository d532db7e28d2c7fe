// For two classes: what a threshold other than one half does, and the one that reaches what somebody needs.

package import FinetuneFiles

/// A threshold on the probability of one of two classes, and what comes of it.
package struct OperatingPoint: Sendable {
    /// What the threshold was chosen for.
    package enum Wish: Sendable, Equatable {
        /// At least this share of the positive images is found.
        case sensitivity(Double)
        /// At least this share of the others is let go.
        case specificity(Double)
        /// The usual threshold of one half.
        case half
    }

    package let wish: Wish
    package let positive: String
    /// Images of at least this probability count as positive.
    package let threshold: Double
    package let truePositives: Int
    package let positives: Int
    package let trueNegatives: Int
    package let negatives: Int

    package var sensitivity: Double { Self.share(truePositives, positives) }
    package var specificity: Double { Self.share(trueNegatives, negatives) }
    package var precision: Double { Self.share(truePositives, truePositives + negatives - trueNegatives) }

    private static func share(_ part: Int, _ whole: Int) -> Double { whole > 0 ? Double(part) / Double(whole) : 0 }

    /// The point of a wish: of all thresholds that reach it, the one that costs the other score least. The points of
    /// scikit-learn's `roc_curve(drop_intermediate=False)`.
    ///
    /// - Parameters:
    ///   - positive: 0 or 1.
    ///   - evaluation: Of two classes.
    /// - Returns: Nil where the images are all of one class, or there are not two classes.
    package init?(_ wish: Wish, positive: Int, in evaluation: Evaluation) {
        guard evaluation.classes.count == 2, Set(evaluation.labels).count == 2 else { return nil }
        let scores = evaluation.probabilities.map { $0[positive] }
        let isPositive = evaluation.labels.map { $0 == positive }
        let candidates = Set(scores).sorted(by: >)
        func found(_ threshold: Double) -> Int { zip(scores, isPositive).count { $1 && $0 >= threshold } }
        func spared(_ threshold: Double) -> Int { zip(scores, isPositive).count { !$1 && $0 < threshold } }
        positives = isPositive.count { $0 }
        negatives = isPositive.count - positives
        switch wish {
        case .sensitivity(let wanted):
            // Found images grow as the threshold falls.
            let needed = wanted * Double(positives) - 1e-9
            threshold = Self.first(candidates) { Double(found($0)) >= needed } ?? candidates.last ?? 0
        case .specificity(let wanted):
            let needed = wanted * Double(negatives) - 1e-9
            let rising = Array(candidates.reversed())
            // Above the largest score nothing is positive.
            threshold = Self.first(rising) { Double(spared($0)) >= needed } ?? (candidates.first ?? 1).nextUp
        case .half: threshold = 0.5
        }
        self.wish = wish
        self.positive = evaluation.classes[positive]
        truePositives = found(threshold)
        trueNegatives = spared(threshold)
    }

    /// The first value for which a condition holds that holds for all after it.
    private static func first(_ values: [Double], where holds: (Double) -> Bool) -> Double? {
        var (low, high) = (0, values.count)
        while low < high {
            let middle = (low + high) / 2
            if holds(values[middle]) { high = middle } else { low = middle + 1 }
        }
        return low < values.count ? values[low] : nil
    }

    package var json: JSON {
        func interval(_ part: Int, _ whole: Int) -> JSON {
            let range = Interval.wilson(part, of: whole)
            return JSON([range.lowerBound, range.upperBound])
        }
        let wished: JSON =
            switch wish {
            case .sensitivity(let value): ["sensitivity": .number(value)]
            case .specificity(let value): ["specificity": .number(value)]
            case .half: ["threshold": 0.5]
            }
        return [
            "positive": .string(positive), "wanted": wished, "threshold": .number(threshold),
            "sensitivity": .number(sensitivity), "sensitivity_ci": interval(truePositives, positives),
            "specificity": .number(specificity), "specificity_ci": interval(trueNegatives, negatives),
            "precision": .number(precision),
        ]
    }
}
