// Random numbers against SciPy's distributions.

import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneEngine

@Suite("Random numbers") struct RandomNumbersTests {
    let golden: JSON

    init() throws { golden = try Fixtures.json("activations.json") }

    @Test("have the beta distribution of mixup's shares")
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
