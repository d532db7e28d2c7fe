// Whether a model is right as often as it says, and the one number that mends most of it (Guo et al. 2017).

package import FinetuneFiles
internal import Glibc

/// Predictions of about the same confidence.
public struct ReliabilityBin: Sendable {
    /// Confidences from above `lower` to `upper`.
    public let lower: Double
    /// See `lower`.
    public let upper: Double
    /// The number of images.
    public let count: Int
    /// The mean probability of the predicted class; 0 without images.
    public let confidence: Double
    /// The share that is right; 0 without images.
    public let accuracy: Double
}

extension Evaluation {
    /// The predictions in 15 bins of equal width by the probability of the predicted class.
    public var reliability: [ReliabilityBin] {
        let bins = Self.reliabilityBins
        var confidence = [Double](repeating: 0, count: bins)
        var hits = [Double](repeating: 0, count: bins)
        var counts = [Int](repeating: 0, count: bins)
        for (index, row) in probabilities.enumerated() {
            let value = row[predictions[index]]
            let bin = Self.bin(of: value)
            confidence[bin] += value
            hits[bin] += predictions[index] == labels[index] ? 1 : 0
            counts[bin] += 1
        }
        return (0..<bins).map { bin in
            let count = Double(max(counts[bin], 1))
            return ReliabilityBin(
                lower: Double(bin) / Double(bins), upper: Double(bin + 1) / Double(bins), count: counts[bin],
                confidence: confidence[bin] / count, accuracy: hits[bin] / count)
        }
    }

    static let reliabilityBins = 15

    static func bin(of confidence: Double) -> Int {
        // What is no number falls into the first.
        let place = (confidence * Double(reliabilityBins)).rounded(.up)
        return place >= 1 ? Int(min(place, Double(reliabilityBins))) - 1 : 0
    }

    /// The same predictions with logits divided by a temperature.
    package func scaled(by temperature: Double) -> Evaluation {
        Evaluation(
            probabilities: probabilities.map { Temperature.apply(temperature, to: $0) }, labels: labels,
            classes: classes)
    }

    /// The bins as JSON, those without images left out.
    package var reliabilityJSON: JSON {
        .array(
            reliability.filter { $0.count > 0 }.map {
                [
                    "lower": .number($0.lower), "upper": .number($0.upper), "images": .integer($0.count),
                    "confidence": .number($0.confidence), "accuracy": .number($0.accuracy),
                ]
            })
    }
}

/// Temperature scaling: softmax(z / T) in place of softmax(z). The predicted class stays, its probability moves.
package enum Temperature {
    /// Temperatures that are considered. What lies outside says that the images cannot tell.
    package static let range = 0.05...20.0
    /// Those of a head whose weights are near zero, because a strong regularization was chosen for the order of its
    /// probabilities and not for their size.
    private static let low = 1e-4...0.06

    /// Probabilities after division of their logits, which they determine but for a constant.
    ///
    /// - Parameter probabilities: A row that sums to 1; zeros stay zeros.
    package static func apply(_ temperature: Double, to probabilities: [Double]) -> [Double] {
        guard temperature != 1 else { return probabilities }
        let logits = probabilities.map { log($0) / temperature }
        let largest = logits.max() ?? 0
        let powers = logits.map { exp($0 - largest) }
        let sum = powers.reduce(0, +)
        return powers.map { $0 / sum }
    }

    /// The temperature with the least log-loss among those that are considered.
    package static func fit(_ evaluation: Evaluation) -> Double { search(evaluation).temperature }

    /// The same, which `scipy.optimize.minimize_scalar` finds; nil where the loss falls up to an end of what is considered,
    /// as on images of which none is wrong.
    package static func optimum(_ evaluation: Evaluation) -> Double? {
        let (temperature, isOptimum) = search(evaluation)
        return isOptimum ? temperature : nil
    }

    private static func search(_ evaluation: Evaluation) -> (temperature: Double, isOptimum: Bool) {
        let rows = zip(evaluation.probabilities, evaluation.labels).map { row, label in
            (logits: row.map { log(max($0, .leastNormalMagnitude)) }, label: label)
        }
        func loss(_ logT: Double) -> Double {
            let factor = exp(-logT)
            return rows.reduce(0) { sum, row in
                let largest = (row.logits.max() ?? 0) * factor
                let total = row.logits.reduce(0) { $0 + exp($1 * factor - largest) }
                return sum + log(total) + largest - row.logits[row.label] * factor
            }
        }
        let usual = exp(minimum(of: loss, in: range))
        guard usual <= 1.01 * range.lowerBound else { return (usual, usual < 0.99 * range.upperBound) }
        guard evaluation.isFlat else { return (usual, false) }
        let small = minimum(of: loss, in: low)
        let isOptimum = exp(small) > 1.01 * low.lowerBound && loss(small - log(2)) > loss(small)
        return isOptimum ? (exp(small), true) : (usual, false)
    }

    /// Where a loss is least, by golden section over the logarithm of the temperature: it has one minimum there, as it is
    /// convex in 1/T.
    private static func minimum(of loss: (Double) -> Double, in range: ClosedRange<Double>) -> Double {
        var (low, high) = (log(range.lowerBound), log(range.upperBound))
        let ratio = (5.0.squareRoot() - 1) / 2
        var (a, b) = (high - ratio * (high - low), low + ratio * (high - low))
        var (lossA, lossB) = (loss(a), loss(b))
        while high - low > 1e-9 {
            if lossA <= lossB {
                (high, b, lossB) = (b, a, lossA)
                a = high - ratio * (high - low)
                lossA = loss(a)
            } else {
                (low, a, lossA) = (a, b, lossB)
                b = low + ratio * (high - low)
                lossB = loss(b)
            }
        }
        return (low + high) / 2
    }
}

