// Wrong labels against SciPy's optimum, and what a weak classifier may say of them.

import FinetuneEvaluation
import FinetuneFiles
import TestSupport
import Testing

@Suite("Label errors") struct LabelErrorTests {
    static let cases = ((try? Fixtures.json("label_noise.json"))?["cases"]?.arrayValue ?? []).map(Case.init)

    @Test("there are fixtures") func hasFixtures() { #expect(!Self.cases.isEmpty) }

    @Test("have SciPy's temperature, fraction and probabilities", arguments: cases)
    func optimum(_ example: Case) {
        let errors = LabelErrors(
            probabilities: example.evaluation.probabilities, labels: example.evaluation.labels)
        // A minimum is flat: its place is known to the root of the precision of its value.
        #expect(isNear(errors.temperature, example.json["temperature"]?.doubleValue, within: 1e-5))
        #expect(isNear(errors.wrongFraction, example.json["fraction"]?.doubleValue, within: 1e-5))
        let expected = example.json["errors"]?.numbers ?? []
        #expect(zip(errors.probabilities, expected).allSatisfy { abs($0 - $1) < 1e-5 })
        let likely = expected.indices.filter { expected[$0] > 0.5 }
        #expect(Set(errors.suspicions.map(\.index)) == Set(likely))
        #expect(errors.suspicions.map(\.probability) == errors.suspicions.map(\.probability).sorted(by: >))
    }

    @Test("are most of those that were planted, and few others")
    func planted() throws {
        for example in Self.cases.dropLast() {
            let planted = Set(example.json["changed"]?.integers ?? [])
            let errors = LabelErrors(
                probabilities: example.evaluation.probabilities, labels: example.evaluation.labels)
            let found = errors.suspicions.filter { planted.contains($0.index) }
            #expect(errors.isConclusive && 2 * found.count > planted.count)
            #expect(Double(found.count) > 0.7 * Double(errors.suspicions.count))
            for suspicion in errors.suspicions {
                #expect(suspicion.suggestion != suspicion.label && (0.5...1).contains(suspicion.probability))
            }
        }
    }

    @Test("are not named by a classifier that is mostly wrong, or never sure")
    func weak() {
        let classes = 50
        let labels = (0..<500).map { $0 % classes }
        // Right in 30 of 100 images, and as sure when it is wrong.
        let guesses = labels.indices.map { $0 % 10 < 3 ? labels[$0] : ($0 * 7 + 1) % classes }
        func rows(_ confidence: Double) -> [[Double]] {
            guesses.map { guess in
                (0..<classes).map { $0 == guess ? confidence : (1 - confidence) / Double(classes - 1) }
            }
        }
        let wrong = LabelErrors(probabilities: rows(0.99), labels: labels)
        #expect(!wrong.isConclusive && wrong.suspicions.isEmpty && isNear(wrong.accuracy, 0.3, within: 0.01))
        let pairs = (0..<100).map { $0 % 2 }
        let unsure = LabelErrors(
            probabilities: pairs.indices.map { $0 % 3 == 0 ? [0.4, 0.6] : pairs[$0] == 0 ? [0.6, 0.4] : [0.4, 0.6] },
            labels: pairs)
        #expect(!unsure.isConclusive && unsure.suspicions.isEmpty)
    }

    @Test("are not found where the classifier is always right, or where there is one image")
    func sound() {
        let labels = (0..<60).map { $0 % 3 }
        let rows = labels.map { label in (0..<3).map { $0 == label ? 1.0 : 0 } }
        let errors = LabelErrors(probabilities: rows, labels: labels)
        #expect(errors.suspicions.isEmpty && errors.accuracy == 1 && errors.wrongFraction < 0.05)
        #expect(LabelErrors(probabilities: [[0.5, 0.5]], labels: [0]).suspicions.isEmpty)
    }

    @Test("never suggest a class without images")
    func emptyClass() {
        // The third class has no image, and a classifier that never saw it gives it nothing.
        let labels = (0..<100).map { $0 % 2 }
        let rows = labels.indices.map { index in
            let shown = index < 4 ? 1 - labels[index] : labels[index]
            return shown == 0 ? [0.999, 0.001, 0] : [0.001, 0.999, 0]
        }
        let errors = LabelErrors(probabilities: rows, labels: labels)
        #expect(errors.suspicions.map(\.index) == [0, 1, 2, 3] && !errors.suspicions.contains { $0.suggestion == 2 })
    }
}
