// Tests against SciPy's and statsmodels', and what a comparison makes of them.

import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneEvaluation

@Suite("Strategies") struct ComparisonTests {
    let golden = (try? Fixtures.json("metrics.json"))?["tests"] ?? .null

    @Test("are held against each other by statsmodels' McNemar test")
    func mcNemar() {
        let rows = golden["mcnemar"]?.arrayValue ?? []
        #expect(!rows.isEmpty)
        for row in rows.map(\.numbers) {
            #expect(isNear(PairedTests.mcNemar(onlyFirst: Int(row[0]), onlySecond: Int(row[1])), row[2]))
        }
    }

    @Test("have Student's distribution as SciPy has it")
    func student() {
        let rows = golden["student"]?.arrayValue ?? []
        #expect(!rows.isEmpty)
        for row in rows.map(\.numbers) {
            #expect(isNear(Distributions.studentTwoSided(row[0], degrees: row[1]), row[2]))
            #expect(isNear(Distributions.studentQuantile(twoSided: row[0] / 10, degrees: row[1]), row[3]))
        }
    }

    @Test("have SciPy's paired t-test and Nadeau's and Bengio's correction of it")
    func paired() {
        let differences = golden["differences"]?.numbers ?? []
        let share = golden["test_share"]?.doubleValue ?? 0
        let plain = PairedTests.paired(differences)
        let corrected = PairedTests.correctedResampled(differences, testShare: share)
        for (result, name) in [(plain, "paired"), (corrected, "corrected")] {
            let expected = golden[name]?.numbers ?? []
            let interval = golden["\(name)_ci"]?.numbers ?? []
            #expect(isNear(result.statistic, expected[0]) && isNear(result.pValue, expected[1]))
            #expect(isNear(result.interval.lowerBound, interval[0]) && isNear(result.interval.upperBound, interval[1]))
        }
        #expect(PairedTests.paired([0, 0, 0]).pValue == 1 && PairedTests.paired([0.1, 0.1]).pValue == 0)
        #expect(PairedTests.paired([0.1]).pValue.isNaN)
    }

    @Test("are many, which statsmodels' Holm adjustment allows for")
    func holm() {
        let found = PairedTests.adjustedForNumber(golden["p_values"]?.numbers ?? [])
        let expected = golden["holm"]?.numbers ?? []
        #expect(found.count == expected.count && !found.isEmpty)
        for (a, b) in zip(found, expected) { #expect(isNear(a, b)) }
    }

    @Test("have intervals by resampling that NumPy's percentiles confirm", arguments: CalibrationTests.cases)
    func bootstrap(_ example: Case) {
        let draws = example.json["draws"]?.integers ?? []
        var next = 0
        let bootstrap = Bootstrap([example.evaluation], resamples: draws.count / example.evaluation.count) {
            next += 1
            return draws[next - 1]
        }
        let expected = example.json["intervals"]?.numbers ?? []
        let found = [bootstrap.macroF1, bootstrap.logLoss, bootstrap.calibrationError].flatMap {
            [$0.lowerBound, $0.upperBound]
        }
        #expect(expected.count == found.count)
        // torchmetrics computes the calibration error in single precision.
        for (a, b) in zip(found, expected) { #expect(isNear(a, b, within: 1e-6)) }
    }

    @Test("are drawn the same way for the same seed")
    func seeded() {
        let evaluation = CalibrationTests.cases[0].evaluation
        #expect(Bootstrap([evaluation], seed: 1).logLoss == Bootstrap([evaluation], seed: 1).logLoss)
        #expect(Bootstrap([evaluation], seed: 1).logLoss != Bootstrap([evaluation, evaluation], seed: 2).logLoss)
    }

    // MARK: Verdicts

    /// Right on all but some of the images.
    private func evaluation(wrong: Range<Int>, of count: Int) -> Evaluation {
        let labels = (0..<count).map { $0 % 2 }
        let rows = labels.enumerated().map { index, label in
            let ofLabel = wrong.contains(index) ? 0.2 : 0.8
            return label == 0 ? [ofLabel, 1 - ofLabel] : [1 - ofLabel, ofLabel]
        }
        return Evaluation(probabilities: rows, labels: labels, classes: ["a", "b"])
    }

    private func contestant(_ name: String, _ evaluations: [Evaluation], seconds: Double) -> Comparison.Contestant {
        Comparison.Contestant(
            name: name, evaluations: evaluations,
            cost: .init(seconds: seconds, processorSeconds: seconds, peakMegabytes: 1, trainableParameters: 1))
    }

    @Test("two images apart are not measurably different, and the faster one is advised")
    func noise() {
        // The tutorial's own figures: 93.5 % and 94.8 % of 153.
        let comparison = Comparison(
            [
                contestant("all", [evaluation(wrong: 0..<10, of: 153)], seconds: 400),
                contestant("head", [evaluation(wrong: 0..<8, of: 153)], seconds: 10),
                contestant("last", [evaluation(wrong: 1..<8, of: 153)], seconds: 100),
            ], .oneSet, seed: 0)
        #expect(comparison.best == "last" && comparison.recommended == "head")
        #expect(comparison.pValue == 1)
        #expect(comparison.advice.contains("Use head") && comparison.advice.contains("No measurable difference (p = "))
        #expect(comparison.advice.contains("it takes less time (10 times faster)."))
        #expect(comparison.advice.contains("With 153 test images no difference below "))
        #expect(comparison.pairs.count == 3 && comparison.pairs[0].rawPValue == 0.5)
    }

    @Test("far apart are told apart, and the better one is taken at its price")
    func real() {
        let comparison = Comparison(
            [
                contestant("head", [evaluation(wrong: 0..<40, of: 200)], seconds: 10),
                contestant("all", [evaluation(wrong: 0..<10, of: 200)], seconds: 80),
            ], .oneSet, seed: 0)
        #expect(comparison.best == "all" && comparison.recommended == "all" && comparison.pValue < 0.001)
        #expect(
            comparison.advice.contains("Use all: it is significantly better than ")
                && comparison.advice.contains("8.0 times"))
    }

    @Test("that did not train, or are worse than the head, are named and left out of the advice")
    func failures() {
        let head = Comparison.Contestant(
            name: "head", evaluations: [evaluation(wrong: 0..<20, of: 200)],
            cost: .init(seconds: 10, processorSeconds: 10, peakMegabytes: 1, trainableParameters: 1), isHead: true)
        let unchanged = Comparison.Contestant(
            name: "last", evaluations: [evaluation(wrong: 0..<20, of: 200)],
            cost: .init(seconds: 1, processorSeconds: 1, peakMegabytes: 1, trainableParameters: 1),
            failure: "no epoch was better than its start on the validation images")
        let comparison = Comparison(
            [
                head, unchanged, contestant("all", [evaluation(wrong: 0..<50, of: 200)], seconds: 5),
                contestant("scratch", [evaluation(wrong: 0..<150, of: 200)], seconds: 5),
            ], .oneSet, seed: 0)
        #expect(comparison.recommended == "head" && comparison.best == "head")
        #expect(comparison.standings.map { $0.failure == nil } == [true, false, false, false])
        for words in [
            "scratch: its log-loss is no better than that of chance", "last: no epoch was better",
            "all: its accuracy is significantly below that of head", "--lr",
        ] {
            #expect(comparison.advice.contains(words), "\(comparison.advice)")
        }
    }

    @Test("of which none is better than its start give way to the head alone")
    func noGain() {
        let failed = ["last", "all"].map {
            Comparison.Contestant(
                name: $0, evaluations: [evaluation(wrong: 0..<20, of: 200)],
                cost: .init(seconds: 1, processorSeconds: 1, peakMegabytes: 1, trainableParameters: 1), failure: "why")
        }
        let without = Comparison(failed, .oneSet, seed: 0)
        #expect(without.advice.hasPrefix("Train the head alone") && without.advice.contains("last: why; all: why"))
        let head = contestant("head", [evaluation(wrong: 0..<20, of: 200)], seconds: 1)
        let with = Comparison([head] + failed, .oneSet, seed: 0, diverged: [("lp-ft", "the training diverged")])
        #expect(with.advice.hasPrefix("Use head (90.0 %): no other strategy improved on it."))
        #expect(with.advice.contains("lp-ft: the training diverged") && with.recommended == "head")
    }

    @Test("that agree on two divisions by chance are not told apart, and none that is worse and slower is advised")
    func twoDivisions() {
        func on(_ wrong: Int...) -> [Evaluation] { wrong.map { evaluation(wrong: 0..<$0, of: 80) } }
        let comparison = Comparison(
            [
                contestant("head", on(45, 45), seconds: 1), contestant("all", on(44, 44), seconds: 9),
                contestant("fine-tune", on(50, 60), seconds: 7),
            ], .divisions(testShare: 0.25), seed: 0)
        #expect(comparison.recommended == "head" && comparison.pValue > 0.2)
        #expect(
            comparison.standings.allSatisfy { $0.accuracy.interval.upperBound - $0.accuracy.interval.lowerBound > 0.1 })
    }

