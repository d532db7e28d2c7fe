// Runs that are stopped, and folders that hold another run.

import FinetuneFiles
import Foundation
import Glibc
import TestSupport
import Testing

private let scratch = ["--strategy", "scratch", "--size", "24", "--batch", "8"]
private let small = scratch + ["--architecture", "resnet20,width=4"]

@Suite("A run that is stopped", .serialized) struct InterruptionTests {
    /// Starts the program in a process group of its own and ends that by a signal, as a terminal does.
    ///
    /// - Parameter delay: Milliseconds.
    private func interrupt(_ arguments: [String], by signal: Int32, after delay: Int, _ workspace: Workspace) throws
        -> Outcome
    {
        let name = signal == SIGINT ? "INT" : signal == SIGTERM ? "TERM" : "KILL"
        let words = arguments.map { "'\($0)'" }.joined(separator: " ")
        return try workspace.shell(
            """
            set -m; \"$program\" \(words) & child=$!
            sleep \(Double(delay) / 1000); kill -\(name) -- -$child 2>/dev/null; wait $child; exit $?
            """)
    }

    @Test("is never called a fault of the file while one is read", arguments: [SIGINT, SIGTERM])
    func whileReading(_ signal: Int32) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 4)
        #expect(
            try workspace.finetune(
                scratch + [
                    "--architecture", "resnet20,width=64", "--data", "@images", "--out", "@run", "--epochs", "1",
                    "--lr", "0.01",
                ]
            ).code == 0)
        for delay in stride(from: 2, through: 60, by: 4) {
            let outcome = try interrupt(
                ["inspect", workspace.file("run/model.h5")], by: signal, after: delay, workspace)
            // The signal may come before the program took it over, or after its end.
            #expect([0, 130, 128 + signal].contains(outcome.code), "\(delay) ms: \(outcome.code) \(outcome.errors)")
            #expect(!outcome.errors.contains("damaged"), "\(outcome.errors)")
        }
    }

    @Test("leaves no temporary file")
    func temporaries() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 300)
        try workspace.makeImages("few", perClass: 12)
        try FileSystem.makeDirectory(workspace.file("out"))
        #expect(
            try workspace.finetune(
                small + ["--data", "@few", "--out", "@run", "--epochs", "1", "--lr", "0.01"]
            ).code == 0)
        var stops = 0
        for delay in stride(from: 60, through: 360, by: 60) {
            let outcome = try interrupt(
                [
                    "extract", "--base", workspace.file("run/model.h5"), "--data", workspace.file("images"), "--layer",
                    "stem", "--out", workspace.file("out/f.npz"), "--threads", "1",
                ], by: SIGINT, after: delay, workspace)
            #expect([0, 130].contains(outcome.code), "\(outcome.code) \(outcome.errors)")
            if outcome.code == 130 {
                stops += 1
                #expect(try FileSystem.list(workspace.file("out")).allSatisfy { $0 == "f.npz" })
            }
        }
        #expect(stops > 0)
    }

    @Test("goes on to the same bytes, whenever it was stopped", arguments: [SIGINT, SIGTERM, SIGKILL])
    func anywhere(_ signal: Int32) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 24)
        func flags(_ out: String, _ more: String...) -> [String] {
            small + [
                "--data", workspace.file("images"), "--out", workspace.file(out), "--epochs", "3", "--checkpoint-every",
                "0", "--quiet", "--threads", "1", "--cache", workspace.file("cache-" + out),
            ] + more
        }
        let started = ContinuousClock.now
        #expect(try workspace.finetune(flags("whole")).code == 0)
        let milliseconds = Int((ContinuousClock.now - started) / .milliseconds(1))
        let expected = try FileSystem.read(workspace.file("whole/model.h5"))
        var more: [String] = []
        // One run that is stopped again and again, in every part of it.
        for part in 1...12 {
            let arguments = flags("stopped") + more
            let outcome = try interrupt(arguments, by: signal, after: milliseconds * part / 16, workspace)
            // 66: stopped when its folder was made, and nothing yet in it.
            #expect([0, 66, 75, 130, 128 + signal].contains(outcome.code), "\(outcome.code) \(outcome.errors)")
            more = outcome.code == 66 || FileSystem.kind(of: workspace.file("stopped")) == nil ? [] : ["--resume"]
        }
        #expect(try workspace.finetune(flags("stopped") + more).code == 0)
        #expect(try FileSystem.read(workspace.file("stopped/model.h5")) == expected)
        #expect(try FileSystem.list(workspace.file("stopped")) == FileSystem.list(workspace.file("whole")))
    }

    @Test("is not continued by another one")
    func otherRuns() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        try workspace.makeImages("others", perClass: 12, seed: 1000)
        func flags(_ data: String, _ more: String...) -> [String] {
            small + ["--data", "@\(data)", "--out", "@run", "--epochs", "1", "--lr", "0.01", "--quiet"] + more
        }
        let nothing = try workspace.finetune(flags("images", "--resume"))
        #expect(nothing.code == 66 && nothing.errors.contains("no run in"), "\(nothing.errors)")
        #expect(FileSystem.kind(of: workspace.file("run")) == nil)
        try FileSystem.makeDirectory(workspace.file("run"))
        #expect(try workspace.finetune(flags("images", "--resume")).code == 66)
        #expect(try workspace.finetune(flags("images")).code == 0)
        let model = try FileSystem.read(workspace.file("run/model.h5"))
        // The same names, other pictures.
        let others = try workspace.finetune(flags("others", "--resume"))
        #expect(others.code == 64 && others.errors.contains("other contents"), "\(others.errors)")
        try workspace.makeImages("images", perClass: 13)
        let more = try workspace.finetune(flags("images", "--resume"))
        #expect(more.code == 64 && more.errors.contains("images were others"), "\(more.errors)")
        let comparison = try workspace.finetune(
            "compare", "--base", "@run/model.h5", "--data", "@images", "--out", "@run", "--resume", "--strategies",
            "head")
        #expect(comparison.code == 64, "\(comparison.errors)")
        #expect(try FileSystem.read(workspace.file("run/model.h5")) == model)
    }

    @Test("gives way to another by --force, with all that it wrote and nothing else")
    func force() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        let flags = small + ["--data", "@images", "--out", "@run", "--epochs", "1", "--lr", "0.01", "--quiet"]
        #expect(try workspace.finetune(flags).code == 0)
        #expect(FileSystem.kind(of: workspace.file("run/health.csv")) != nil)
        try workspace.write("mine", "run/notes.tmp")
        try workspace.write("mine", "run/thesis.txt")
        try workspace.write("mine", "run/model.h5.4711.tmp")
        try workspace.write("ours", "run/.finetune-0123456789abcdef.tmp")
        let base = workspace.file("base.h5")
        try workspace.write(try FileSystem.read(workspace.file("run/model.h5")), "base.h5")
        #expect(try workspace.finetune("--base", base, "--data", "@images", "--out", "@run", "--force").code == 0)
        let files = try FileSystem.list(workspace.file("run"))
        #expect(files.contains("notes.tmp") && files.contains("thesis.txt") && files.contains("model.h5.4711.tmp"))
        #expect(
            !files.contains("health.csv") && !files.contains("last.checkpoint.h5") && !files.contains("tensorboard"))
        #expect(!files.contains { $0.hasPrefix(".finetune") }, "\(files)")
    }

    @Test("that failed before it made anything is in nobody's way")
    func failed() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        #expect(try workspace.finetune("--base", "@none.h5", "--data", "@images", "--out", "@runs/a").code == 66)
        #expect(FileSystem.kind(of: workspace.file("runs")) == nil)
    }
}
