// One run by several processes, under mpirun: the same files as one process writes.

import FinetuneFiles
import Foundation
import TestSupport
import Testing

let isBuiltForRanks: Bool = {
    #if MPI
        true
    #else
        false
    #endif
}()

private let hasLauncher = FileSystem.kind(of: Workspace.mpirun) != nil

private let base = Fixtures.path("resnet20-random.h5")

@Suite(
    "Several processes", .serialized,
    .enabled(if: isBuiltForRanks && hasLauncher, "not built with --traits MPI, or Open MPI's mpirun is not installed"))
struct RanksTests {
    private func bytes(_ workspace: Workspace, _ name: String) throws -> [UInt8] {
        try FileSystem.read(workspace.file(name))
    }

    @Test("write the same features as one, and leave nothing else", arguments: [2, 3])
    func extraction(count: Int) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 45)
        try workspace.write("no picture", "images/down/broken.png")
        func flags(_ out: String) -> [String] {
            ["extract", "--base", base, "--data", "@images", "--out", "@\(out)", "--json", "--threads", "1"]
        }
        let alone = try workspace.finetune(flags("alone.npz"))
        let shared = try workspace.finetune(flags("shared.npz"), ranks: count)
        #expect(alone.code == 0 && shared.code == 0, "\(shared.errors)")
        #expect(try bytes(workspace, "alone.npz") == bytes(workspace, "shared.npz"))
        #expect(shared.done["images"] == 90 && shared.done["skipped"] == 1, "\(shared.output)")
        #expect(shared.events.count { $0["event"] == "done" } == 1)
        #expect(FileSystem.kind(of: workspace.file("shared.npz.features")) == nil)
    }

    @Test("find the same recipe as one", arguments: [2, 3])
    func recipe(count: Int) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 5)
        let silent = Path.join(Fixtures.package, "Tests/FinetuneCheckpointsTests/Fixtures/keras-odd.h5")
        func distances(ranks: Int?) throws -> JSON? {
            let flags = ["extract", "--base", silent, "--data", "@images", "--out", "@features.npy", "--json"]
            return try workspace.finetune(flags, ranks: ranks).events.compactMap { $0["distances"] }.first
        }
        let alone = try #require(try distances(ranks: nil))
        #expect(try distances(ranks: count) == alone)
    }

    @Test("go on from what others left, whatever their number, and so does one process")
    func resumedExtraction() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 150)
        func flags(_ out: String) -> [String] {
            ["extract", "--base", base, "--data", "@images", "--out", "@\(out)", "--json", "--threads", "1"]
        }
        #expect(try workspace.finetune(flags("alone.npy")).code == 0)
        let killed = try workspace.interrupt(
            flags("shared.npy"), by: SIGKILL, when: "shared.npy.features", ranks: 3, rank: 1)
        #expect(killed != 0)
        let resumed = try workspace.finetune(flags("shared.npy"), ranks: 2)
        #expect(resumed.code == 0, "\(resumed.errors)")
        #expect(try bytes(workspace, "alone.npy") == bytes(workspace, "shared.npy"))
    }

    @Test("fit the same head as one, with and without a cache", arguments: ["@cache", "off"])
    func frozen(cache: String) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 20)
        func flags(_ out: String) -> [String] {
            [
                "--base", base, "--data", "@images", "--out", "@\(out)", "--cache", cache, "--augment", "standard",
                "--views", "2", "--json", "--threads", "1",
            ]
        }
        let shared = try workspace.finetune(flags("shared"), ranks: 2)
        let alone = try workspace.finetune(flags("alone"))
        #expect(shared.code == 0 && alone.code == 0, "\(shared.errors)\(alone.errors)")
        for name in ["model.h5", "predictions.csv", "split.csv"] {
            #expect(try bytes(workspace, "shared/\(name)") == bytes(workspace, "alone/\(name)"), "\(name)")
        }
        #expect(FileSystem.kind(of: workspace.file("shared/features")) == nil)
    }

    /// Ways to train through the network.
    static let ways = [
        "--unfreeze all", "--unfreeze all --batch-norm train --optimizer momentum",
        "--unfreeze stage3 --mixup 0.3 --views 2",
        "--unfreeze stage2 --strategy gradual --ema 0.9 --dropout 0.2", "--strategy lp-ft --unfreeze stage3",
        "--unfreeze stage3 --head mlp:8",
    ]

    @Test("take the steps of one, to rounding, and repeat bit for bit", arguments: ways)
    func steps(_ way: String) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 20)
        func flags(_ out: String) -> [String] {
            [
                "--base", base, "--data", "@images", "--out", "@\(out)", "--cache", "@\(out)-cache", "--epochs", "3",
                "--batch", "8", "--lr", "0.001", "--early-stop", "0", "--train-precision", "fp32", "--json",
                "--threads", "1",
            ] + way.split(separator: " ").map(String.init)
        }
        func losses(_ outcome: Outcome) -> [Double] {
            outcome.events.compactMap { $0["train_loss"]?.doubleValue }
                + outcome.events.compactMap { $0["val_log_loss"]?.doubleValue }
        }
        let alone = try workspace.finetune(flags("alone"))
        let shared = try workspace.finetune(flags("shared"), ranks: 2)
        #expect(alone.code == 0 && shared.code == 0, "\(alone.errors)\(shared.errors)")
        let (expected, found) = (losses(alone), losses(shared))
        #expect(expected.count == 6 && found.count == 6)
        // Directions of LAMB are gradients over their own size, which enlarges the rounding of small ones.
        let tolerance = way.contains("momentum") || way.contains("gradual") ? 1e-4 : 1e-3
        #expect(zip(expected, found).allSatisfy { abs($0 - $1) <= tolerance * max(1, $0) }, "\(expected) \(found)")
        #expect(shared.events.contains { $0["ranks"] == 2 && $0["batch"] == 8 })
        #expect(try workspace.finetune(flags("again"), ranks: 2).code == 0)
        #expect(try bytes(workspace, "shared/model.h5") == bytes(workspace, "again/model.h5"))
    }

    @Test("stop when one is killed, and go on to the same model")
    func killed() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 20)
        func flags(_ out: String, _ more: String...) -> [String] {
            [
                "--base", base, "--data", "@images", "--out", "@\(out)", "--unfreeze", "all", "--epochs", "5",
                "--batch",
                "8", "--checkpoint-every", "0", "--early-stop", "0", "--lr", "0.001", "--quiet", "--threads", "1",
            ] + more
        }
        #expect(try workspace.finetune(flags("whole"), ranks: 2).code == 0)
        let code = try workspace.interrupt(
            flags("killed"), by: SIGKILL, when: "killed/last.checkpoint.h5", ranks: 2, rank: 1)
        #expect(code != 0)
        let resumed = try workspace.finetune(flags("killed", "--resume"), ranks: 2)
        #expect(resumed.code == 0, "\(resumed.errors)")
        #expect(try bytes(workspace, "whole/model.h5") == bytes(workspace, "killed/model.h5"))
    }

    @Test("share the trainings of a comparison, whose scores are those of one process")
    func comparison() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 20)
        func flags(_ out: String) -> [String] {
            [
                "compare", "--base", base, "--data", "@images", "--out", "@\(out)", "--strategies", "head,last,all",
                "--epochs", "2", "--batch", "8", "--lr", "0.001", "--json", "--threads", "1",
            ]
        }
        let alone = try workspace.finetune(flags("alone"))
        let shared = try workspace.finetune(flags("shared"), ranks: 2)
        #expect(alone.code == 0 && shared.code == 0, "\(alone.errors)\(shared.errors)")
        func scores(_ out: String) throws -> [JSON] {
            try ["head", "last", "all"].map {
                try JSON(parsing: FileSystem.read(workspace.file("\(out)/parts/\($0).json")))["probabilities"] ?? .null
            }
        }
        #expect(try scores("alone") == scores("shared"))
    }

    @Test("say once what is wrong, and end with its code")
    func errors() throws {
        let workspace = try Workspace()
        let missing = try workspace.finetune(["--base", base, "--data", "@nothing"], ranks: 2)
        #expect(missing.code == 66, "\(missing.code)")
        #expect(missing.errors.components(separatedBy: "finetune: ").count == 2, "\(missing.errors)")
        try workspace.makeImages("images", perClass: 20)
        let uneven = try workspace.finetune(
            [
                "--base", base, "--data", "@images", "--out", "@run", "--unfreeze", "all", "--batch-norm", "train",
                "--batch",
                "9",
            ], ranks: 2)
        #expect(uneven.code == 64 && uneven.errors.contains("multiple of 2"), "\(uneven.errors)")
    }

    @Test("leave to the first what cannot be shared")
    func firstAlone() throws {
        let workspace = try Workspace()
        let outcome = try workspace.finetune(["inspect", base, "--json"], ranks: 2)
        #expect(outcome.code == 0 && outcome.events.count { $0["event"] == "done" } == 1, "\(outcome.output)")
    }
}

@Suite("A program without MPI", .enabled(if: !isBuiltForRanks, "built with --traits MPI")) struct WithoutRanksTests {
    @Test("refuses to be one of several")
    func refuses() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 4)
        let process = workspace.makeProcess(
            ["--base", base, "--data", "@images", "--out", "@run"],
            variables: ["OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "4"])
        let errors = Pipe()
        process.standardError = errors
        try process.run()
        let text = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 69 && text.contains("built without MPI"), "\(text)")
        #expect(FileSystem.kind(of: workspace.file("run")) == nil)
    }
}
