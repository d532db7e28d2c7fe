// What becomes of results that nobody takes: full disks, closed pipes, files that may not be written.

import FinetuneFiles
import Foundation
import TestSupport
import Testing

private var model: String { SmallModel.path }

@Suite("Results that cannot be written") struct OutputTests {
    static let commands = [
        "predict --model \(model) images", "predict --model \(model) images --format csv",
        "predict --model \(model) images --format json", "evaluate --model \(model) --data images --json",
        "evaluate --model \(model) --data images", "inspect \(model)", "inspect \(model) --json",
        "check --base \(model) --data images", "doctor", "--help", "train --help", "--version",
        "extract --base \(model) --data images --out f.npz", "convert \(model) c.onnx",
        "train --base \(model) --data images --out run --json",
        "compare --base \(model) --data images --out run --strategies head --json",
    ]

    @Test("are an input/output error where standard output is full, in one sentence", arguments: commands)
    func fullOutput(_ command: String) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        let outcome = try workspace.shell(
            "finetune \(command) --quiet > /dev/full || exit $?".replacing(
                " --quiet", with: command.hasPrefix("-") || command.hasSuffix("--help") ? "" : " --quiet"))
        #expect(outcome.code == 74, "\(outcome.code) \(outcome.errors)")
        #expect(outcome.errors == "finetune: cannot write to standard output: No space left on device\n")
        for kept in ["f.npz", "c.onnx", "run/model.h5", "run/comparison.json"] where command.contains("--out run") {
            let isWritten = kept.hasPrefix("run/") && command.hasPrefix("train") == kept.hasSuffix("model.h5")
            #expect(!isWritten || FileSystem.kind(of: workspace.file(kept)) == .file, "\(kept)")
        }
    }

    @Test("end the program without a word where the reader has gone", arguments: commands.prefix(8))
    func readerGone(_ command: String) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        // The reader goes before anything is written, so that one has to be noticed while the program works.
        let outcome = try workspace.shell("finetune \(command) --quiet | true; exit ${PIPESTATUS[0]}")
        #expect(outcome.code == 74 && outcome.errors.isEmpty, "\(outcome.code) \(outcome.errors)")
    }

    @Test("cost a training no file where the reader has gone")
    func readerGoneFromTraining() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        let outcome = try workspace.shell(
            "finetune --base \(model) --data images --out run --json --quiet | true; exit ${PIPESTATUS[0]}")
        #expect(outcome.code == 74 && outcome.errors.isEmpty, "\(outcome.code) \(outcome.errors)")
        let files = try FileSystem.list(workspace.file("run"))
        #expect(files.contains("model.h5") && files.contains("report.html") && files.contains("predictions.csv"))
    }

    @Test("are an error where standard output is closed, and go to no other file")
    func closedOutput() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 2)
        let outcome = try workspace.shell("finetune predict --model \(model) images >&-")
        #expect(outcome.code == 74 && outcome.errors.contains("is closed"), "\(outcome.errors)")
    }

    @Test(
        "leave nothing half-written where the disk is full",
        arguments: [
            "extract --base \(model) --data images --out out/f.npz",
            "extract --base \(model) --data images --out out/f.npy",
            "extract --base \(model) --data images --out out/f.h5",
            "extract --base \(model) --data images --out out/f.csv", "convert \(model) out/m.h5",
            "convert \(model) out/m.h5 --to keras", "convert \(model) out/m.h5 --to torch",
            "convert \(model) out/m.safetensors", "convert \(model) out/m.onnx",
            "check --base \(model) --data images --fix-list out/list.csv",
            "evaluate --model \(model) --data images --report out/page.html",
        ])
    func fullDisk(_ command: String) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        try FileSystem.makeDirectory(workspace.file("out"))
        // As a full disk, files may grow no further: at every size up to the whole, in blocks of 1,024 bytes.
        let whole = try workspace.shell("finetune \(command) --quiet && cat out/* | wc -c")
        #expect(whole.code == 0, "\(whole.errors)")
        let size = Int(whole.output.split(separator: "\n").last ?? "") ?? 0
        _ = try workspace.shell("rm out/*")
        var failures = 0
        for limit in Set([0, 1, 2, 4, 8, size / 4096, size / 2048, size / 1300]) where limit * 1024 < size / 2 {
            let outcome = try workspace.shell(
                "(ulimit -f \(limit); finetune \(command) --quiet 2>&1 > /dev/null) | cat >&2; exit ${PIPESTATUS[0]}")
            guard outcome.code != 0 else { continue }  // Of two files the larger one may fit.
            failures += 1
            #expect(outcome.code == 74, "\(limit): \(outcome.code) \(outcome.errors)")
            #expect(outcome.errors.contains("File too large"), "\(outcome.errors)")
            #expect(
                outcome.errors.split(separator: "\n").count == 1 && !outcome.errors.contains("0x"), "\(outcome.errors)")
            #expect(try FileSystem.list(workspace.file("out")) == [], "\(limit)")
        }
        #expect(failures > 0)
    }

    @Test("are refused before any work where something else stands in the place")
    func otherThings() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 2)
        for (name, word) in [("images", "folder"), ("pipe.onnx", "pipe")] {
            _ = try workspace.shell("mkfifo pipe.onnx")
            let outcome = try workspace.shell("finetune convert \(model) \(name) --to onnx")
            #expect(outcome.code == 73 && outcome.errors.contains(word), "\(outcome.errors)")
        }
        let missing = try workspace.shell("finetune convert \(model) nowhere/m.onnx")
        #expect(missing.code == 73 && missing.errors.contains("No such file or directory"), "\(missing.errors)")
        // The system's own reason, not one of a later call.
        guard FileSystem.kind(of: "/sys/kernel") != nil else { return }
        let system = try workspace.shell("finetune --base \(model) --data images --out /sys/run")
        #expect(system.code == 73 && !system.errors.contains("No such file"), "\(system.errors)")
    }

    @Test("do not follow a link that somebody put in their place")
    func links() throws {
        let workspace = try Workspace()
        let outcome = try workspace.shell(
            "echo precious > other; ln -s other m.onnx; finetune convert \(model) m.onnx && cat other && test ! -L m.onnx"
        )
        #expect(outcome.code == 0 && outcome.output.hasSuffix("precious\n"), "\(outcome.output)\(outcome.errors)")
    }

    @Test("show names with control characters escaped to people, and exactly to programs")
    func controlCharacters() throws {
        let workspace = try Workspace()
        try workspace.write(Workspace.stripes(0, seed: 1), "images/\u{1B}[2Jbell\u{7}.bmp")
        let text = try workspace.finetune("predict", "--model", model, "@images")
        #expect(text.code == 0 && text.output.contains("\\u{1B}[2Jbell\\u{7}.bmp"), "\(text.output)")
        #expect(!text.output.contains("\u{1B}") && !text.output.contains("\u{7}"))
        let table = try workspace.finetune("predict", "--model", model, "@images", "--format", "csv")
        #expect(table.output.contains("\u{1B}[2Jbell\u{7}.bmp"))
        let lines = try workspace.finetune("predict", "--model", model, "@images", "--format", "jsonl")
        let path = lines.output.split(separator: "\n").compactMap { try? JSON(parsing: String($0)) }.first?["path"]
        #expect(path?.stringValue?.hasSuffix("\u{1B}[2Jbell\u{7}.bmp") == true)
        try workspace.write("no picture", "images/\u{1B}]0;title\u{7}.jpg")
        let skipped = try workspace.finetune("predict", "--model", model, "@images")
        #expect(skipped.errors.contains("skipped: ") && !skipped.errors.contains("\u{1B}"), "\(skipped.errors)")
        let missing = try workspace.finetune("inspect", "no\u{1B}[31mfile.h5")
        #expect(missing.code == 66 && !missing.errors.contains("\u{1B}"), "\(missing.errors)")
    }
}
