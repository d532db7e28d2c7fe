// Labels that are probably wrong: a classifier that never saw them, calibrated, against a small fraction of wrong labels.

internal import Glibc

/// Which labels of a data set are probably wrong.
///
/// The observed label is taken to be right with probability 1 − ε and any other class with probability ε (symmetric label
/// noise; Mnih and Hinton 2012). With the classifier's probabilities `q`, sharpened or softened by a temperature, the
/// label `y` of K classes is observed with probability `(1 − ε) q[y] + ε (1 − q[y]) / (K − 1)`, and is wrong with the
/// second term's share of it. Temperature and ε are those under which the labels are most probable, ε with the prior
/// Beta(2, 20): the optimum that `scipy.optimize.minimize` finds. A weak classifier, whose probabilities are never far
/// from even, so accuses no label.
package struct LabelErrors: Sendable {
    /// An image whose label is probably wrong.
    package struct Suspicion: Sendable, Equatable {
        /// Index of the image.
        package let index: Int
        package let label: Int
        /// The most probable class.
        package let suggestion: Int
        /// The probability that the label is wrong, above 0.5.
        package let probability: Double
    }

    /// The fraction of labels that the most probable class agrees with.
    package let accuracy: Double
    /// The temperature of the classifier's probabilities.
    package let temperature: Double
    /// The fraction of labels that are estimated to be wrong: ε.
    package let wrongFraction: Double
    /// Of wrong labels drawn at random, the fraction that would be recognised: the power of the search.
    package let power: Double
    /// The probability that the label is wrong, by image.
    package let probabilities: [Double]
    private let labels: [Int]
    private let suggestions: [Int]

    /// - Parameters:
    ///   - probabilities: Of each class, by classifiers that were trained on other images. Shape `[images][classes]`.
    ///   - labels: 0..<classes.
    package init(probabilities rows: [[Double]], labels: [Int]) {
        precondition(rows.count == labels.count, "\(rows.count) rows of probabilities for \(labels.count) labels")
        let classes = max(2, Set(labels).count)
        let fit = NoiseFit(rows, labels, classes: classes)
        let calibrated = rows.map { Temperature.apply(fit.temperature, to: $0) }
        suggestions = calibrated.map(\.indexOfLargest)
        accuracy = Double(zip(suggestions, labels).count { $0 == $1 }) / Double(max(1, labels.count))
        temperature = fit.temperature
        wrongFraction = fit.fraction
        self.probabilities = zip(calibrated, labels).map { fit.probabilityOfError($0[$1]) }
        self.labels = labels
        power = Self.power(calibrated, suggestions, used: Set(labels), fraction: max(fit.fraction, Self.leastFraction))
    }

    /// Whether single labels can be judged: the classifier agrees with most labels, and would recognise a tenth of the
    /// wrong ones.
    package var isConclusive: Bool { accuracy >= Self.leastAccuracy && power >= Self.leastPower }

    /// With a lower accuracy no single label is judged.
    package static let leastAccuracy = 0.5
    /// With a lower power, likewise.
    private static let leastPower = 0.1

    /// The labels that are more probably wrong than right, the most probable first; none where nothing can be judged.
    package var suspicions: [Suspicion] {
        guard isConclusive else { return [] }
        return probabilities.indices.filter { probabilities[$0] > 0.5 && suggestions[$0] != labels[$0] }
            .sorted { (-probabilities[$0], $0) < (-probabilities[$1], $1) }
            .map {
                Suspicion(index: $0, label: labels[$0], suggestion: suggestions[$0], probability: probabilities[$0])
            }
    }

    /// The fraction of wrong labels for which the power of the search is stated where the estimate is lower.
    private static let leastFraction = 0.02

    /// Of all classes but each image's most probable one, the fraction that would be called wrong as its label.
    private static func power(_ rows: [[Double]], _ suggestions: [Int], used: Set<Int>, fraction: Double) -> Double {
        let others = Double(max(1, used.count - 1))
        let limit = fraction / (others * (1 - fraction) + fraction)
        var (found, count) = (0, 0)
        for (row, suggestion) in zip(rows, suggestions) {
            for other in used where other != suggestion {
                count += 1
                if row[other] < limit { found += 1 }
            }
        }
        return Double(found) / Double(max(1, count))
    }
}

/// The temperature and the fraction of wrong labels under which some labels are most probable.
private struct NoiseFit {
    let temperature: Double
    let fraction: Double
    private let others: Double

    /// More images than this tell the two numbers no better.
    private static let mostImages = 5_000
    /// The exponents of the prior: `Beta(2, 20)`.
    private static let prior = (wrong: 1.0, right: 19.0)

    init(_ rows: [[Double]], _ labels: [Int], classes: Int) {
        others = Double(classes - 1)
        let step = max(1, (rows.count + Self.mostImages - 1) / Self.mostImages)
        let sample = stride(from: 0, to: rows.count, by: step).map { index in
            (logits: rows[index].map { log(max($0, .leastNormalMagnitude)) }, label: labels[index])
        }
        let others = others
        /// The best fraction at a temperature, and the negative logarithm of the probability there.
        func fit(_ logT: Double) -> (loss: Double, fraction: Double) {
            let factor = exp(-logT)
            let own = sample.map { row in
                let largest = (row.logits.max() ?? 0) * factor
                let sum = row.logits.reduce(0) { $0 + exp($1 * factor - largest) }
                return exp(row.logits[row.label] * factor - largest) / sum
            }
            return Self.fraction(own, others: others)
        }
        // The loss may have several minima: the best point of a grid has the lowest near it.
        let grid = stride(from: log(Temperature.range.lowerBound), through: log(Temperature.range.upperBound), by: 0.15)
        let start = grid.map { ($0, fit($0).loss) }.min { $0.1 < $1.1 }?.0 ?? 0
        var (low, high) = (start - 0.15, start + 0.15)
        let ratio = (5.0.squareRoot() - 1) / 2
        while high - low > 1e-7 {
            let (a, b) = (high - ratio * (high - low), low + ratio * (high - low))
            if fit(a).loss <= fit(b).loss { high = b } else { low = a }
        }
        temperature = exp((low + high) / 2)
        fraction = fit((low + high) / 2).fraction
    }

    /// The probability that a label is wrong which the classifier gives the probability `q`.
    func probabilityOfError(_ q: Double) -> Double {
        let wrong = fraction * (1 - q) / others
        return wrong / ((1 - fraction) * q + wrong)
    }

    /// The fraction of wrong labels that is most probable where the labels have the probabilities `q`, by bisection: the
    /// logarithm of the probability is concave in it.
    private static func fraction(_ q: [Double], others: Double) -> (loss: Double, fraction: Double) {
        func slope(_ fraction: Double) -> Double {
            q.reduce(prior.wrong / fraction - prior.right / (1 - fraction)) { sum, q in
                let wrong = (1 - q) / others
                return sum + (wrong - q) / ((1 - fraction) * q + fraction * wrong)
            }
        }
        var (low, high) = (1e-9, 1 - 1e-9)
        for _ in 0..<50 {
            let middle = (low + high) / 2
            if slope(middle) > 0 { low = middle } else { high = middle }
        }
        let best = (low + high) / 2
        let loss = q.reduce(-prior.wrong * log(best) - prior.right * log(1 - best)) { sum, q in
            sum - log((1 - best) * q + best * (1 - q) / others)
        }
        return (loss, best)
    }
}
