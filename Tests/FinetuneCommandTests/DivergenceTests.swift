// What becomes of a training whose rate, found by a range test, turns out to be too large.

import FinetuneFiles
import TestSupport
import Testing

private let base = Fixtures.path("resnet20-random.h5")

@Suite("A rate that was found") struct DivergenceTests {
    /// Two images are so much brighter than the others, and so alike in spite of their labels, that the loss explodes at
    /// the lowest rate of a range test. The rate at which it does not falls with the square of the scale.
    private func writeInputs(_ workspace: Workspace, scale: Float) throws {
        let (count, size) = (40, 32 * 32 * 3)
        var random = RandomBits()
        var bytes: [UInt8] = []
        for image in 0..<count {
            let factor = image == 6 || image == 7 ? scale : 1
            for _ in 0..<size {
                let value = (random.next() + (image % 2 == 1 ? 0.3 : 0)) * factor
                withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
            }
        }
        try workspace.writeInputs(bytes, "(\(count), 32, 32, 3)", count: count, "inputs.npz")
    }

    private let flags = [
        "--base", base, "--data", "@inputs.npz", "--head", "linear", "--feature-scaling", "none", "--optimizer", "sgd",
        "--batch", "8", "--epochs", "4", "--precision", "fp32", "--val", "0", "--json",
    ]

    private func warnings(_ outcome: Outcome) -> Int {
        outcome.events.count { $0["text"]?.stringValue?.contains("begins anew with a smaller one") == true }
    }

    @Test("is made smaller until the training succeeds, to the bytes of a run with that rate")
    func beginsAnew() throws {
        let workspace = try Workspace()
        try writeInputs(workspace, scale: 450)
        let found = try workspace.finetune(flags + ["--out", "@found"])
        let count = warnings(found)
        #expect(found.code == 0 && (1...3).contains(count), "\(found.errors)")
        let last = try #require(JSON(parsing: FileSystem.read(workspace.file("found/run.json")))["learning_rate"])
        #expect(try #require(last.doubleValue) <= 1e-4 * 0.3 * 1.0001)
        #expect(try workspace.finetune(flags + ["--out", "@given", "--lr", last.text]).code == 0)
        let models = try ["found", "given"].map { try FileSystem.read(workspace.file("\($0)/model.h5")) }
        #expect(models[0] == models[1])
    }

    @Test("is given up after three smaller ones; one that the user gave, at once")
    func givesUp() throws {
        let workspace = try Workspace()
        try writeInputs(workspace, scale: 100_000)
        let found = try workspace.finetune(flags + ["--out", "@found"])
        #expect(found.code == 70 && warnings(found) == 3 && found.errors.contains("Try a smaller --lr"))
        let given = try workspace.finetune(flags + ["--out", "@given", "--lr", "0.0001"])
        #expect(given.code == 70 && warnings(given) == 0)
    }
}

/// Reproducible numbers in −1…1.
private struct RandomBits {
    private var state: UInt64 = 5

    mutating func next() -> Float {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(Int32(truncatingIfNeeded: state >> 32)) / Float(Int32.max)
    }
}
