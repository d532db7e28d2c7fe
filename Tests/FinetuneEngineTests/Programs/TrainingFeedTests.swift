// Losses against torch.nn's.

import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneEngine

@Suite("A training's loss") struct TrainingFeedTests {
    let golden: JSON

    init() throws { golden = try Fixtures.json("activations.json") }

    @Test("is torch.nn's cross-entropy with smoothed, weighted and mixed targets, and its gradient")
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
}
