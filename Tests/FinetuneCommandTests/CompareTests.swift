// finetune compare: the same images for every strategy, and what follows.

import FinetuneFiles
import Foundation
import TestSupport
import Testing

@Suite("A comparison") struct CompareTests {
    let base = Path.join(Fixtures.package, "Tests/FinetuneCommandTests/Fixtures/resnet20-random.h5")

    private func compare(_ workspace: Workspace, _ arguments: String...) throws -> Outcome {
        try compare(workspace, arguments)
    }

    private func compare(_ workspace: Workspace, _ arguments: [String]) throws -> Outcome {
        try workspace.finetune(["compare", "--base", base, "--data", "@images", "--json"] + arguments)
    }

    private func predictions(_ workspace: Workspace, _ folder: String = "run") throws -> [[String]] {
        try CSV(parsing: FileSystem.read(workspace.file("\(folder)/predictions.csv")), name: "predictions").rows.map(
            \.fields)
    }

    @Test("scores every strategy on the same images, with intervals, tests, costs and advice")
    func strategies() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 20)
        let outcome = try compare(
            workspace, "--strategies", "head,stage3,lp-ft", "--epochs", "2", "--views", "2", "--out", "@run")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let done = outcome.done
        let rows = done["strategies"]?.arrayValue ?? []
        #expect(rows.map { $0["name"]?.stringValue } == ["head", "stage3", "lp-ft"])
        for row in rows {
            for key in ["accuracy", "macro_f1", "log_loss", "ece", "seconds", "cpu_seconds", "peak_rss_mb"] {
                #expect(row[key]?.doubleValue?.isFinite == true, "\(key)")
                guard let interval = row["\(key)_ci"]?.numbers else { continue }
                #expect(interval.count == 2 && interval[0] <= interval[1])
            }
        }
        let parameters = rows.compactMap { $0["trainable_parameters"]?.intValue }
        #expect(parameters.count == 3 && parameters[0] < parameters[1] && parameters[1] < parameters[2])
        let calibration = done["calibration"]?.arrayValue ?? []
        #expect(calibration.count == 3 && calibration.allSatisfy { ($0["temperature"]?.doubleValue ?? 0) > 0 })
        for (row, own) in zip(rows, calibration) {
            #expect(row["log_loss"]?.doubleValue == own["log_loss"]?["after"]?.doubleValue)
        }
        #expect(done["pairs"]?.arrayValue?.count == 3 && done["p_value"]?.doubleValue != nil)
        #expect(done["advice"]?.stringValue?.hasPrefix("Use ") == true && done["best"]?.stringValue != nil)
        // Every strategy is scored on the same images, none of which it learnt from or chose an epoch by.
        let rowsOf = Dictionary(grouping: try predictions(workspace), by: { $0[0] })
        #expect(rowsOf.count == 3)
        #expect(Set(rowsOf.values.map { $0.map { $0[2] } }).count == 1)
        #expect(rowsOf["head"]?.count == done["scored_images"]?.intValue)
        // What strategies share stays for nobody.
        #expect(FileSystem.kind(of: workspace.file("run/features")) == nil)
        let written = try JSON(parsing: FileSystem.read(workspace.file("run/comparison.json")))
        #expect(written["strategies"] == done["strategies"] && written["base_hash"]?.stringValue?.count == 32)
    }

    @Test("leaves out a strategy whose training diverged, and names it")
    func divergence() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        let flags = [
            "--strategies", "head,stage3", "--epochs", "2", "--optimizer", "sgd", "--lr", "1000", "--batch", "4",
        ]
        let outcome = try compare(workspace, flags + ["--out", "@run"])
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.done["strategies"]?.arrayValue?.compactMap { $0["name"]?.stringValue } == ["head"])
        #expect(outcome.done["diverged"]?.arrayValue?.first?["name"] == "stage3")
        let advice = outcome.done["advice"]?.stringValue ?? ""
        #expect(advice.hasPrefix("Use head (") && advice.contains("stage3: the training diverged"), "\(advice)")
        let alone = try compare(workspace, ["--strategies", "stage3"] + flags.dropFirst(2) + ["--out", "@alone"])
        #expect(alone.code == 70, "\(alone.errors)")
    }

    @Test(
        "says that two strategies are the same training",
        arguments: [("all,lp-ft", true), ("stage3,last", true), ("all,fine-tune", false)])
    func repetitions(_ strategies: String, _ areEqual: Bool) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        let outcome = try compare(workspace, "--strategies", strategies, "--epochs", "1", "--out", "@run")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let names = strategies.split(separator: ",")
        let text = "'\(names[0])' and '\(names[1])' are the same training."
        #expect(outcome.errors.contains(text) == areEqual, "\(outcome.errors)")
    }

    @Test("says which strategies do not begin with the head of --head ridge")
    func otherHeads() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        let outcome = try compare(
            workspace, "--strategies", "head,stage3", "--head", "ridge", "--epochs", "1", "--out", "@run")
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.errors.contains("cannot be trained further: 'stage3' begins with a linear head"))
    }

    @Test("refuses flags that mean nothing to any of the strategies")
    func flagsForNone() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 4)
        for (flags, isRefused) in [
            ("--strategies fine-tune,all --views 2", true), ("--strategies stage3,all --views 2", false),
            ("--strategies fine-tune --precision fp32", true), ("--strategies fine-tune,head --precision fp32", false),
        ] {
            let outcome = try compare(
                workspace, flags.split(separator: " ").map(String.init) + ["--epochs", "1", "--out", "@run", "--force"])
            #expect(outcome.code == (isRefused ? 64 : 0), "\(flags): \(outcome.errors)")
        }
    }

    @Test("over folds scores every image once a strategy, copies and groups in one fold")
    func folds() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        let outcome = try compare(
            workspace, "--strategies", "head,frozen", "--folds", "3", "--group-by", "([0-9]+).bmp", "--out", "@run")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let rows = try predictions(workspace).filter { $0[0] == "head" }
        #expect(rows.count == 24 && Set(rows.map { $0[2] }).count == 24)
        // 3.bmp is one group of both classes.
        for (_, group) in Dictionary(grouping: rows, by: { $0[2].split(separator: "/").last }) {
            #expect(Set(group.map { $0[1] }).count == 1)
        }
        #expect(outcome.done["pairs"]?.arrayValue?.first?["test"] == "corrected resampled t")
        #expect(outcome.done["pairs"]?.arrayValue?.first?["difference"]?.doubleValue == 0)
    }

    @Test("over seeds divides anew, but never the data set's own test images, and shows how accuracy grows")
    func seeds() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 40)
        let drawn = try compare(workspace, "--strategies", "head", "--seeds", "2", "--learning-curve", "--out", "@run")
        #expect(drawn.code == 0, "\(drawn.errors)")
        let rows = Dictionary(grouping: try predictions(workspace), by: { $0[1] }).mapValues { Set($0.map { $0[2] }) }
        #expect(rows.count == 2 && rows["1"] != rows["2"])
        let curve = drawn.done["learning_curve"]?.arrayValue ?? []
        let counts = curve.compactMap { $0["train_images"]?.intValue }
        #expect(counts.count == 4 && counts == counts.sorted() && counts.last == drawn.done["train_images"]?.intValue)
        #expect(drawn.done["advice"]?.stringValue?.contains("Only head") == true)
        let own = try Workspace()
        try own.makeImages("images/train", perClass: 16)
        try own.makeImages("images/test", perClass: 5, seed: 4000)
        let fixed = try compare(own, "--strategies", "head,frozen", "--seeds", "2", "--out", "@run")
        #expect(fixed.code == 0, "\(fixed.errors)")
        #expect(Set(try predictions(own).map { $0[2] }).count == 10)
        #expect(fixed.done["pairs"]?.arrayValue?.first?["test"] == "paired t over images")
    }

    @Test("goes on after it was killed, to the same bytes")
    func resumes() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 20)
        let arguments = [
            "compare", "--base", base, "--data", "@images", "--strategies", "head,stage3", "--epochs", "4", "--views",
            "1",
            "--augment", "none", "--checkpoint-every", "0",
        ]
        #expect(try workspace.finetune(arguments + ["--out", "@whole"]).code == 0)
        let killed = try workspace.interrupt(
            arguments + ["--out", "@part"], by: SIGKILL, when: "part/parts/stage3.checkpoint.h5")
        #expect(killed == 128 + SIGKILL)
        let resumed = try workspace.finetune(arguments + ["--out", "@part", "--resume"])
        #expect(resumed.code == 0, "\(resumed.errors)")
        #expect(
            try FileSystem.read(workspace.file("whole/predictions.csv"))
                == FileSystem.read(workspace.file("part/predictions.csv")))
        #expect(FileSystem.kind(of: workspace.file("part/parts/stage3.checkpoint.h5")) == nil)
        let stopped = try workspace.interrupt(
            arguments + ["--out", "@third"], by: SIGTERM, when: "third/parts/head.json")
        #expect(stopped == 75 || stopped == 0)
    }

    @Test("refuses what it would not use, and data that cannot be divided")
    func usage() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 6)
        for arguments in [
            ["--strategies", "head,head"], ["--strategies", "head,,all"], ["--folds", "1"],
            ["--seeds", "2", "--folds", "2"],
            ["--strategies", "head", "--epochs", "3"], ["--strategies", "head,scratch"],
            ["--strategies", "head,stage9"],
            ["--test", "0"], ["--folds", "2", "--test", "0.1"], ["--architecture", "resnet20"],
        ] {
            let outcome = try workspace.finetune(
                ["compare", "--base", base, "--data", "@images", "--out", "@x"] + arguments)
            #expect(outcome.code == 64, "\(arguments): \(outcome.code) \(outcome.errors)")
        }
        try workspace.write(Workspace.stripes(2, seed: 1), "images/lonely/1.bmp")
        let outcome = try compare(workspace, "--strategies", "head", "--folds", "3", "--out", "@run")
        #expect(outcome.code == 65 && outcome.errors.contains("--folds"), "\(outcome.errors)")
    }

    @Test("lets a network from nothing take part")
    func scratch() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 16)
        let outcome = try compare(
            workspace, "--strategies", "head,scratch", "--architecture", "resnet20,width=8", "--epochs", "1", "--size",
            "32",
            "--out", "@run")
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.done["strategies"]?.arrayValue?.count == 2)
    }
}
