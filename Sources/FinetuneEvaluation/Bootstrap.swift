// How far scores without a formula would move on other images: the percentile bootstrap (Efron 1979).

/// 95 % intervals over resampled images.
package struct Bootstrap: Sendable {
    package let macroF1: ClosedRange<Double>
    package let logLoss: ClosedRange<Double>
    package let calibrationError: ClosedRange<Double>

    /// Draws as many images as there are, with replacement, a thousand times over.
    ///
    /// - Parameter evaluations: Runs on the same images, at least one; scores are their means.
    package init(_ evaluations: [Evaluation], seed: UInt64) {
        var random = SplitMix(state: seed)
        let count = UInt64(max(evaluations[0].count, 1))
        self.init(evaluations, resamples: Self.resamples) { Int(random.next() % count) }
    }

    /// - Parameter draw: The image at the next place of a resample.
    package init(_ evaluations: [Evaluation], resamples: Int, draw: () -> Int) {
        let count = evaluations[0].count
        let runs = evaluations.map(Run.init)
        var scores: (f1: [Double], loss: [Double], error: [Double]) = ([], [], [])
        var tally = Tally(classes: evaluations[0].classes.count)
        var drawn = [Int](repeating: 0, count: count)
        for _ in 0..<resamples {
            for place in 0..<count { drawn[place] = draw() }
            var (f1, loss, error) = (0.0, 0.0, 0.0)
            for run in runs {
                tally.clear()
                for index in drawn { tally.add(run, index) }
                f1 += tally.macroF1 / Double(runs.count)
                loss += tally.loss / Double(count * runs.count)
                error += tally.calibrationError / Double(count * runs.count)
            }
            scores.f1.append(f1)
            scores.loss.append(loss)
            scores.error.append(error)
        }
        macroF1 = Self.interval(scores.f1)
        logLoss = Self.interval(scores.loss)
        calibrationError = Self.interval(scores.error)
    }

    /// What is known of each image of a run.
    private struct Run {
        let labels: [Int]
        let predictions: [Int]
        let losses: [Double]
        let confidences: [Double]
        let bins: [Int]

        init(_ evaluation: Evaluation) {
            (labels, predictions, losses) = (evaluation.labels, evaluation.predictions, evaluation.losses)
            confidences = zip(evaluation.probabilities, evaluation.predictions).map { $0[$1] }
            bins = confidences.map(Evaluation.bin)
        }
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

        mutating func add(_ run: Run, _ index: Int) {
            let (label, prediction) = (run.labels[index], run.predictions[index])
            support[label] += 1
            predicted[prediction] += 1
            if label == prediction { hits[label] += 1 }
            gaps[run.bins[index]] += run.confidences[index] - (label == prediction ? 1 : 0)
            loss += run.losses[index]
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
