// Feature scaling, class weights and initializers against scikit-learn and PyTorch.

import FinetuneEngine
import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneModels

private let golden = (try? Fixtures.json("scaling.json")) ?? .null

private struct Sample: Sendable, CustomTestStringConvertible {
    let json: JSON
    var testDescription: String { json["name"]?.stringValue ?? "" }
    var features: Tensor {
        Tensor(shape: json["shape"]?.integers ?? [], values: (json["features"]?.numbers ?? []).map { Float($0) })
    }
    var labels: [Int] { json["labels"]?.integers ?? [] }
    var classCount: Int { json["classes"]?.intValue ?? 0 }

    static func all(_ key: String) -> [Sample] { (golden[key]?.arrayValue ?? []).map { Sample(json: $0) } }
}

@Suite("Feature scaling") struct ScalingTests {
    @Test("there are fixtures") func hasFixtures() {
        for key in ["components", "balanced", "initializers"] { #expect(!Sample.all(key).isEmpty, "\(key)") }
    }

    @Test("has the components and the variances of PCA, whitened and not", arguments: Sample.all("components"))
    private func principalComponents(_ sample: Sample) throws {
        let columns = sample.features.shape[1]
        for fit in try #require(sample.json["fits"]?.arrayValue) {
            let count = try #require(fit["count"]?.intValue)
            let isWhite = fit["whiten"]?.boolValue == true
            let scaling = try (isWhite ? FeatureScaling.whiten(count) : .pca(count)).fit(sample.features)
            let found = scaling.apply(sample.features)
            #expect(found.shape == [sample.features.shape[0], count] && columns >= count)
            let expected = try #require(fit["values"]).numbers
            let largest = expected.reduce(0) { max($0, abs($1)) }
            for component in 0..<count {
                let pairs = stride(from: component, to: expected.count, by: count).map {
                    (Double(found.values[$0]), expected[$0])
                }
                // Signs aside.
                let sign: Double = pairs.reduce(0) { $0 + $1.0 * $1.1 } < 0 ? -1 : 1
                for (a, b) in pairs { #expect(abs(sign * a - b) < 1e-5 * largest, "component \(component)") }
            }
            let ratio = try #require(scaling.record["explained_variance_ratio"]).numbers
            for (a, b) in zip(ratio, try #require(fit["ratio"]).numbers) { #expect(abs(a - b) < 1e-5) }
            #expect(ratio.count == count)
        }
    }

    @Test("brings rows to length 1 as Normalizer does", arguments: Sample.all("components"))
    private func unitLength(_ sample: Sample) throws {
        let found = try FeatureScaling.l2.fit(sample.features).apply(sample.features)
        for (a, b) in zip(found.values, try #require(sample.json["unit"]).numbers) {
            #expect(abs(Double(a) - b) < 1e-6)
        }
    }

    @Test(
        "folds into the layer that reads it",
        arguments: Sample.all("components"), ["none", "standardize", "pca:3", "whiten", "whiten:4"])
    private func folding(_ sample: Sample, _ text: String) throws {
        let scaling = try #require(FeatureScaling(text)).fit(sample.features)
        var random = RandomNumbers(seed: 5, stream: 0)
        let weight = Initialization.xavier.tensor([3, scaling.outputs], &random)
        let bias = Tensor(shape: [3], values: [0.5, -1, 2])
        let expected = scaling.apply(sample.features).dense(weight: weight, bias: bias).values
        let folded = scaling.folded(weight: weight, bias: bias)
        let found = sample.features.dense(weight: folded.weight, bias: folded.bias).values
        let largest = expected.reduce(0) { max($0, abs($1)) }
        for (a, b) in zip(found, expected) { #expect(abs(a - b) < 2e-4 * largest, "\(a), \(b)") }
    }

    @Test("leaves out what has no variance, and says when too much is asked for")
    func refusals() throws {
        let rows = 6
        let features = Tensor(
            shape: [rows, 4], values: (0..<rows).flatMap { [Float($0), 2 * Float($0), 7, Float($0 * $0)] })
        let white = try FeatureScaling.whiten(nil).fit(features)
        #expect(white.outputs == 2 && white.record["components_without_variance"] == 2)
        #expect(throws: ScalingError.self) { _ = try FeatureScaling.pca(3).fit(features) }
        #expect(throws: ScalingError.self) {
            _ = try FeatureScaling.whiten(nil).fit(Tensor(shape: [3, 2], repeating: 1))
        }
        #expect(throws: ScalingError.self) {
            _ = try FeatureScaling.pca(1).fit(Tensor(shape: [3, 2], repeating: .nan))
        }
        for text in ["pca", "pca:0", "pca:x", "whiten:", "none:3", "zca", "standardize:1"] {
            #expect(FeatureScaling(text) == nil, "\(text)")
        }
        for text in ["none", "standardize", "l2", "pca:7", "whiten", "whiten:3"] {
            #expect(FeatureScaling(text)?.text == text)
        }
    }
}

@Suite("Balanced classes") struct BalancedTests {
    @Test("weigh as scikit-learn's, and lead to its optima", arguments: Sample.all("balanced"))
    private func balanced(_ sample: Sample) throws {
        let features = Standardization(fitting: sample.features).apply(sample.features)
        let weights = ClassWeights.balanced.factors(labels: sample.labels, classCount: sample.classCount)
        for (a, b) in zip(weights, try #require(sample.json["weights"]).numbers) { #expect(abs(a - b) < 1e-12) }
        let problem = HeadProblem(
            features: features, labels: sample.labels, classCount: sample.classCount, classWeights: weights, folds: nil)
        for fit in try #require(sample.json["logistic"]?.arrayValue) {
            let (strength, expected) = (fit["strength"]?.doubleValue ?? 1, fit["objective"]?.doubleValue ?? 0)
            let found = LogisticHead.solve(problem, strength: strength, from: nil)
            let objective = found.value * strength * Double(sample.labels.count)
            #expect(abs(objective - expected) < 1e-4 * expected, "strength \(strength): \(objective), \(expected)")
        }
        for fit in try #require(sample.json["ridge"]?.arrayValue) {
            let head = RidgeHead.solve(problem, strengths: [fit["strength"]?.doubleValue ?? 1])[0]
            let found = features.rows(Array(0..<5)).dense(weight: head.weight, bias: head.bias).values
            let comparable = sample.classCount == 2 ? stride(from: 1, to: found.count, by: 2).map { found[$0] } : found
            for (a, b) in zip(comparable, try #require(fit["decision"]).numbers) { #expect(abs(Double(a) - b) < 1e-4) }
        }
        var chosen = problem
        chosen.folds = StratifiedFolds.assign(labels: sample.labels, count: 3)
        let record = ConvexHead.logistic.fit(chosen, threads: 1) { _, _ in }.record
        #expect(abs((record["strength"]?.doubleValue ?? 0) / (sample.json["chosen"]?.doubleValue ?? 1) - 1) < 1e-9)
    }

