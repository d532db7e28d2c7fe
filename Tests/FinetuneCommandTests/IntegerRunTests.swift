// int8 through the program: ranges are measured, saved and used, and what they cost is said.

import FinetuneEngine
import FinetuneFiles
import TestSupport
import Testing

private let base = Fixtures.path("resnet20-random.h5")

@Suite("A run on 8-bit integers") struct IntegerRunTests {
    @Test("measures ranges once, says what int8 does to features, and answers as it was scored", .needs(.int8))
    func mainJob() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 20)
        let training = try workspace.finetune(
            "--base", base, "--data", "@images", "--out", "@run", "--precision", "int8", "--json")
        #expect(training.code == 0, "\(training.errors)")
        let note = try #require(training.events.first { $0["quantization_images"] != nil })
        #expect(note["quantization_images"] == 40)
        let median = try #require(note["quantization_similarity"]?["median"]?.doubleValue)
        #expect(median > 0.9 && median <= 1.0001)
        #expect(training.done["val"]?["accuracy"]?.doubleValue == 1)

        let evaluation = try workspace.finetune("evaluate", "--model", "@run/model.h5", "--data", "@images", "--json")
        #expect(evaluation.code == 0, "\(evaluation.errors)")
        #expect(evaluation.done["metrics"] == training.done["val"])
        #expect(!evaluation.events.contains { $0["quantization_images"] != nil })

        let table = try CSV(parsing: FileSystem.read(workspace.file("run/predictions.csv")), name: "predictions")
        let alone = try workspace.finetune(
            "predict", "--model", "@run/model.h5", "@images/\(table.rows[0].fields[0])", "--json")
        #expect(alone.events.first?["probability"]?.text == table.rows[0].fields[4])
    }

    @Test(
        "extracts the same features on any number of threads, and computes none twice that measuring has made",
        .needs(.int8))
    func extraction() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 45)
        func network(_ outcome: Outcome) throws -> Double {
            try #require(outcome.done["cpu_seconds"]?["network"]?.doubleValue)
        }
        var files: [[UInt8]] = []
        for threads in ["1", "2", "3"] {
            let run = try workspace.run(
                workspace.makeProcess(
                    [
                        "extract", "--base", base, "--data", "@images", "--out", "@\(threads).npy", "--threads",
                        threads,
                        "--precision", "int8", "--json",
                    ], variables: ["XDG_CACHE_HOME": workspace.file("cache-\(threads)")]))
            #expect(run.code == 0, "\(run.errors)")
            #expect(run.done["precision"] == "int8" && run.done["images"] == 90)
            #expect(try network(run) > 0)
            files.append(try FileSystem.read(workspace.file("\(threads).npy")))
            // Of 90 images the features of 16 were compared with fp32's; a header, and 320 bytes a row.
            let kept = try FileSystem.list(workspace.file("cache-\(threads)/finetune"))
            let rows = try #require(kept.first { $0.hasSuffix(".features") })
            let size = try #require(
                FileSystem.usage(of: workspace.file("cache-\(threads)/finetune/\(rows)"))?.byteCount)
            #expect(size == 64 + 16 * 320, "\(size)")
        }
        #expect(files[0] == files[1] && files[1] == files[2])
    }

    @Test("is refused for what learns, and says what to do") func refused() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 4)
        let run = try workspace.finetune(
            "--base", base, "--data", "@images", "--unfreeze", "all", "--train-precision", "int8")
        #expect(run.code == 64 || run.code == 69)
        #expect(run.errors.contains("--train-precision"))
    }
}