    @Test("over folds are told apart only where every fold agrees")
    func folds() {
        func runs(_ wrong: [Int]) -> [Evaluation] { wrong.map { evaluation(wrong: 0..<$0, of: 50) } }
        let agreed = Comparison(
            [
                contestant("head", runs([10, 11, 10, 12, 11]), seconds: 1),
                contestant("all", runs([2, 3, 3, 4, 2]), seconds: 9),
            ], .divisions(testShare: 0.25), seed: 0)
        #expect(agreed.recommended == "all" && agreed.pairs[0].test == "corrected resampled t")
        let mixed = Comparison(
            [
                contestant("head", runs([10, 3, 10, 12, 5]), seconds: 1),
                contestant("all", runs([2, 9, 3, 4, 12]), seconds: 9),
            ], .divisions(testShare: 0.25), seed: 0)
        #expect(mixed.recommended == "head" && mixed.best == "all")
    }

    @Test("in several runs on the same images are held against each other image by image")
    func seeds() {
        func runs(_ wrong: [Range<Int>]) -> [Evaluation] { wrong.map { evaluation(wrong: $0, of: 60) } }
        let comparison = Comparison(
            [
                contestant("head", runs([0..<12, 0..<15]), seconds: 1),
                contestant("all", runs([0..<2, 0..<3]), seconds: 9),
            ], .oneSet, seed: 0)
        #expect(comparison.pairs[0].test == "paired t over images" && comparison.recommended == "all")
        #expect(isNear(comparison.standings[0].accuracy.value, 1 - 13.5 / 60))
        let interval = comparison.standings[0].macroF1.interval
        #expect(interval.contains(comparison.standings[0].macroF1.value) && interval.upperBound < 0.95)
    }

    @Test("alone have nothing to be held against")
    func alone() {
        let comparison = Comparison(
            [contestant("head", [evaluation(wrong: 0..<4, of: 20)], seconds: 1)], .oneSet, seed: 0)
        #expect(comparison.pValue == 1 && comparison.advice.contains("Only head"))
        #expect(comparison.json["strategies"]?.arrayValue?.count == 1)
    }
}
