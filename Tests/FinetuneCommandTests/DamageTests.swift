// Files that are damaged, numbers that are none, and systems that give little: refused with the true reason.

import FinetuneFiles
import Foundation
import TestSupport
import Testing

/// A small model, the checkpoint of a training that was stopped, and the images of both.
private let made: (workspace: Workspace, flags: [String])? = try? {
    let workspace = try Workspace()
    try workspace.makeImages("images", perClass: 12)
    let flags = [
        "--strategy", "scratch", "--architecture", "resnet20,width=4", "--size", "24", "--data", "@images", "--epochs",
        "4",
        "--batch", "8", "--lr", "0.01", "--checkpoint-every", "0", "--quiet", "--threads", "1",
    ]
    _ = try workspace.finetune(flags + ["--out", "@run"])
    _ = try workspace.interrupt(flags + ["--out", "@stopped"], by: SIGKILL, when: "stopped/last.checkpoint.h5")
    return (workspace, flags)
}()

@Suite("What is damaged", .serialized) struct DamageTests {
    private var workspace: Workspace { get throws { try #require(made?.workspace) } }
    private var model: String { get throws { try workspace.file("run/model.h5") } }

    /// Flips one bit in each of many copies of a file, evenly spread and the same in every run of the test.
    private func flips(_ bytes: [UInt8], _ count: Int, _ body: (Int, [UInt8]) throws -> Void) rethrows {
        var state: UInt64 = 1
        for number in 0..<count {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            // The first bytes, which say how the file is made, as often as all others.
            let range = number % 2 == 0 ? min(8192, bytes.count) : bytes.count
            let place = Int(state >> 24) % range
            var copy = bytes
            copy[place] ^= 1 << UInt8(state >> 16 & 7)
            try body(place, copy)
        }
    }

    @Test("is refused by name in a model, or changes nothing")
    func flippedModel() throws {
        let workspace = try Workspace()
        let images = try self.workspace.file("images")
        let sound = try workspace.finetune("predict", "--model", model, images, "--format", "csv")
        #expect(sound.code == 0)
        try flips(try FileSystem.read(model), 60) { place, bytes in
            try workspace.write(bytes, "model.h5")
            let outcome = try workspace.finetune("predict", "--model", "@model.h5", images, "--format", "csv")
            let isRefused = outcome.code == 65 && outcome.errors.contains("model.h5")
            #expect(isRefused || outcome.output == sound.output, "byte \(place): \(outcome.code) \(outcome.errors)")
        }
    }

    @Test("is refused in a checkpoint, or changes nothing")
    func flippedCheckpoint() throws {
        let flags = try #require(made?.flags)
        let workspace = try self.workspace
        let sound = try FileSystem.read(model)
        let checkpoint = try FileSystem.read(workspace.file("stopped/last.checkpoint.h5"))
        let record = try FileSystem.read(workspace.file("stopped/run.json"))
        try flips(checkpoint, 40) { place, bytes in
            _ = try workspace.shell("rm -rf flipped")
            try workspace.write(bytes, "flipped/last.checkpoint.h5")
            try workspace.write(record, "flipped/run.json")
            let outcome = try workspace.finetune(flags + ["--out", "@flipped", "--resume"])
            let isRefused = outcome.code == 65 && outcome.errors.contains("last.checkpoint.h5")
            let path = workspace.file("flipped/model.h5")
            let isSame = try outcome.code == 0 && FileSystem.read(path) == sound
            #expect(isRefused || isSame, "byte \(place): \(outcome.code) \(outcome.errors)")
        }
    }

    @Test("is no weights file: a pipe, a device, a folder", arguments: ["pipe.h5", "/dev/zero", "images"])
    func noFile(_ name: String) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 4)
        for command in [
            "inspect \(name)", "convert \(name) x.onnx", "predict --model \(name) images",
            "--base \(name) --data images --out run", "extract --base \(name) --data images --out f.npz",
        ] {
            let outcome = try workspace.shell("mkfifo pipe.h5 2>/dev/null; timeout 10 $program \(command)")
            #expect(
                outcome.code == 65 && outcome.errors.contains(name == "images" ? "a folder" : "regular file"),
                "\(outcome.code) \(outcome.errors)")
        }
    }

    @Test("are numbers out of range, in every flag")
    func flags() throws {
        for flag in [
            "--lr 1e39", "--lr 0", "--lr nan", "--l1 1e38", "--l2 inf", "--l2-sp -1", "--stage-lr-decay 1e300",
            "--stage-lr-decay 0", "--mixup 1e9", "--time-budget 1e300h", "--checkpoint-every 1e300", "--dropout 1",
            "--label-smoothing 1", "--ema 1", "--warmup 1e9", "--epochs 0", "--batch 9999999", "--early-stop -1",
            "--early-stop 99999999999", "--threads 0", "--size 0", "--val 1.5", "--limit 0", "--views 0",
        ] {
            let outcome = try Workspace().finetune(
                ["--unfreeze", "all", "--data", "nowhere", "--quiet"] + flag.split(separator: " ").map(String.init))
            #expect(outcome.code == 64, "\(flag): \(outcome.code) \(outcome.errors)")
        }
    }

    @Test("are weights that overflow: refused by the image that shows it")
    func overflow() throws {
        let workspace = try self.workspace
        // Every number of the first filters, times 2 to the 90: all finite.
        let converted = try workspace.finetune("convert", model, "@big.safetensors")
        #expect(converted.code == 0, "\(converted.errors)")
        var bytes = try FileSystem.read(workspace.file("big.safetensors"))
        let count = bytes[0..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
        let header = try JSON(parsing: Array(bytes[8..<8 + count]))
        for member in header.members ?? [] where member.key.hasSuffix("conv1.weight") || member.key == "fc.weight" {
            let offsets = member.value["data_offsets"]?.integers ?? []
            for place in stride(from: 8 + count + offsets[0], to: 8 + count + offsets[1], by: 4) {
                let value = bytes[place..<place + 4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                bytes.replaceSubrange(
                    place..<place + 4, with: (Float(bitPattern: value) * 0x1p120).bitPattern.littleEndianBytes)
            }
        }
        try workspace.write(bytes, "big.safetensors")
        for command in [
            ["predict", "--model", "@big.safetensors", "@images"],
            ["evaluate", "--model", "@big.safetensors", "--data", "@images"],
            ["extract", "--base", "@big.safetensors", "--data", "@images", "--out", "@big.npz"],
            ["--base", "@big.safetensors", "--data", "@images", "--out", "@big"],
            ["--base", "@big.safetensors", "--data", "@images", "--out", "@big", "--unfreeze", "stage3"],
        ] {
            let outcome = try workspace.finetune(command)
            #expect(outcome.code == 65 && outcome.errors.contains(".bmp'"), "\(outcome.code) \(outcome.errors)")
            #expect(outcome.output.isEmpty && FileSystem.kind(of: workspace.file("big.npz")) == nil)
            #expect(FileSystem.kind(of: workspace.file("big/model.h5")) == nil)
        }
    }

    @Test("leave no model: steps that are far too long", arguments: ["--l1 1000 --lr 10", "--lr 1000 --l2 1000"])
    func divergence(_ flags: String) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        let outcome = try workspace.finetune(
            ["--base", model, "--data", "@images", "--out", "@run", "--unfreeze", "all", "--epochs", "2"]
                + flags.split(separator: " ").map(String.init))
        #expect(outcome.code == 70, "\(outcome.code) \(outcome.errors)")
        #expect(FileSystem.kind(of: workspace.file("run/model.h5")) == nil)
    }

    @Test("is said with its reason where the system gives little")
    func scarcity() throws {
        let model = try model
        let images = try workspace.file("images")
        for (limit, words) in [
            ("-n 10", ["Too many open files", "ulimit -n"]), ("-n 5", ["ulimit -n"]), ("-f 1", ["ulimit -f"]),
            ("-v 340000", ["emory"]), ("-v 700000", ["emory"]),
        ] {
            let outcome = try Workspace().shell(
                "(ulimit \(limit); exec timeout -s KILL 60 $program predict --model \(model) \(images) 2>&1) | cat >&2; exit ${PIPESTATUS[0]}"
            )
            // What is enough for one processor may be too little for another, but nothing may hang.
            if outcome.code == 0 { continue }
            // Open MPI's own libraries may, before the program begins.
            if isBuiltForRanks, outcome.code == 137, outcome.errors.isEmpty { continue }
            #expect([1, 65, 69, 74].contains(outcome.code), "\(limit): \(outcome.code) \(outcome.errors)")
            #expect(words.contains { outcome.errors.contains($0) }, "\(limit): \(outcome.errors)")
            #expect(!outcome.errors.contains("damaged or hostile"), "\(outcome.errors)")
        }
    }
}

