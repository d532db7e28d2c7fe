// Activations against torch.nn's.

import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneEngine

@Suite("An activation") struct ActivationTests {
    let golden: JSON

    init() throws { golden = try Fixtures.json("activations.json") }

    @Test("is torch.nn's, and so is its slope", arguments: Activation.allCases)
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
}
