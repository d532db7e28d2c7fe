// Activations, losses and random numbers against PyTorch's and SciPy's.

import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneEngine

@Suite("Against torch.nn") struct TorchTests {
    let golden: JSON

    init() throws { golden = try Fixtures.json("activations.json") }

    @Test("every activation and its slope", arguments: Activation.allCases)
    func activations(_ activation: Activation) throws {
        let x = try #require(golden["arguments"]).numbers.map { Float($0) }
        let entry = try #require(
            golden["activations"]?.arrayValue?.first { $0["name"]?.stringValue == activation.rawValue })
        var (y, slopes) = (x, x)
        RowKernels.apply(activation, x, x.count, into: &y)
        RowKernels.applyBackward(activation, x, y, [Float](repeating: 1, count: x.count), x.count, into: &slopes)
        for (found, expected) in zip(
            y + slopes, try #require(entry["values"]).numbers + #require(entry["slopes"]).numbers)
        {
            #expect(abs(Double(found) - expected) <= 1e-6 * max(1, abs(expected)), "\(found), not \(expected)")
        }
    }

    @Test("cross-entropy with smoothed, weighted and mixed targets, and its gradient")
    func losses() throws {
        for entry in try #require(golden["losses"]?.arrayValue) {
            let (images, classes) = (entry["images"]?.intValue ?? 0, entry["classes"]?.intValue ?? 0)
            let weights = (entry["weights"]?.numbers ?? []).map { Float($0) }
            let feed = TrainingFeed(
                batch: images, classWeights: weights.isEmpty ? [Float](repeating: 1, count: classes) : weights)
            let labels = try #require(entry["labels"]).integers
            let (share, smoothing) = (entry["share"]?.doubleValue ?? 1, entry["smoothing"]?.doubleValue ?? 0)
            for image in 0..<images {
                feed.imageWeights[image] = 1 / Float(images)
                for k in 0..<classes {
                    let own = share * (labels[image] == k ? 1 : 0)
                    let mixed = own + (1 - share) * (labels[images - 1 - image] == k ? 1 : 0)
                    feed.targets[image * classes + k] = Float(mixed * (1 - smoothing) + smoothing / Double(classes))
                }
            }
            let logits = try #require(entry["logits"]).numbers.map { Float($0) }
            var gradient = logits
            feed.computeLoss(logits, gradient: &gradient)
            let expected = try #require(entry["loss"]?.doubleValue)
            #expect(abs(feed.loss - expected) < 1e-5 * expected)
            for (found, expected) in zip(gradient, try #require(entry["gradient"]).numbers) {
                #expect(abs(Double(found) - expected) < 1e-6)
            }
        }
    }

    @Test("the beta distribution of mixup's shares")
    func beta() throws {
        for entry in try #require(golden["beta"]?.arrayValue) {
            let a = try #require(entry["a"]?.doubleValue)
            var random = RandomNumbers(seed: 1, stream: UInt64(a * 10))
            let draws = (0..<40_000).map { _ in random.nextBeta(a, a) }.sorted()
            for (quantile, share) in zip(try #require(entry["quantiles"]).numbers, [0.05, 0.25, 0.5, 0.75, 0.95]) {
                let below = Double(draws.count { $0 <= quantile }) / Double(draws.count)
                #expect(abs(below - share) < 0.01, "a \(a): \(below) of the draws are below the quantile of \(share)")
            }
        }
    }
}
