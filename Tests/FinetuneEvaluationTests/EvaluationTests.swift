// Scores against scikit-learn's and SciPy's on the same predictions.

import FinetuneEvaluation
import FinetuneFiles
import TestSupport
import Testing

private struct Case: Sendable, CustomTestStringConvertible {
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
    @Test("there are fixtures") func hasFixtures() { #expect(Case.all.count == 4) }

    @Test("has scikit-learn's scores", arguments: Case.all)
    private func scores(_ example: Case) {
        for key in ["accuracy", "top5", "macro_f1", "log_loss", "ece"] {
            let (found, expected) = (
                example.evaluation.json[key]?.doubleValue ?? .nan, example.json[key]?.doubleValue ?? 0
            )
            #expect(abs(found - expected) < 1e-9, "\(key): \(found), \(expected)")
        }
        let interval = zip(
            example.evaluation.json["accuracy_ci"]?.numbers ?? [], example.json["accuracy_ci"]?.numbers ?? [])
        for (found, expected) in interval { #expect(abs(found - expected) < 1e-9) }
    }

    @Test("has scikit-learn's scores of each class", arguments: Case.all)
    private func classes(_ example: Case) {
        let rows = example.evaluation.perClass
        #expect(rows.map(\.support) == example.json["support"]?.integers)
        for (key, found) in [
            ("precision", rows.map(\.precision)), ("recall", rows.map(\.recall)), ("f1", rows.map(\.f1)),
        ] {
            for (a, b) in zip(found, example.json[key]?.numbers ?? []) { #expect(abs(a - b) < 1e-12, "\(key)") }
        }
        #expect(example.evaluation.confusion.flatMap(\.self) == example.json["confusion"]?.integers)
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