extension Evaluation {
    /// Whether probabilities are almost equal: their mean entropy is above 95 % of the largest possible.
    fileprivate var isFlat: Bool {
        let entropy = probabilities.reduce(0) { sum, row in
            row.reduce(sum) { $1 > 0 ? $0 - $1 * log($1) : $0 }
        }
        return entropy > 0.95 * log(Double(classes.count)) * Double(count)
    }

    /// The log-loss of a model that is saved with these predictions: with a temperature, if one helps.
    package var savedLogLoss: Double { Calibration(self).map { scaled(by: $0.temperature).logLoss } ?? logLoss }
}

/// What a temperature does to predictions on images that did not choose it.
package struct Calibration: Sendable {
    /// What was done, for people: the same on screen and in reports.
    package var sentence: String {
        "Probabilities calibrated on \(images.counted("validation image")) (temperature \(temperature < 0.1 ? temperature.rounded(toDigits: 2) : temperature.rounded(toPlaces: 2)); cross-validated log-loss \(logLoss.before.rounded(toPlaces: 3)) → \(logLoss.after.rounded(toPlaces: 3)))."
    }

    /// Fitted on all images.
    package let temperature: Double
    package let images: Int
    package let logLoss: (before: Double, after: Double)
    package let calibrationError: (before: Double, after: Double)

    /// Fits a temperature and tries it: every other image of each class chooses the one that the others are scored with,
    /// and the other way round.
    ///
    /// - Returns: Nil with fewer than 10 images, where the log-loss does not fall, or where the best temperature lies
    ///   outside the range: images on which nothing is wrong ask for boundless certainty.
    package init?(_ evaluation: Evaluation) {
        guard evaluation.count >= Self.fewest else { return nil }
        var seen = [Int](repeating: 0, count: evaluation.classes.count)
        var halves: [[Int]] = [[], []]
        for (index, label) in evaluation.labels.enumerated() {
            halves[seen[label] % 2].append(index)
            seen[label] += 1
        }
        guard !halves[0].isEmpty, !halves[1].isEmpty else { return nil }
        var rows = evaluation.probabilities
        for (half, other) in [(0, 1), (1, 0)] {
            let temperature = Temperature.fit(evaluation.selecting(halves[half]))
            for index in halves[other] { rows[index] = Temperature.apply(temperature, to: rows[index]) }
        }
        let tried = Evaluation(probabilities: rows, labels: evaluation.labels, classes: evaluation.classes)
        guard tried.logLoss < evaluation.logLoss, let fitted = Temperature.optimum(evaluation) else { return nil }
        temperature = fitted
        images = evaluation.count
        logLoss = (evaluation.logLoss, tried.logLoss)
        calibrationError = (evaluation.calibrationError, tried.calibrationError)
    }

    private static let fewest = 10

    package var json: JSON {
        [
            "temperature": .number(temperature), "images": .integer(images),
            "log_loss": ["before": .number(logLoss.before), "after": .number(logLoss.after)],
            "ece": ["before": .number(calibrationError.before), "after": .number(calibrationError.after)],
        ]
    }
}

extension Evaluation {
    /// The evaluation of some images alone.
    package func selecting(_ indices: [Int]) -> Evaluation {
        Evaluation(
            probabilities: indices.map { probabilities[$0] }, labels: indices.map { labels[$0] }, classes: classes)
    }
}
