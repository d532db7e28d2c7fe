// Which of several strategies to use: scores with intervals, paired tests, costs, and the advice.

package import FinetuneFiles
internal import Glibc

/// Strategies that were scored on the same images.
package struct Comparison: Sendable {
    /// How the images were divided.
    package enum Design: Sendable, Equatable {
        /// Once: images are what differs, so McNemar's test holds strategies against each other; or, with several runs on
        /// the same images, the paired t-test over images on the share of runs that are right.
        case oneSet
        /// Several times: divisions are what differs, so the corrected resampled t-test does.
        ///
        /// - testShare: Scored images over training images of a division.
        case divisions(testShare: Double)
    }

    /// What a strategy took, all divisions together.
    package struct Cost: Sendable {
        package let seconds: Double
        package let processorSeconds: Double
        /// MiB; the most of any division.
        package let peakMegabytes: Double
        package let trainableParameters: Int

        package init(seconds: Double, processorSeconds: Double, peakMegabytes: Double, trainableParameters: Int) {
            self.seconds = seconds
            self.processorSeconds = processorSeconds
            self.peakMegabytes = peakMegabytes
            self.trainableParameters = trainableParameters
        }
    }

    /// A strategy and its scores.
    package struct Contestant: Sendable {
        package let name: String
        /// One a division, of the same images in the same order as all others'.
        package let evaluations: [Evaluation]
        package let cost: Cost
        /// Whether it trains the head alone, so that the others have to be at least as good.
        package let isHead: Bool
        /// Why its trainings came to nothing, as a clause; nil if they did not.
        package let failure: String?

        package init(
            name: String, evaluations: [Evaluation], cost: Cost, isHead: Bool = false, failure: String? = nil
        ) {
            self.name = name
            self.evaluations = evaluations
            self.cost = cost
            self.isHead = isHead
            self.failure = failure
        }
    }

    /// A score and where it would lie, 95 %, on other images of the kind.
    package struct Estimate: Sendable {
        package let value: Double
        package let interval: ClosedRange<Double>

        package init(value: Double, interval: ClosedRange<Double>) {
            self.value = value
            self.interval = interval
        }
    }

    /// A strategy's scores.
    package struct Standing: Sendable {
        package let name: String
        package let accuracy: Estimate
        package let macroF1: Estimate
        package let logLoss: Estimate
        package let calibrationError: Estimate
        package let cost: Cost
        /// Why it is left out of the advice, as a clause: its trainings came to nothing, or its accuracy is significantly
        /// below that of the head alone. Nil if it takes part.
        package let failure: String?
    }

    /// Two strategies against each other.
    package struct Pair: Sendable {
        package let first: String
        package let second: String
        /// Accuracy of the second minus the first's.
        package let difference: Double
        package let rawPValue: Double
        /// Adjusted for the number of pairs.
        package let pValue: Double
        package let test: String
    }

    package let design: Design
    package let standings: [Standing]
    package let pairs: [Pair]
    /// The one of the highest accuracy; of equals the one of the least log-loss.
    package let best: String
    /// The cheapest of those that are not shown to be worse than the best.
    package let recommended: String
    /// Of the best against the recommended one, or else against the next best; 1 where there is only one.
    package let pValue: Double
    /// Strategies without scores because a training diverged, each with what was said.
    package let diverged: [(name: String, reason: String)]
    /// What follows, in words.
    package let advice: String

    /// - Parameters:
    ///   - contestants: At least one.
    ///   - seed: Of the bootstrap.
    ///   - diverged: Strategies without scores because a training diverged, each with what was said.
    package init(
        _ contestants: [Contestant], _ design: Design, seed: UInt64, diverged: [(name: String, reason: String)] = []
    ) {
        precondition(!contestants.isEmpty, "nothing to compare")
        self.design = design
        let pairs = Self.pairs(contestants, design)
        func p(_ a: String, _ b: String) -> Double {
            pairs.first { ($0.first, $0.second) == (a, b) || ($0.first, $0.second) == (b, a) }?.pValue ?? 1
        }
        func accuracy(_ contestant: Contestant) -> Double {
            contestant.evaluations.reduce(0) { $0 + $1.accuracy } / Double(contestant.evaluations.count)
        }
        let head = contestants.first { $0.isHead }
        let standings = contestants.map { contestant in
            var failure = contestant.failure
            if failure == nil, let head, contestant.name != head.name {
                failure = Self.failure(
                    contestant, head,
                    isWorse: accuracy(contestant) < accuracy(head) && p(contestant.name, head.name) < Self.level)
            }
            return Self.standing(contestant, design, seed, failure: failure)
        }
        func rank(_ s: Standing) -> (Double, Double) { (-s.accuracy.value, s.logLoss.value) }
        let ranked = standings.sorted { rank($0) < rank($1) }
        let trained = ranked.filter { $0.failure == nil }
        let sorted = trained.isEmpty ? ranked : trained
        let best = sorted[0]
        // What no test can tell apart is not shown to be worse; but what another beats in both accuracy and time is.
        func isBeaten(_ s: Standing) -> Bool {
            sorted.contains { $0.accuracy.value > s.accuracy.value && $0.cost.seconds < s.cost.seconds }
        }
        let equals = sorted.filter { $0.name == best.name || !(p($0.name, best.name) < Self.level) && !isBeaten($0) }
        let recommended = equals.min { $0.cost.seconds < $1.cost.seconds } ?? best
        let rival = recommended.name != best.name ? recommended : sorted.dropFirst().first
        pValue = rival.map { p(best.name, $0.name) } ?? 1
        self.standings = standings
        self.pairs = pairs
        self.best = best.name
        self.recommended = recommended.name
        self.diverged = diverged
        let failed = standings.compactMap { standing in standing.failure.map { (standing.name, $0) } } + diverged
        let reasons = failed.map { "\($0.0): \($0.1)" }.joined(separator: "; ")
        let next = "To gain more: fewer trained stages, another --lr, or another --augment."
        if trained.isEmpty {
            advice =
                "Train the head alone (--strategies head): no strategy is better than its start. \(reasons). \(next)"
        } else {
            advice =
                Self.advice(best, recommended, rival, sorted, pValue, design, contestants, hasFailed: !failed.isEmpty)
                + (failed.isEmpty ? "" : " Left out of the advice: \(reasons). \(next)")
        }
    }

    /// Why a strategy is of no use beside the head alone, as a clause; nil if it may be.
    private static func failure(_ contestant: Contestant, _ head: Contestant, isWorse: Bool) -> String? {
        func logLoss(_ contestant: Contestant) -> Double {
            contestant.evaluations.reduce(0) { $0 + $1.logLoss } / Double(contestant.evaluations.count)
        }
        let chance = 0.99 * log(Double(head.evaluations[0].classes.count))
        if logLoss(contestant) > chance, logLoss(head) < chance {
            return "its log-loss is no better than that of chance"
        }
        return isWorse ? "its accuracy is significantly below that of \(head.name)" : nil
    }

    /// Differences of this probability under chance are taken for real.
    private static let level = 0.05

    // MARK: Scores

    private static func standing(
        _ contestant: Contestant, _ design: Design, _ seed: UInt64, failure: String?
    ) -> Standing {
        let evaluations = contestant.evaluations
        func mean(_ score: (Evaluation) -> Double) -> Double {
            evaluations.reduce(0) { $0 + score($1) } / Double(evaluations.count)
        }
        func over(_ limits: ClosedRange<Double>, least: Double = 0, _ score: (Evaluation) -> Double) -> Estimate {
            var share = 0.0
            if case .divisions(let testShare) = design { share = testShare }
            let result = PairedTests.correctedResampled(evaluations.map(score), testShare: share, least: least)
            return Estimate(value: result.mean, interval: result.interval.clamped(to: limits))
        }
        guard case .oneSet = design else {
            return Standing(
                name: contestant.name,
                accuracy: over(
                    0...1, least: mean { $0.accuracy * (1 - $0.accuracy) / Double(max(1, $0.count)) }, \.accuracy),
                macroF1: over(0...1, \.macroF1),
                logLoss: over(0...Double.greatestFiniteMagnitude, \.logLoss),
                calibrationError: over(0...1, \.calibrationError), cost: contestant.cost, failure: failure)
        }
        let bootstrap = Bootstrap(evaluations, seed: seed)
        return Standing(
            name: contestant.name,
            accuracy: Estimate(
                value: mean(\.accuracy), interval: Interval.wilson(share: mean(\.accuracy), of: evaluations[0].count)),
            macroF1: Estimate(value: mean(\.macroF1), interval: bootstrap.macroF1),
            logLoss: Estimate(value: mean(\.logLoss), interval: bootstrap.logLoss),
            calibrationError: Estimate(value: mean(\.calibrationError), interval: bootstrap.calibrationError),
            cost: contestant.cost, failure: failure)
    }

    private static func pairs(_ contestants: [Contestant], _ design: Design) -> [Pair] {
        var found: [(first: Contestant, second: Contestant, difference: Double, p: Double)] = []
        for (place, first) in contestants.enumerated() {
            for second in contestants.dropFirst(place + 1) {
                let (p, difference) = held(first.evaluations, against: second.evaluations, design)
                found.append((first, second, difference, p.isNaN ? 1 : p))
            }
        }
        let adjusted = PairedTests.adjustedForNumber(found.map(\.p))
        return zip(found, adjusted).map { pair, p in
            Pair(
                first: pair.first.name, second: pair.second.name, difference: pair.difference, rawPValue: pair.p,
                pValue: p, test: test(design, runs: pair.first.evaluations.count))
        }
    }

    private static func held(_ a: [Evaluation], against b: [Evaluation], _ design: Design)
        -> (p: Double, difference: Double)
    {
        switch design {
        case .divisions(let testShare):
            let result = PairedTests.correctedResampled(
                zip(a, b).map { $1.accuracy - $0.accuracy }, testShare: testShare,
                least: zip(a, b).reduce(0) { $0 + sampling($1.0, $1.1) } / Double(max(1, a.count)))
            return (result.pValue, result.mean)
        case .oneSet where a.count == 1:
            let (first, second) = (a[0].isRight, b[0].isRight)
            let p = PairedTests.mcNemar(
                onlyFirst: zip(first, second).count { $0 && !$1 }, onlySecond: zip(first, second).count { !$0 && $1 })
            return (p, b[0].accuracy - a[0].accuracy)
        case .oneSet:
            func shares(_ runs: [Evaluation]) -> [Double] {
                let right = runs.map(\.isRight)
                return runs[0].labels.indices.map { image in
                    Double(right.count { $0[image] }) / Double(runs.count)
                }
            }
            let result = PairedTests.paired(zip(shares(a), shares(b)).map { $1 - $0 })
            return (result.pValue, result.mean)
        }
    }

    /// The variance that the difference of two accuracies has because the images of a division are a sample.
    private static func sampling(_ a: Evaluation, _ b: Evaluation) -> Double {
        let count = Double(max(1, a.count))
        let apart = Double(zip(a.isRight, b.isRight).count { $0 != $1 }) / count
        let difference = b.accuracy - a.accuracy
        return (apart - difference * difference) / count
    }

    private static func test(_ design: Design, runs: Int) -> String {
        switch design {
        case .divisions: "corrected resampled t"
        case .oneSet: runs == 1 ? "McNemar, exact" : "paired t over images"
        }
    }

    // MARK: Words

    private static func advice(
        _ best: Standing, _ recommended: Standing, _ rival: Standing?, _ sorted: [Standing], _ p: Double,
        _ design: Design, _ contestants: [Contestant], hasFailed: Bool
    ) -> String {
        func percent(_ standing: Standing) -> String { "\((standing.accuracy.value * 1000).rounded() / 10) %" }
        func times(_ a: Standing, _ b: Standing) -> String {
            let ratio = a.cost.seconds / max(b.cost.seconds, 1e-9)
            return ratio >= 10 ? "\(Int(ratio.rounded()))" : "\((ratio * 10).rounded() / 10)"
        }
        /// The time of one strategy as a part of another's.
        func time(_ a: Standing, of b: Standing) -> String {
            let ratio = times(b, a)
            return ratio == "1.0" ? "the same time" : "less time (\(ratio) times faster)"
        }
        guard let rival else {
            if hasFailed { return "Use \(best.name) (\(percent(best))): no other strategy improved on it." }
            return "Only \(best.name) was trained (\(percent(best))), so there is nothing to compare it with."
        }
        let probability = p < 0.001 ? "p < 0.001" : "p = \((p * 1000).rounded() / 1000)"
        if recommended.name != best.name {
            return
                "Use \(recommended.name). No measurable difference (\(probability)) between its \(percent(recommended)) and the \(percent(best)) of \(best.name); it takes \(time(recommended, of: best))."
                + doubt(design, contestants)
        }
        guard p < level else {
            return
                "Use \(best.name): it has the highest accuracy, \(percent(best)), and is the fastest of the strategies without a measurable difference from it (\(rival.name): \(percent(rival)), \(probability))."
                + doubt(design, contestants)
        }
        let cheapest = sorted.min { $0.cost.seconds < $1.cost.seconds } ?? best
        let price = cheapest.name == best.name ? " and fastest" : ""
        let time =
            cheapest.name == best.name ? "" : " It takes \(times(best, cheapest)) times the time of \(cheapest.name)."
        return
            "Use \(best.name): it is significantly better than \(rival.name) (\(percent(best)) vs \(percent(rival)), \(probability))\(price).\(time)"
    }

    /// How large a difference has to be to be detected, if the images are few.
    private static func doubt(_ design: Design, _ contestants: [Contestant]) -> String {
        guard case .oneSet = design, let count = contestants.first?.evaluations.first?.count, count > 0 else {
            return ""
        }
        // As few images as chance cannot explain where only one of two is ever right alone.
        let needed = (1...64).first { PairedTests.mcNemar(onlyFirst: 0, onlySecond: $0) < level } ?? 64
        let least = Double(needed) / Double(count)
        guard least > 0.01 else { return "" }
        return
            " With \(count.counted("test image")) no difference below \((least * 1000).rounded() / 10) points can be detected. Use more images or --folds."
    }

    // MARK: As data

    package var json: JSON {
        func range(_ estimate: Estimate) -> JSON {
            let bounds = [estimate.interval.lowerBound, estimate.interval.upperBound]
            return .array(bounds.map { $0.isFinite && abs($0) < .greatestFiniteMagnitude ? .number($0) : .null })
        }
        return [
            "strategies": .array(
                standings.map {
                    [
                        "name": .string($0.name), "accuracy": .number($0.accuracy.value),
                        "accuracy_ci": range($0.accuracy), "macro_f1": .number($0.macroF1.value),
                        "macro_f1_ci": range($0.macroF1), "log_loss": .number($0.logLoss.value),
                        "log_loss_ci": range($0.logLoss), "ece": .number($0.calibrationError.value),
                        "ece_ci": range($0.calibrationError),
                        "trainable_parameters": .integer($0.cost.trainableParameters),
                        "seconds": .number($0.cost.seconds), "cpu_seconds": .number($0.cost.processorSeconds),
                        "peak_rss_mb": .number($0.cost.peakMegabytes),
                        "failure": $0.failure.map { .string($0) } ?? .null,
                    ]
                }),
            "pairs": .array(
                pairs.map {
                    [
                        "first": .string($0.first), "second": .string($0.second), "difference": .number($0.difference),
                        "p_value": .number($0.pValue), "raw_p_value": .number($0.rawPValue), "test": .string($0.test),
                    ]
                }),
            "diverged": .array(diverged.map { ["name": .string($0.name), "reason": .string($0.reason)] }),
            "best": .string(best), "recommended": .string(recommended), "p_value": .number(pValue),
            "advice": .string(advice),
        ]
    }
}
