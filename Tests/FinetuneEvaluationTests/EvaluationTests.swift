// Scores against scikit-learn's and SciPy's on the same predictions.

import FinetuneEvaluation
import FinetuneFiles
import TestSupport
import Testing

/// Whether both are there and the same to rounding, or neither is there.
func isNear(_ a: Double?, _ b: Double?, within tolerance: Double = 1e-9) -> Bool {
    guard let a, let b else { return a == nil && b == nil }
    return abs(a - b) <= tolerance * max(1, abs(b))
}

struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let json: JSON
    let evaluation: Evaluation

    init(_ json: JSON) {
        testDescription = json["name"]?.stringValue ?? ""
        self.json = json
        let classes = json["classes"]?.intValue ?? 1
        let flat = json["probabilities"]?.numbers ?? []
        evaluation = Evaluation(
            probabilities: stride(from: 0, to: flat.count, by: classes).map { Array(flat[$0..<$0 + classes]) },
            labels: json["labels"]?.integers ?? [], classes: (0..<classes).map { "class \($0)" })
    }

    static let all = ((try? Fixtures.json("metrics.json"))?["cases"]?.arrayValue ?? []).map(Case.init)
}

@Suite("An evaluation") struct EvaluationTests {
    @Test("there are fixtures") func hasFixtures() { #expect(!Case.all.isEmpty) }

    @Test("has scikit-learn's scores", arguments: Case.all)
    func scores(_ example: Case) {
        for key in ["accuracy", "top5", "macro_f1", "log_loss", "brier", "ece"] {
            let (found, expected) = (
                example.evaluation.json[key]?.doubleValue ?? .nan, example.json[key]?.doubleValue ?? 0
            )
            // torchmetrics computes the calibration error in single precision.
            #expect(abs(found - expected) < (key == "ece" ? 1e-6 : 1e-9), "\(key): \(found), \(expected)")
        }
        #expect(isNear(example.evaluation.json["roc_auc"]?.doubleValue, example.json["roc_auc"]?.doubleValue))
        for average in ["macro", "weighted"] {
            for key in ["precision", "recall", "f1"] {
                let found = example.evaluation.json[average]?[key]?.doubleValue
                #expect(isNear(found, example.json[average]?[key]?.doubleValue), "\(average) \(key)")
            }
        }
        let interval = zip(
            example.evaluation.json["accuracy_ci"]?.numbers ?? [], example.json["accuracy_ci"]?.numbers ?? [])
        for (found, expected) in interval { #expect(abs(found - expected) < 1e-9) }
    }

    @Test("has scikit-learn's scores of each class", arguments: Case.all)
    func classes(_ example: Case) {
        let rows = example.evaluation.perClass
        #expect(rows.map(\.support) == example.json["support"]?.integers)
        for (key, found) in [
            ("precision", rows.map(\.precision)), ("recall", rows.map(\.recall)), ("f1", rows.map(\.f1)),
        ] {
            for (a, b) in zip(found, example.json[key]?.numbers ?? []) { #expect(abs(a - b) < 1e-12, "\(key)") }
        }
        for (found, expected) in zip(example.evaluation.rocAUC, example.json["areas"]?.arrayValue ?? []) {
            #expect(isNear(found, expected.doubleValue))
        }
        #expect(example.evaluation.confusion.flatMap(\.self) == example.json["confusion"]?.integers)
    }

    @Test("names the surest mistakes first")
    func mistakes() {
        let evaluation = Evaluation(
            probabilities: [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]], labels: [1, 0, 1, 0],
            classes: ["a", "b"])
        #expect(evaluation.mistakes(5).map(\.index) == [0, 3, 1])
        let first = evaluation.mistakes(1)[0]
        #expect((first.label, first.prediction) == (1, 0) && first.probability == 0.9)
    }

    @Test("of no images has no score, and nothing to divide by")
    func nothing() {
        let evaluation = Evaluation(probabilities: [], labels: [], classes: ["a", "b"])
        #expect(evaluation.accuracy.isNaN && evaluation.rocAUC == [nil, nil] && evaluation.macroROCAUC == nil)
        #expect(evaluation.json["roc_auc"] == .null && Calibration(evaluation) == nil)
    }

    @Test("counts ties for the first class")
    func ties() {
        let evaluation = Evaluation(probabilities: [[0.5, 0.5], [0.5, 0.5]], labels: [0, 1], classes: ["a", "b"])
        #expect(evaluation.predictions == [0, 0] && evaluation.accuracy == 0.5)
    }

    @Test("writes its confusion matrix with quoted names")
    func confusionCSV() {
        let evaluation = Evaluation(probabilities: [[1, 0]], labels: [0], classes: ["a, b", "c"])
        #expect(evaluation.confusionCSV == "true \\ predicted,\"a, b\",c\n\"a, b\",1,0\nc,0,0\n")
    }
}
