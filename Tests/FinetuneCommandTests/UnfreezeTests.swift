// Training through the trunk, end to end, through the program itself.

import FinetuneFiles
import Glibc
import TestSupport
import Testing

private var base: String { SmallModel.path }

@Suite("Unfreezing", .serialized) struct UnfreezeTests {
    /// What is asked for, and how many tensors stay frozen. A convolution is one tensor, its batch norm four; the stem
    /// has one pair, each of three stages six. Statistics count where their stage learns and they do not.
    struct Way: Sendable, CustomTestStringConvertible {
        let flags: String
        let frozenTensors: Int
        let learnsFrom: [String]
        var testDescription: String { flags }
    }

    static let ways = [
        Way(flags: "--unfreeze stage3", frozenTensors: 77, learnsFrom: ["stage3"]),
        Way(flags: "--unfreeze last --batch-norm train --precision fp32", frozenTensors: 65, learnsFrom: ["stage3"]),
        Way(
            flags: "--unfreeze stage2 --precision fp32 --train-precision fp32 --ema 0.9 --dropout 0.1 --l2-sp 0.01",
            frozenTensors: 59, learnsFrom: ["stage2"]),
        Way(flags: "--unfreeze all --l2 0.001 --optimizer nesterov --clip 1", frozenTensors: 38, learnsFrom: ["stem"]),
        Way(flags: "--strategy lp-ft --stage-lr-decay 0.5", frozenTensors: 38, learnsFrom: ["stem"]),
        Way(
            flags: "--strategy gradual --unfreeze stage2", frozenTensors: 59, learnsFrom: ["stage3", "stage2"]),
        Way(flags: "--strategy fine-tune --unfreeze head --lr 0.1", frozenTensors: 95, learnsFrom: ["head"]),
        Way(flags: "--strategy scratch --architecture resnet20,width=4", frozenTensors: 0, learnsFrom: ["stem"]),
        Way(
            flags: "--strategy scratch --architecture resnet18,width=4,stem=3x3 --size 32 --start-size 20 --ema 0.9 "
                + "--mixup 0.2 --label-smoothing 0.1 --augment standard --warmup 0.5", frozenTensors: 0,
            learnsFrom: ["stem"]),
        Way(flags: "--unfreeze all --start-size 24", frozenTensors: 38, learnsFrom: ["stem"]),
    ]