@Suite("Names that are not UTF-8") struct NameTests {
    @Test("are names like all others, shown with their bytes")
    func names() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        let made = try workspace.shell(
            #"mv images/down "images/"$'d\xE9but'; for f in images/across/1*.bmp; do mv "$f" "${f%.bmp}"$'\xFF.bmp'; done"#
        )
        #expect(made.code == 0, "\(made.errors)")
        let training = try workspace.finetune(
            "--strategy", "scratch", "--architecture", "resnet20,width=4", "--size", "24", "--data", "@images", "--out",
            "@run", "--epochs", "1", "--lr", "0.01", "--json")
        #expect(training.code == 0, "\(training.errors)")
        #expect(training.done["classes"]?.arrayValue == ["across", "d\\xE9but"])
        #expect(training.done["skipped"] == 0)
        let features = try workspace.finetune(
            "extract", "--base", "@run/model.h5", "--data", "@images", "--out", "@f.csv", "--json")
        #expect(features.done["images"] == 24, "\(features.errors)")
        let table = String(decoding: try FileSystem.read(workspace.file("f.csv")), as: UTF8.self)
        #expect(table.contains("across/1\\xFF.bmp") && table.contains("d\\xE9but/0.bmp"))
        // Also as words of the command line and lines of standard input.
        let whole = try workspace.shell(
            #"cp run/model.h5 $'m\xE8re.h5'; finetune predict --model $'m\xE8re.h5' images/across/1$'\xFF'.bmp --format csv"#
        )
        #expect(whole.code == 0 && whole.output.contains("images/across/1\\xFF.bmp"), "\(whole.output)\(whole.errors)")
        let listed = try workspace.shell(
            "ls images/across/1*.bmp | finetune predict --model run/model.h5 - --format csv")
        #expect(listed.code == 0 && listed.output.contains("\\xFF.bmp"), "\(listed.errors)")
        let out = try workspace.shell(#"finetune convert run/model.h5 $'\xE9t\xE9.onnx' && test -f $'\xE9t\xE9.onnx'"#)
        #expect(out.code == 0 && out.output.contains("\\xE9t\\xE9.onnx"), "\(out.output)\(out.errors)")
    }
}
