// Extraction through the program: what other runs computed is found.

import FinetuneFiles
import TestSupport
import Testing

@Suite("An extraction") struct ExtractTests {
    @Test(
        "finds in the cache what a training computed, and extracts the same",
        arguments: [nil, "--unfreeze all", "--unfreeze last"])
    func afterTraining(_ first: String?) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 20)
        var base = Fixtures.path("resnet20-random.h5")
        if let first {
            // A base that has a part which learned.
            let words = first.split(separator: " ").map(String.init)
            let adapted = try workspace.finetune(
                ["--base", base, "--data", "@images", "--out", "@first", "--epochs", "1", "--lr", "0.001"] + words)
            #expect(adapted.code == 0, "\(adapted.errors)")
            base = "@first/model.h5"
        }
        func extract(_ name: String, cache: String) throws -> Outcome {
            try workspace.run(
                workspace.makeProcess(
                    ["extract", "--base", base, "--data", "@images", "--out", "@\(name).npy", "--json"],
                    variables: ["XDG_CACHE_HOME": workspace.file(cache)]))
        }
        let anew = try extract("anew", cache: "other")
        #expect(try workspace.finetune("--base", base, "--data", "@images", "--cache", "@cache/finetune").code == 0)
        let found = try extract("found", cache: "cache")
        #expect(anew.code == 0 && found.code == 0, "\(anew.errors)\(found.errors)")
        #expect((anew.done["cpu_seconds"]?["network"]?.doubleValue ?? 0) > 0)
        #expect(found.done["images"] == 40)
        // A base's part that learned keeps its rounding in extraction; a head on it is trained without.
        if first != "--unfreeze last" { #expect(found.done["cpu_seconds"]?["network"]?.doubleValue == 0) }
        #expect(try FileSystem.read(workspace.file("anew.npy")) == FileSystem.read(workspace.file("found.npy")))
    }
}