    @Test("trains by every strategy, and the model answers as it was scored", arguments: ways)
    func strategies(_ way: Way) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 8)
        let flags = way.flags.split(separator: " ").map(String.init)
        let source = flags.contains("scratch") ? [] : ["--base", base]
        let training = try workspace.finetune(
            source + ["--data", "@images", "--out", "@run", "--epochs", "3", "--batch", "6", "--json"] + flags)
        #expect(training.code == 0, "\(training.errors)")
        let epochs = training.events.filter { $0["event"] == "epoch" }
        #expect(Set(epochs.compactMap { $0["learns_from"]?.stringValue }) == Set(way.learnsFrom))
        #expect(epochs.count == 3)
        let equal = training.events.compactMap { $0["frozen_tensors_equal"]?.intValue }
        #expect((equal.first ?? 0) == way.frozenTensors)
        for name in ["model.h5", "last.checkpoint.h5", "metrics.csv", "health.csv", "run.json"] {
            #expect(FileSystem.kind(of: workspace.file("run/\(name)")) == .file, "\(name)")
        }
        let evaluation = try workspace.finetune("evaluate", "--model", "@run/model.h5", "--data", "@images", "--json")
        #expect(evaluation.done["metrics"] == training.done["val"], "\(evaluation.errors)")
        let parameters = (training.done["trainable_parameters"]?.intValue, training.done["frozen_parameters"]?.intValue)
        let inspected = try workspace.finetune("inspect", "@run/model.h5", "--json")
        #expect((parameters.0 ?? 0) + (parameters.1 ?? 0) == inspected.done["parameters"]?.intValue)
    }

    @Test(
        "begins where the head ends, and no model has a higher validation log-loss than its start",
        arguments: [
            "--unfreeze all", "--unfreeze stage3 --optimizer momentum --lr 0.02", "--unfreeze last --lr 1e-9",
            "--head mlp:8 --lr 0.2", "--unfreeze stage3 --head mlp:8", "--head linear --lr 0.5",
            "--strategy fine-tune --optimizer adamw --lr 0.1",
            "--strategy gradual --unfreeze stage2 --lr 0.02",
        ])
    func start(_ flags: String) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        let outcome = try workspace.finetune(
            ["--base", base, "--data", "@images", "--out", "@run", "--epochs", "3", "--batch", "8", "--json"]
                + flags.split(separator: " ").map(String.init))
        #expect(outcome.code == 0, "\(outcome.errors)")
        let start = try #require(outcome.done["start"]?["saved_log_loss"]?.doubleValue, "\(outcome.output)")
        let saved = try #require(outcome.done["val"]?["log_loss"]?.doubleValue)
        #expect(saved <= start * (1 + 1e-4) + 1e-6, "\(saved) \(start)")
        let best = try #require(outcome.done["best_epoch"]?.intValue)
        let people = outcome.events.compactMap { $0["text"]?.stringValue }
        #expect(people.contains { $0.hasPrefix("Before the first step: validation accuracy") })
        if flags.contains("1e-9") {
            #expect(outcome.errors.contains("the training changes almost nothing:"), "\(outcome.errors)")
        }
        #expect((0...3).contains(best))
    }

    @Test(
        "begins with the head that the same flags train on frozen features",
        arguments: [
            "logistic", "linear --init xavier", "logistic --strategy gradual", "mlp:8 --dropout 0.2 --l2 0.01",
            "mlp:8,4 --feature-scaling pca:3",
        ])
    func headInEpochs(_ head: String) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        let flags =
            ["--base", base, "--data", "@images", "--json", "--precision", "fp32"]
            + (head.contains("logistic") ? [] : ["--batch", "8"]) + ["--head"]
            + head.split(separator: " ").map(String.init)
        let isGradual = head.contains("gradual")
        let frozen = try workspace.finetune(
            (isGradual ? Array(flags.dropLast(2)) : flags) + ["--out", "@frozen"])
        let unfrozen = try workspace.finetune(
            flags + ["--out", "@unfrozen", "--unfreeze", "stage3", "--train-precision", "fp32", "--epochs", "1"])
        #expect(frozen.code == 0 && unfrozen.code == 0, "\(frozen.errors)\(unfrozen.errors)")
        let expected = try #require(frozen.done["val"]?["log_loss"]?.doubleValue)
        let start = try #require(unfrozen.done["start"]?["saved_log_loss"]?.doubleValue)
        #expect(abs(start - expected) <= 1e-4 * (expected + 1), "\(start) \(expected)")
        let record = try JSON(parsing: FileSystem.read(workspace.file("unfrozen/run.json")))["head_record"] ?? .null
        if head.contains("logistic") {
            #expect(record["strength"]?.doubleValue != nil, "\(record)")
        } else {
            #expect(record["epochs"] == 50 && record["learning_rate"]?.doubleValue != nil, "\(record)")
        }
    }

    @Test("says that no epoch was better than the start, and what to try")
    func inVain() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        let outcome = try workspace.finetune(
            "--base", base, "--data", "@images", "--out", "@run", "--unfreeze", "all", "--optimizer", "adamw", "--lr",
            "0.002", "--epochs", "2")
        #expect(
            outcome.code == 0 && outcome.errors.contains("the model is that of the start. Try"), "\(outcome.errors)")
    }

    @Test("learns what a head on frozen random features need not")
    func learns() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 20, classes: ["a", "b", "c"])
        let training = try workspace.finetune(
            "--base", Fixtures.path("resnet20-random.h5"), "--data", "@images", "--out",
            "@run",
            "--unfreeze", "stage3", "--strategy", "fine-tune", "--lr", "0.05", "--augment", "none", "--epochs", "8",
            "--batch", "8",
            "--json")
        let losses = training.events.compactMap { $0["train_loss"]?.doubleValue }
        #expect(losses.count == 8 && (losses.last ?? 9) < 0.7 * (losses.first ?? 0), "\(losses)")
        #expect((training.done["val"]?["accuracy"]?.doubleValue ?? 0) > 0.6)
    }

    private func flags(_ out: String, _ more: String...) -> [String] {
        [
            "--base", base, "--data", "@images", "--out", "@\(out)", "--unfreeze", "stage2", "--epochs", "6", "--batch",
            "8", "--checkpoint-every", "0", "--early-stop", "0", "--optimizer", "adamw", "--lr", "0.001", "--quiet",
        ] + more
    }

    private func expectSame(_ a: String, _ b: String, _ workspace: Workspace) throws {
        for name in ["model.h5", "predictions.csv", "confusion.csv"] {
            let files = try [a, b].map { try FileSystem.read(workspace.file("\($0)/\(name)")) }
            #expect(files[0] == files[1], "\(name) of \(a) and \(b)")
        }
    }

    @Test("gives the same bytes after kill -9 and after SIGTERM, and says 75 to the latter")
    func resumes() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        #expect(try workspace.finetune(flags("whole")).code == 0)
        let checkpoint = "last.checkpoint.h5"
        #expect(try workspace.interrupt(flags("killed"), by: SIGKILL, when: "killed/\(checkpoint)") == 128 + SIGKILL)
        #expect(try workspace.finetune(flags("killed", "--resume")).code == 0)
        try expectSame("whole", "killed", workspace)
        #expect(try workspace.interrupt(flags("asked"), by: SIGTERM, when: "asked/\(checkpoint)") == 75)
        #expect(try workspace.finetune(flags("asked", "--resume")).code == 0)
        try expectSame("whole", "asked", workspace)
        // A finished run that is resumed says the same again; other settings are not the same run.
        #expect(try workspace.finetune(flags("asked", "--resume")).code == 0)
        try expectSame("whole", "asked", workspace)
        let other = try workspace.finetune(flags("asked", "--resume", "--seed", "5"))
        #expect(other.code == 64 && other.errors.contains("seed was 0"), "\(other.errors)")
        try workspace.write([1, 2, 3], "asked/\(checkpoint)")
        let damaged = try workspace.finetune(flags("asked", "--resume"))
        #expect(damaged.code == 65 && damaged.errors.contains(checkpoint), "\(damaged.errors)")
    }

    @Test("from nothing with images that grow gives the same bytes after kill -9")
    func resumesGrowing() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        func flags(_ out: String, _ more: String...) -> [String] {
            [
                "--strategy", "scratch", "--architecture", "resnet20,width=4", "--start-size", "16", "--ema", "0.9",
                "--epochs", "6", "--batch", "8", "--data", "@images", "--out", "@\(out)", "--checkpoint-every", "0",
                "--quiet",
            ] + more
        }
        #expect(try workspace.finetune(flags("whole")).code == 0)
        _ = try workspace.interrupt(flags("killed"), by: SIGKILL, when: "killed/last.checkpoint.h5")
        #expect(try workspace.finetune(flags("killed", "--resume")).code == 0)
        try expectSame("whole", "killed", workspace)
    }

    @Test("computes what is frozen once, and gives the same bytes whether it is kept or not")
    func keeps() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 16)
        func run(_ out: String, _ cache: String) throws -> Outcome {
            try workspace.finetune(
                "--base", base, "--data", "@images", "--out", "@\(out)", "--unfreeze", "stage3", "--epochs", "2",
                "--views", "2", "--cache", cache, "--json")
        }
        func computed(_ outcome: Outcome) -> Int? { outcome.events.compactMap { $0["computed"]?.intValue }.first }
        let first = try run("first", "@cache")
        #expect(computed(first) == 32, "\(first.errors)")
        // Those of the boundary's values, of the features that the first head reads, and of the images' fingerprints.
        let kept = try FileSystem.list(workspace.file("cache"))
        #expect(kept.count == 3 && kept.allSatisfy { $0.hasSuffix(".features") })
        #expect(computed(try run("second", "@cache")) == 0)
        #expect(try run("third", "off").code == 0)
        try expectSame("first", "second", workspace)
        try expectSame("first", "third", workspace)
        // A damaged cache costs time and nothing else.
        for name in kept {
            var bytes = try FileSystem.read(workspace.file("cache/\(name)"))
            for index in stride(from: 100, to: bytes.count, by: 777) { bytes[index] ^= 0x55 }
            try workspace.write(bytes, "cache/\(name)")
        }
        #expect(try run("fourth", "@cache").code == 0)
        try expectSame("first", "fourth", workspace)
    }

    @Test("keeps a run's folder to one program")
    func oneProgram() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 8)
        try workspace.write("4711", "run/.finetune.lock")
        let descriptor = open(workspace.file("run/.finetune.lock"), O_RDWR)
        #expect(flock(descriptor, LOCK_EX) == 0)
        let second = try workspace.finetune(flags("run", "--force"))
        #expect(second.code == 73 && second.errors.contains("process 4711"), "\(second.errors)")
        // The lock ends with its process, and the file that is left is in nobody's way.
        close(descriptor)
        #expect(try workspace.finetune(flags("run")).code == 0)
        #expect(FileSystem.kind(of: workspace.file("run/.finetune.lock")) == nil)
    }

    @Test("begins with probabilities of the right size where regularization left a head almost none")
    func flatHead() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 24)
        let outcome = try workspace.finetune(
            "--base", base, "--data", "@images", "--out", "@run", "--unfreeze", "stage3", "--feature-scaling", "l2",
            "--epochs", "2", "--json")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let factor = outcome.events.compactMap { $0["head_factor"]?.doubleValue }.first
        let result = try JSON(parsing: FileSystem.read(workspace.file("run/run.json")))
        #expect((factor ?? 0) > 3, "\(outcome.errors)")
        #expect((result["result"]?["start"]?["val_log_loss"]?.doubleValue ?? 1) < 0.62)
        #expect((result["learning_rate"]?.doubleValue ?? 1) < 0.5)
    }

    @Test("from nothing finds a rate for a head that does not begin at zero")
    func scratchRate() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 24)
        let outcome = try workspace.finetune(
            "--strategy", "scratch", "--architecture", "resnet20,width=4", "--size", "24", "--head", "mlp:8", "--data",
            "@images", "--out", "@run", "--epochs", "2", "--json")
        #expect(outcome.code == 0 && !outcome.errors.contains("No learning rate was found"), "\(outcome.errors)")
        #expect(outcome.events.contains { ($0["rate"]?.doubleValue ?? 0) > 1e-4 && $0["losses"] != nil })
    }

    @Test("says that a training diverged, and what to try")
    func diverges() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 8)
        let outcome = try workspace.finetune(
            "--base", base, "--data", "@images", "--out", "@run", "--unfreeze", "all", "--lr", "1000")
        #expect(outcome.code == 70 && outcome.errors.contains("Try a smaller --lr"), "\(outcome.errors)")
    }

    @Test("ends in time")
    func timeBudget() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 16)
        let outcome = try workspace.finetune(
            "--base", base, "--data", "@images", "--out", "@run", "--unfreeze", "stage3", "--epochs", "100000",
            "--lr", "0.001", "--early-stop", "0", "--time-budget", "2s", "--json")
        let seconds = outcome.done["seconds"]?["train"]?.doubleValue ?? 0
        #expect(
            outcome.code == 0 && seconds >= 1.9 && (outcome.done["epochs"]?.intValue ?? 0) > 1, "\(outcome.errors)")
    }

    @Test(
        "refuses flags that mean nothing together, naming both",
        arguments: [
            ("--batch-norm train", "--strategy frozen"), ("--unfreeze stage9", "stage9"),
            ("--unfreeze stage2 --head ridge", "--head ridge"), ("--strategy scratch", "--architecture"),
            ("--strategy scratch --architecture resnet19", "resnet19"),
            ("--architecture resnet18 --unfreeze all", "--strategy scratch"),
            ("--unfreeze stage3 --augment none --views 3", "--views"), ("--unfreeze all --ema 1", "--ema"),
            ("--unfreeze all --time-budget soon", "--time-budget"), ("--unfreeze all --lr fast", "--lr"),
            ("--unfreeze all --optimizer adagrad", "--optimizer"), ("--resume --force", "--force"),
            ("--unfreeze stage2 --start-size 16", "--start-size"),
            ("--unfreeze all --start-size 32", "not smaller"), ("--strategy frozen --start-size 9", "--start-size"),
            ("--strategy frozen --unfreeze stage2", "--unfreeze stage2"), ("--unfreeze all --dropout 1", "--dropout"),
            ("--val 0.6 --test 0.4", "leave no images"),
            ("--strategy scratch --architecture vgg11,width=2 --start-size 100", "too small"),
        ])
    func refuses(_ flags: String, _ name: String) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 4)
        let words = flags.split(separator: " ").map(String.init)
        let source = flags.contains("--strategy scratch") ? [] : ["--base", base]
        let outcome = try workspace.finetune(source + ["--data", "@images", "--out", "@run"] + words)
        #expect(outcome.code == 64 && outcome.errors.contains(name), "\(outcome.code): \(outcome.errors)")
        #expect(FileSystem.kind(of: workspace.file("run")) == nil)
    }

    @Test("shows the plan without training")
    func dryRun() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 4)
        let outcome = try workspace.finetune(
            "--base", base, "--data", "@images", "--unfreeze", "stage2", "--stage-lr-decay", "0.5", "--dry-run",
            "--json")
        let rows = outcome.done["plan"]?.arrayValue ?? []
        #expect(
            rows.compactMap { $0["stage"]?.stringValue } == ["stem", "stage1", "stage2", "stage3", "pooled", "head"])
        #expect(rows.compactMap { $0["rate_factor"]?.doubleValue } == [0, 0, 0.25, 0.5, 0, 1])
        #expect(rows.compactMap { $0["learns"]?.boolValue } == [false, false, true, true, false, true])
    }
}
