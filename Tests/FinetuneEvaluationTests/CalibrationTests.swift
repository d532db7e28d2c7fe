// Temperatures against SciPy's minimum, thresholds against scikit-learn's curve.

import FinetuneEvaluation
import FinetuneFiles
import Glibc
import TestSupport
import Testing

@Suite("Calibration") struct CalibrationTests {
    static let cases = Case.all.filter { $0.json["temperature"] != nil }

    @Test("there are fixtures") func hasFixtures() { #expect(!Self.cases.isEmpty) }

    @Test("finds the temperature of least log-loss", arguments: cases)
    func temperature(_ example: Case) {
        let found = Temperature.fit(example.evaluation)
        // A minimum is flat: its place is known to the root of the precision of its value.
        #expect(isNear(found, example.json["temperature"]?.doubleValue, within: 1e-6))
        let scaled = example.evaluation.scaled(by: found)
        #expect(isNear(scaled.logLoss, example.json["scaled_log_loss"]?.doubleValue))
        #expect(scaled.predictions == example.evaluation.predictions)
    }

    @Test("keeps rows that sum to one, and certainty as it is")
    func rows() {
        #expect(Temperature.apply(2, to: [1, 0]) == [1, 0])
        let row = Temperature.apply(0.5, to: [0.6, 0.4])
        #expect(isNear(row[0], 0.36 / 0.52) && isNear(row.reduce(0, +), 1))
    }

    /// Images that are right as often as `accuracy` says, each time with the same confidence.
    private func evaluation(count: Int, accuracy: Double, confidence: Double) -> Evaluation {
        let labels = (0..<count).map { $0 % 2 }
        let rows = labels.enumerated().map { index, label in
            let isRight = Double(index / 2 % 10) < accuracy * 10
            let ofLabel = isRight ? confidence : 1 - confidence
            return label == 0 ? [ofLabel, 1 - ofLabel] : [1 - ofLabel, ofLabel]
        }
        return Evaluation(probabilities: rows, labels: labels, classes: ["a", "b"])
    }

    @Test("mends a model that is too sure, and leaves one alone that is not or that few images tell of")
    func calibration() throws {
        let sure = try #require(Calibration(evaluation(count: 80, accuracy: 0.8, confidence: 0.99)))
        // softmax(z / T) is right with 0.8 where log(99) / T = log(4).
        #expect(isNear(sure.temperature, 4.59512 / 1.386294, within: 1e-4))
        #expect(sure.logLoss.after < sure.logLoss.before && sure.calibrationError.after < 0.05)
        #expect(sure.json["images"]?.intValue == 80)
        #expect(Calibration(evaluation(count: 80, accuracy: 0.8, confidence: 0.8)) == nil)
        #expect(Calibration(evaluation(count: 80, accuracy: 1, confidence: 0.9)) == nil)
        #expect(Calibration(evaluation(count: 18, accuracy: 0.8, confidence: 0.99)) == nil)
        for confidence in [0.501, 0.6, 0.9999] {
            #expect(Calibration(evaluation(count: 80, accuracy: 1, confidence: confidence)) == nil, "\(confidence)")
        }
        // Ranked as well, by probabilities that are almost equal.
        let flat = try #require(Calibration(evaluation(count: 80, accuracy: 0.8, confidence: 0.501)))
        #expect(isNear(flat.temperature, log(0.501 / 0.499) / 1.386294, within: 1e-5))
        #expect(flat.logLoss.after < 0.55 && flat.logLoss.before > 0.69)
    }

    @Test("does not choke on a label of probability 0")
    func impossible() {
        let evaluation = Evaluation(
            probabilities: Array(repeating: [1, 0], count: 30), labels: (0..<30).map { $0 % 2 }, classes: ["a", "b"])
        #expect(Temperature.fit(evaluation).isFinite)
        #expect(Calibration(evaluation)?.logLoss.after.isFinite != false)
    }

    @Test("bins hold every image once")
    func bins() {
        for example in Self.cases {
            #expect(example.evaluation.reliability.reduce(0) { $0 + $1.count } == example.evaluation.count)
        }
    }

    @Test("thresholds that reach a sensitivity or specificity are those of scikit-learn's curve")
    func thresholds() throws {
        let example = try #require(Case.all.first { $0.json["points"] != nil })
        let points = example.json["points"]?.numbers ?? []
        for start in stride(from: 0, to: points.count, by: 6) {
            let wanted = points[start]
            let found = try #require(OperatingPoint(.sensitivity(wanted), positive: 1, in: example.evaluation))
            #expect(isNear(found.threshold, points[start + 1]))
            #expect(isNear(found.sensitivity, points[start + 2]) && isNear(found.specificity, points[start + 3]))
            let other = try #require(OperatingPoint(.specificity(wanted), positive: 1, in: example.evaluation))
            #expect(isNear(other.sensitivity, points[start + 4]) && isNear(other.specificity, points[start + 5]))
        }
    }

    @Test("an operating point wants two classes with images")
    func onePoint() {
        let one = Evaluation(probabilities: [[0.9, 0.1]], labels: [0], classes: ["a", "b"])
        #expect(OperatingPoint(.sensitivity(0.9), positive: 1, in: one) == nil)
        let three = Evaluation(probabilities: [[0.9, 0.1, 0]], labels: [0], classes: ["a", "b", "c"])
        #expect(OperatingPoint(.half, positive: 1, in: three) == nil)
    }
}