    @Test("one that has no image weighs nothing") func empty() {
        #expect(ClassWeights.balanced.factors(labels: [0, 0, 2], classCount: 3) == [0.5, 0, 1])
        #expect(ClassWeights.none.factors(labels: [0, 0, 2], classCount: 3) == [1, 1, 1])
    }
}

@Suite("Initializers") struct InitializationTests {
    @Test(
        "draw what torch.nn.init draws: mean, deviation and range of a million", arguments: Sample.all("initializers"))
    private func distribution(_ sample: Sample) throws {
        let fan: Initialization.Fan = sample.testDescription.hasSuffix("outputs") ? .outputs : .inputs
        let name = sample.testDescription.split(separator: "-")[0]
        let initialization = try #require(Initialization(rawValue: String(name)))
        let activation: Activation = (sample.json["slope"]?.doubleValue ?? 0) > 0 ? .leakyReLU : .relu
        let shape = try #require(sample.json["shape"]).integers
        var random = RandomNumbers(seed: 9, stream: 0)
        var draws: [Float] = []
        while draws.count < 1_000_000 {
            draws += initialization.tensor(shape, for: activation, fan: fan, &random).values
        }
        let count = Double(draws.count)
        let mean = draws.reduce(0) { $0 + Double($1) } / count
        let deviation = (draws.reduce(0) { $0 + Double($1) * Double($1) } / count).squareRoot()
        let expected = try #require(sample.json["deviation"]?.doubleValue)
        let closed = initialization.variance(shape, for: activation, fan: fan).squareRoot()
        // A million draws tell a deviation to about 0.1 %.
        #expect(
            abs(mean) < 5e-3 * expected && abs(deviation / expected - 1) < 5e-3 && abs(closed / expected - 1) < 5e-3)
        let largest = Double(draws.reduce(0) { max($0, abs($1)) })
        let other = try #require(sample.json["largest"]?.doubleValue)
        #expect(abs(largest / other - 1) < (initialization == .xavier ? 1e-4 : 0.2), "\(largest), \(other)")
    }

    @Test("that suit each activation")
    func suited() {
        // Those of torch.nn.init.calculate_gain with a gain above 1, and their smooth relatives.
        let rectifying: [Activation] = [
            .relu, .relu6, .leakyReLU, .elu, .gelu, .geluTanh, .quickGELU, .silu, .hardSwish,
        ]
        for activation in Activation.allCases {
            let expected: Initialization =
                rectifying.contains(activation) ? .kaiming : activation == .selu ? .lecun : .xavier
            #expect(Initialization.suited(to: activation) == expected)
        }
    }
}
