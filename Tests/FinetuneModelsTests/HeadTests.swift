// Heads against scikit-learn's optima, and the parts they are made of against closed forms.

import FinetuneEngine
import FinetuneFiles
import Glibc
import TestSupport
import Testing

@testable import FinetuneModels

private struct Problem: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let json: JSON
    let features: Tensor
    let labels: [Int]
    let classCount: Int

    init(_ json: JSON) {
        testDescription = json["name"]?.stringValue ?? ""
        self.json = json
        features = Tensor(
            shape: json["shape"]?.integers ?? [], values: json["features"]?.numbers.map { Float($0) } ?? [])
        labels = json["labels"]?.integers ?? []
        classCount = json["classes"]?.intValue ?? 0
    }

    static let all = ((try? Fixtures.json("heads.json"))?["problems"]?.arrayValue ?? []).map(Problem.init)

    var standardized: HeadProblem {
        HeadProblem(
            features: Standardization(fitting: features).apply(features), labels: labels, classCount: classCount,
            folds: nil)
    }

    /// A head on raw features that learned from scaled ones.
    func fit(_ kind: ConvexHead, _ scaling: FeatureScaling, _ folds: [Int]?) -> DenseHead {
        let scaling = try? scaling.fit(features)
        let problem = HeadProblem(
            features: scaling?.apply(features) ?? features, labels: labels, classCount: classCount, folds: folds)
        let head = kind.fit(problem, threads: 1) { _, _ in }
        let folded = scaling?.folded(weight: head.weight, bias: head.bias) ?? (weight: head.weight, bias: head.bias)
        return DenseHead(weight: folded.weight, bias: folded.bias, record: head.record)
    }
}

@Suite("Heads") struct HeadTests {
    @Test("there are fixtures") func hasFixtures() { #expect(!Problem.all.isEmpty) }

    @Test("standardization has StandardScaler's mean and scale", arguments: Problem.all)
    private func standardization(_ problem: Problem) {
        let scaling = Standardization(fitting: problem.features)
        for (found, expected) in zip(
            scaling.mean + scaling.deviation,
            (problem.json["mean"]?.numbers ?? []) + (problem.json["scale"]?.numbers ?? []))
        {
            #expect(abs(found - expected) < 1e-6 * max(1, abs(expected)))  // Features are single precision.
        }
    }

    @Test("logistic regression reaches scikit-learn's optimum", arguments: Problem.all)
    private func logistic(_ problem: Problem) {
        for fit in problem.json["logistic"]?.arrayValue ?? [] {
            let strength = fit["strength"]?.doubleValue ?? 1
            let expected = fit["objective"]?.doubleValue ?? 0
            let found = LogisticHead.solve(problem.standardized, strength: strength, from: nil)
            let objective = found.value * strength * Double(problem.labels.count)
            // scikit-learn's binomial penalty is written for one vector of weights, ours for the two of softmax.
            #expect(abs(objective - expected) < 1e-4 * expected, "strength \(strength): \(objective), \(expected)")
        }
    }

    @Test("cross-validation chooses scikit-learn's strength and gives its predictions", arguments: Problem.all)
    private func crossValidation(_ problem: Problem) {
        guard let folds = problem.json["folds"]?.integers else { return }
        #expect(StratifiedFolds.assign(labels: problem.labels, count: 3) == folds)
        let head = problem.fit(.logistic, .standardize, folds)
        let chosen = head.record["strength"]?.doubleValue ?? 0
        #expect(abs(chosen / (problem.json["chosen"]?.doubleValue ?? 0) - 1) < 1e-9)
        let predictions = Softmax.probabilities(problem.features.dense(weight: head.weight, bias: head.bias)).map {
            row in
            row.firstIndex(of: row.max() ?? 0) ?? -1
        }
        #expect(predictions == problem.json["predictions"]?.integers)
    }

    @Test("ridge regression has RidgeClassifier's decision values", arguments: Problem.all)
    private func ridge(_ problem: Problem) {
        for fit in problem.json["ridge"]?.arrayValue ?? [] {
            let head = RidgeHead.solve(problem.standardized, strengths: [fit["strength"]?.doubleValue ?? 1])[0]
            let found = problem.standardized.features.rows(Array(0..<5)).dense(weight: head.weight, bias: head.bias)
                .values
            let expected = fit["decision"]?.numbers ?? []
            // With two classes scikit-learn gives the second one's value alone.
            let comparable = problem.classCount == 2 ? stride(from: 1, to: found.count, by: 2).map { found[$0] } : found
            #expect(comparable.count == expected.count)
            for (a, b) in zip(comparable, expected) { #expect(abs(Double(a) - b) < 1e-4) }
        }
    }

    @Test(
        "every head works with a class of one image and fewer images than features", arguments: Problem.all,
        ConvexHead.allCases)
    private func small(_ problem: Problem, _ kind: ConvexHead) {
        let folds = StratifiedFolds.assign(labels: problem.labels, count: 3)
        let head = problem.fit(kind, .standardize, folds)
        #expect(head.weight.shape == [problem.classCount, problem.features.shape[1]])
        #expect(head.weight.values.allSatisfy(\.isFinite) && head.bias.values.allSatisfy(\.isFinite))
        let rows = Softmax.probabilities(problem.features.dense(weight: head.weight, bias: head.bias))
        let hits = zip(rows, problem.labels).count { $0.firstIndex(of: $0.max() ?? 0) == $1 }
        #expect(hits * 2 > problem.labels.count)
    }

    @Test("the logistic loss has the gradient of central differences")
    func gradient() throws {
        let problem = try #require(Problem.all.first).standardized
        let value = { (x: [Double]) -> Double in
            var unused = [Double](repeating: 0, count: x.count)
            var loss = LogisticLoss(problem, penalty: 0.3)
            return loss.evaluate(x, &unused)
        }
        var x = (0..<(problem.classCount * (problem.features.shape[1] + 1))).map { 0.3 * sin(Double($0)) }
        var gradient = [Double](repeating: 0, count: x.count)
        var loss = LogisticLoss(problem, penalty: 0.3)
        _ = loss.evaluate(x, &gradient)
        for index in x.indices {
            let (step, old) = (1e-2, x[index])
            x[index] = old + step
            let above = value(x)
            x[index] = old - step
            let below = value(x)
            x[index] = old
            #expect(abs((above - below) / (2 * step) - gradient[index]) < 2e-4)  // Products are single precision.
        }
    }

    @Test("L-BFGS finds the minimum of Rosenbrock's function")
    func rosenbrock() {
        var solver = LBFGS()
        solver.tolerance = 1e-9
        let result = solver.minimize(from: [-1.2, 1]) { x, gradient in
            let (a, b) = (1 - x[0], x[1] - x[0] * x[0])
            gradient = [-2 * a - 400 * x[0] * b, 200 * b]
            return a * a + 100 * b * b
        }
        #expect(abs(result.x[0] - 1) < 1e-6 && abs(result.x[1] - 1) < 1e-6)
    }

    @Test("folds keep a group whole and every class in reach")
    func groups() {
        let labels = (0..<60).map { $0 % 3 }
        let groups = (0..<60).map { "animal \($0 / 4)" }
        let folds = StratifiedFolds.assign(labels: labels, groups: groups, count: 3)
        for (_, members) in Dictionary(grouping: labels.indices, by: { groups[$0] }) {
            #expect(Set(members.map { folds[$0] }).count == 1)
        }
        for fold in 0..<3 { #expect(Set(labels.indices.filter { folds[$0] == fold }.map { labels[$0] }) == [0, 1, 2]) }
    }
}
