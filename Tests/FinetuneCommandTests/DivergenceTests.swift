// What becomes of a training whose rate, found by trial steps, turns out to be too large.

import FinetuneFiles
import TestSupport
import Testing

private let base = Fixtures.path("resnet20-random.h5")

@Suite("A rate that was found") struct DivergenceTests {
    /// With strong L2 a first step from zero weights does no harm, as there is nothing to shrink, and later ones overshoot.
    private let flags = [
        "--base", base, "--data", "@images", "--head", "linear", "--optimizer", "sgd", "--batch", "8",
        "--epochs", "12", "--precision", "fp32", "--val", "0", "--json",
    ]

    private func warnings(_ outcome: Outcome) -> Int {
        outcome.events.count { $0["text"]?.stringValue?.contains("begins anew with a smaller one") == true }
    }

    @Test("is made smaller until the training succeeds, to the bytes of a run with that rate")
    func beginsAnew() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 20)
        let small = flags + ["--l2", "60"]
        let found = try workspace.finetune(small + ["--out", "@found"])
        let count = warnings(found)
        #expect(found.code == 0 && (1...3).contains(count), "\(found.errors)")
        let rates = found.events.filter { $0["losses"] != nil }.compactMap { $0["rate"]?.doubleValue }
        #expect(rates.count == count + 1 && zip(rates, rates.dropFirst()).allSatisfy { $0 > $1 }, "\(rates)")
        let last = try #require(JSON(parsing: FileSystem.read(workspace.file("found/run.json")))["learning_rate"])
        #expect(last.doubleValue == rates.last)
        #expect(try workspace.finetune(small + ["--out", "@given", "--lr", last.text]).code == 0)
        let models = try ["found", "given"].map { try FileSystem.read(workspace.file("\($0)/model.h5")) }
        #expect(models[0] == models[1])
    }

    @Test("is given up after three smaller ones; one that the user gave, at once")
    func givesUp() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 20)
        let strong = flags + ["--l2", "1000"]
        let found = try workspace.finetune(strong + ["--out", "@found"])
        #expect(
            found.code == 70 && warnings(found) == 3 && found.errors.contains("Try a smaller --lr"), "\(found.errors)")
        let given = try workspace.finetune(strong + ["--out", "@given", "--lr", "0.1"])
        #expect(given.code == 70 && warnings(given) == 0)
        let record = try JSON(parsing: FileSystem.read(workspace.file("given/run.json")))
        #expect(
            record["state"] == "diverged" && record["error"]?.stringValue?.contains("the training diverged") == true)
        let refused = try workspace.finetune(
            "--base", base, "--data", "@images", "--out", "@other", "--feature-scaling", "pca:100000")
        let other = try JSON(parsing: FileSystem.read(workspace.file("other/run.json")))
        #expect(refused.code == 65 && other["state"] == "failed" && other["error"] != nil, "\(refused.errors)")
        let again = try workspace.finetune(strong + ["--out", "@given", "--lr", "0.1", "--resume"])
        #expect(again.code == 70 && again.errors == given.errors, "\(again.errors)")
    }
}
