// How far scores without a formula would move on other images: the percentile bootstrap (Efron 1979).

/// 95 % intervals over resampled images.
package struct Bootstrap: Sendable {
    package let macroF1: ClosedRange<Double>
    package let logLoss: ClosedRange<Double>
    package let calibrationError: ClosedRange<Double>

    /// Draws as many images as there are, with replacement, a thousand times over.
    package init(_ evaluation: Evaluation, seed: UInt64) {
        var random = SplitMix(state: seed)
        let count = evaluation.count
        self.init(evaluation, resamples: Self.resamples) { place in Int(random.next() % UInt64(max(count, 1))) }
    }

    /// - Parameter draw: The image at a place of the next resample; called place by place, resample by resample.
    package init(_ evaluation: Evaluation, resamples: Int, draw: (Int) -> Int) {
        let count = evaluation.count
        let (labels, predictions, losses) = (evaluation.labels, evaluation.predictions, evaluation.losses)
        let confidences = zip(evaluation.probabilities, predictions).map { $0[$1] }
        let bins = confidences.map(Evaluation.bin)
        var scores: (f1: [Double], loss: [Double], error: [Double]) = ([], [], [])
        var tally = Tally(classes: evaluation.classes.count)
        for _ in 0..<resamples {
            tally.clear()
            for place in 0..<count {
                let index = draw(place)
                tally.add(labels[index], predictions[index], losses[index], confidences[index], bins[index])
            }
            scores.f1.append(tally.macroF1)
            scores.loss.append(tally.loss / Double(count))
            scores.error.append(tally.calibrationError / Double(count))
        }
        macroF1 = Self.interval(scores.f1)
        logLoss = Self.interval(scores.loss)
        calibrationError = Self.interval(scores.error)
    }

    private static let resamples = 1000

    /// The 2.5th and the 97.5th percentile, between neighbours linearly: NumPy's `percentile`.
    private static func interval(_ values: [Double]) -> ClosedRange<Double> {
        let sorted = values.filter(\.isFinite).sorted()
        guard !sorted.isEmpty else { return -Double.infinity...Double.infinity }
        func percentile(_ share: Double) -> Double {
            let place = share * Double(sorted.count - 1)
            let below = Int(place)
            let above = min(below + 1, sorted.count - 1)
            return sorted[below] + (place - Double(below)) * (sorted[above] - sorted[below])
        }
        return percentile(0.025)...percentile(0.975)
    }

    /// What the scores of one resample are made of.
    private struct Tally {
        var hits: [Double]
        var support: [Double]
        var predicted: [Double]
        var gaps = [Double](repeating: 0, count: Evaluation.reliabilityBins)
        var loss = 0.0

        init(classes: Int) {
            hits = [Double](repeating: 0, count: classes)
            (support, predicted) = (hits, hits)
        }

        mutating func clear() {
            for k in hits.indices { (hits[k], support[k], predicted[k]) = (0, 0, 0) }
            for bin in gaps.indices { gaps[bin] = 0 }
            loss = 0
        }

        mutating func add(_ label: Int, _ prediction: Int, _ loss: Double, _ confidence: Double, _ bin: Int) {
            support[label] += 1
            predicted[prediction] += 1
            if label == prediction { hits[label] += 1 }
            gaps[bin] += confidence - (label == prediction ? 1 : 0)
            self.loss += loss
        }

        var macroF1: Double {
            var (sum, count) = (0.0, 0.0)
            for k in hits.indices where support[k] + predicted[k] > 0 {
                sum += 2 * hits[k] / (support[k] + predicted[k])
                count += 1
            }
            return count > 0 ? sum / count : .nan
        }

        var calibrationError: Double { gaps.reduce(0) { $0 + abs($1) } }
    }

    /// Steele, Lea and Flood 2014: fast, seeded, good enough to draw images.
    private struct SplitMix {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}
