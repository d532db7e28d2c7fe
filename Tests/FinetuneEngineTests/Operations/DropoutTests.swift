// Dropout of both kinds, forward and backward.

import FinetuneFiles
import Testing

@testable import FinetuneEngine

@Suite("Dropout") struct DropoutTests {
    @Test("drops the share of the head's inputs that it is told, and scales what it keeps")
    func inverted() {
        var dropped = 0
        let x = [Float](repeating: 1, count: 10_000)
        var (y, again) = (x, x)
        let dropout = Dropout(.inverted, rate: 0.3)
        dropout.apply(x, x.count, key: 7, into: &y)
        dropout.apply(x, x.count, key: 7, into: &again)
        #expect(y == again)
        for value in y {
            #expect(value == 0 || abs(value - 1 / 0.7) < 1e-6)
            dropped += value == 0 ? 1 : 0
        }
        let deviation = 45.8  // Of a binomial count: √(10,000 · 0.3 · 0.7).
        #expect(abs(Double(dropped) - 3000) < 4 * deviation)
        dropout.apply(x, x.count, key: 8, into: &again)
        #expect(y != again)
        // The gradient of what was kept is scaled alike.
        var slope = x
        dropout.applyBackward(&slope, x.count, key: 7)
        #expect(slope == y)
    }

    @Test("alpha dropout keeps the mean and the variance of what SELU passes on", arguments: [0.1, 0.5])
    func alphaDropout(rate: Double) {
        var numbers = RandomNumbers(seed: 3, stream: 0)
        let x = (0..<200_000).map { _ in Float(numbers.nextNormal()) }
        var y = x
        let dropout = Dropout(.alpha, rate: rate)
        dropout.apply(x, x.count, key: 5, into: &y)
        let mean = y.reduce(0) { $0 + Double($1) } / Double(y.count)
        let variance = y.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(y.count)
        #expect(abs(mean) < 0.01 && abs(variance - 1) < 0.02, "\(mean) \(variance)")
        let lowest = y.min() ?? 0
        let dropped = y.count { $0 == y.first { $0 == dropout.constants.dropped } }
        #expect(abs(Double(dropped) / Double(y.count) - rate) < 0.01 && lowest < 0)
        var slope = [Float](repeating: 1, count: x.count)
        dropout.applyBackward(&slope, x.count, key: 5)
        for index in x.indices {
            #expect(slope[index] == (y[index] == dropout.constants.dropped ? 0 : dropout.constants.factor))
        }
    }
}
