// finetune extract: formats, layers, recipes, and what other runs computed.

import FinetuneFiles
import TestSupport
import Testing

private let base = Fixtures.path("resnet20-random.h5")

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

    @Test("writes features in every format, the same numbers in each") func extract() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images/train", perClass: 5)
        try workspace.makeImages("images/val", perClass: 2, seed: 500)
        for name in ["f.npz", "f.npy", "f.h5", "f.csv"] {
            let outcome = try workspace.finetune(
                "extract", "--base", base, "--data", "@images", "--out", "@\(name)", "--json")
            #expect(
                outcome.code == 0 && outcome.done["images"] == 14 && outcome.done["dimensions"] == [64],
                "\(outcome.errors)")
        }
        let archive = try ZipArchive(FileSystem.read(workspace.file("f.npz")), name: "f.npz")
        func array(_ name: String) throws -> NumpyArray {
            try NumpyArray(parsing: archive.content(of: #require(archive.member("\(name).npy"))), name: name)
        }
        let features = try array("features")
        #expect(features.shape == [14, 64])
        #expect(try array("labels").integers == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1])
        #expect(
            Set(archive.members.map(\.name)) == ["features.npy", "labels.npy", "paths.npy", "classes.npy", "split.npy"])
        let plain = try NumpyArray(parsing: FileSystem.read(workspace.file("f.npy")), name: "f.npy")
        #expect(plain.bytes == features.bytes)
        let table = try CSV(parsing: FileSystem.read(workspace.file("f.csv")), name: "f.csv")
        #expect(table.rows.flatMap { $0.fields.dropFirst(2).compactMap { Float($0) } } == features.floats)
        #expect(table.rows[0].fields[0] == "train/across/0.bmp" && table.rows[0].fields[1] == "across")
        let spatial = try workspace.finetune(
            "extract", "--base", base, "--data", "@images", "--layer", "stage2", "--dtype", "float16", "--split", "val",
            "--out", "@s.npz", "--json")
        #expect(spatial.done["dimensions"] == [32, 16, 16] && spatial.done["images"] == 4)
    }

    @Test("finds the recipe of a model that does not say, and tells which") func recipes() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 8)
        let odd = Path.join(Fixtures.package, "Tests/FinetuneCheckpointsTests/Fixtures/keras-odd.h5")
        let outcome = try workspace.finetune(
            "extract", "--base", odd, "--data", "@images", "--out", "@f.npz", "--json")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let note = outcome.events.first { $0["distances"] != nil }
        #expect(note?["distances"]?.members?.isEmpty == false)
        let named = try workspace.finetune(
            "extract", "--base", odd, "--data", "@images", "--out", "@g.npz", "--recipe", "unit", "--json")
        #expect(named.code == 0 && !named.events.contains { $0["distances"] != nil })
    }
}
