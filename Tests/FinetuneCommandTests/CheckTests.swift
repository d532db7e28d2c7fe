// finetune check, and what train says of the same faults.

import FinetuneFiles
import TestSupport
import Testing

@Suite("A check") struct CheckTests {
    let base = Path.join(Fixtures.package, "Tests/FinetuneCommandTests/Fixtures/resnet20-random.h5")

    /// Images with one fault of most kinds.
    private func faulty() throws -> Workspace {
        let workspace = try Workspace()
        for part in ["train", "val"] {
            try workspace.makeImages(
                "images/\(part)", perClass: part == "train" ? 20 : 6, seed: part == "train" ? 0 : 5000)
        }
        try workspace.write(Workspace.stripes(0, seed: 0), "images/train/across/again.bmp")
        try workspace.write(Workspace.stripes(1, seed: 5000), "images/train/down/leak.bmp")
        try workspace.write(Workspace.stripes(0, seed: 31), "images/train/down/other.bmp")
        try workspace.write(Workspace.stripes(1, seed: 77_000), "images/train/down/wrong.png")
        try workspace.write("no picture", "images/train/down/broken.jpg")
        try workspace.write("x", "images/train/.hidden")
        try workspace.write(Workspace.stripes(1, seed: 9), "images/stray.bmp")
        return workspace
    }

    @Test("lists every fault by name, and what to take out")
    func faults() throws {
        let workspace = try faulty()
        let outcome = try workspace.finetune(
            "check", "--base", base, "--data", "@images", "--fix-list", "@fix.csv", "--json")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let done = outcome.done
        #expect(done["images"]?.intValue == 56)
        let findings = done["findings"]?.arrayValue ?? []
        func paths(_ kind: String) -> [[String]] {
            findings.filter { $0["kind"]?.stringValue == kind }.map {
                ($0["paths"]?.arrayValue ?? []).compactMap(\.stringValue)
            }
        }
        #expect(paths("unreadable") == [["train/down/broken.jpg"]])
        #expect(paths("mistyped") == [["train/down/wrong.png"]])
        #expect(
            paths("exact-duplicates") == [
                ["train/across/0.bmp", "train/across/again.bmp"], ["train/across/1.bmp", "train/down/other.bmp"],
            ])
        #expect(paths("leak") == [["train/down/leak.bmp", "val/down/0.bmp"]])
        #expect(paths("two-labels") == [["train/across/1.bmp", "train/down/other.bmp"]])
        #expect(paths("hidden") == [["train/.hidden"]] && paths("stray-file") == [["stray.bmp"]])
        #expect(paths("small-image").count == 1)
        #expect(done["counts"]?["exact-duplicates"]?.intValue == 4)
        let fixes = try CSV(parsing: FileSystem.read(workspace.file("fix.csv")), name: "fix")
        #expect(fixes.columns == ["path", "kind", "detail", "suggestion", "probability"])
        #expect(fixes.rows.contains { $0.fields[0] == "train/down/broken.jpg" && $0.fields[1] == "unreadable" })
        #expect(!fixes.rows.contains { $0.fields[0] == "train/across/0.bmp" })
    }

    @Test("is passed or not with --strict")
    func strict() throws {
        let workspace = try faulty()
        let failed = try workspace.finetune("check", "--base", base, "--data", "@images", "--strict")
        #expect(failed.code == 3 && failed.errors.contains("does not pass"), "\(failed.errors)")
        #expect(failed.output.contains("train/down/broken.jpg"))
        let sound = try Workspace()
        try sound.makeImages("images", perClass: 12)
        let passed = try sound.finetune("check", "--base", base, "--data", "@images", "--strict")
        #expect(passed.code == 0, "\(passed.output) \(passed.errors)")
    }

    @Test("names the labels that are probably wrong, as train does: the same images in the same order")
    func labels() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 60)
        for number in 0..<3 {
            try workspace.write(Workspace.stripes(1, seed: 90_000 + number), "images/across/wrong\(number).bmp")
        }
        let outcome = try workspace.finetune(
            "check", "--base", base, "--data", "@images", "--json", "--fix-list", "@fix.csv")
        let found = (outcome.done["findings"]?.arrayValue ?? []).filter { $0["kind"] == "label-error" }
        let paths = found.compactMap { $0["paths"]?.arrayValue?.first?.stringValue }
        #expect(Set(paths) == Set((0..<3).map { "across/wrong\($0).bmp" }))
        for finding in found {
            #expect(finding["suggestion"]?.stringValue == "down")
            #expect((0.5...1).contains(finding["probability"]?.doubleValue ?? 0))
        }
        let labels = outcome.done["labels"]
        #expect(labels?["conclusive"]?.boolValue == true && labels?["likely_errors"]?.intValue == 3)
        #expect((0.9...1).contains(labels?["accuracy"]?.doubleValue ?? 0), "\(labels ?? .null)")
        let fixes = try CSV(parsing: FileSystem.read(workspace.file("fix.csv")), name: "fix").rows
        #expect(fixes.filter { $0.fields[1] == "label-error" }.map(\.fields[3]) == ["down", "down", "down"])
        let training = try workspace.finetune("--base", base, "--data", "@images", "--out", "@run", "--json")
        #expect(training.events.contains { $0["finding"] == "label-error" }, "\(training.output)")
        let record = try JSON(parsing: FileSystem.read(workspace.file("run/run.json")))
        #expect(record["findings"]?.arrayValue?.filter { $0["kind"] == "label-error" } == found)
    }

    @Test("accuses no label where the network cannot tell the classes apart, and says so")
    func weak() throws {
        let workspace = try Workspace()
        // The same stripes under every label.
        for label in 0..<4 {
            for number in 0..<20 {
                try workspace.write(Workspace.stripes(0, seed: 1000 * label + number), "images/c\(label)/\(number).bmp")
            }
        }
        let outcome = try workspace.finetune("check", "--base", base, "--data", "@images", "--json")
        #expect(outcome.code == 0 && outcome.done["counts"]?["label-error"] == nil, "\(outcome.errors)")
        #expect(outcome.done["labels"]?["conclusive"]?.boolValue == false)
        let people = try workspace.finetune("check", "--base", base, "--data", "@images")
        #expect(people.output.contains("Labels cannot be checked"), "\(people.output)")
        let training = try workspace.finetune("--base", base, "--data", "@images", "--out", "@run")
        #expect(training.code == 0 && training.errors.contains("Labels cannot be checked"), "\(training.errors)")
    }

    @Test("says what becomes of the only image of a class, and train does it")
    func single() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        try workspace.write(Workspace.stripes(2, seed: 1), "images/other/only.bmp")
        for command in [["check"], ["train", "--out", "@run"]] {
            let outcome = try workspace.finetune(command + ["--base", base, "--data", "@images"])
            let text = outcome.output + outcome.errors
            #expect(
                outcome.code == 0 && text.contains("The class 'other' has 1 image. The network learns from it"),
                "\(text)")
            #expect(!text.contains("labelled 'other'"))
        }
        let split = try CSV(parsing: FileSystem.read(workspace.file("run/split.csv")), name: "split").rows
        #expect(split.first { $0.fields[0] == "other/only.bmp" }?.fields[1] == "train")
    }

    @Test("says that a class of one group or one picture is not scored")
    func oneUnit() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12, classes: ["across"])
        for number in 0..<5 { try workspace.write(Workspace.stripes(1, seed: 7), "images/down/\(number).bmp") }
        let copies = try workspace.finetune("check", "--base", base, "--data", "@images")
        #expect(
            copies.output.contains("All 5 images of the class 'down' are copies of one picture"), "\(copies.output)")
        try workspace.makeImages("grouped", perClass: 10)
        var table = "path,label,group\n"
        for number in 0..<10 {
            table += "grouped/across/\(number).bmp,across,a\(number)\ngrouped/down/\(number).bmp,down,d\n"
        }
        try workspace.write(table, "table.csv")
        let groups = try workspace.finetune("--base", base, "--data", "@table.csv", "--out", "@run")
        #expect(
            groups.code == 0 && groups.errors.contains("All 10 images of the class 'down' are in one group, 'd'"),
            "\(groups.errors)")
        // A class that no fold can test is not judged.
        #expect(!groups.errors.contains("cannot be checked"), "\(groups.errors)")
    }

    @Test("of classes comes before any image is read, in a dry run as well")
    func listedFirst() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 4)
        let sound = try workspace.finetune("--base", base, "--data", "@images", "--dry-run", "--out", "@run")
        #expect(
            sound.errors.contains("8 images in 2 classes: across, down")
                && sound.errors.contains("Splits: 20.0 % of each class for validation"), "\(sound.errors)")
        try FileSystem.makeDirectory(workspace.file("images/none"))
        for flags in [["--dry-run"], []] {
            let outcome = try workspace.finetune(["--base", base, "--data", "@images", "--out", "@run"] + flags)
            #expect(outcome.code == 65 && outcome.errors.contains("no image of the class 'none'"), "\(outcome.errors)")
            #expect(!outcome.errors.contains("Features:"))
        }
    }

    @Test("of pictures without labels looks for copies and broken files alone")
    func unlabelled() throws {
        let workspace = try Workspace()
        for number in 0..<12 { try workspace.write(Workspace.stripes(0, seed: number), "flat/\(number).bmp") }
        try workspace.write(Workspace.stripes(0, seed: 3), "flat/same.bmp")
        try workspace.write("", "flat/empty.jpg")
        let outcome = try workspace.finetune("check", "--base", base, "--data", "@flat", "--json")
        #expect(outcome.code == 0 && outcome.done["counts"]?["exact-duplicates"]?.intValue == 2, "\(outcome.errors)")
        #expect(outcome.done["counts"]?["unreadable"]?.intValue == 1)
        for name in ["torn", "cut"] { try workspace.write("", "flat/\(name).jpg") }
        let broken = try workspace.finetune("check", "--base", base, "--data", "@flat")
        #expect(broken.code == 65 && broken.errors.contains("3 of 16 cannot be read"), "\(broken.errors)")
    }

    @Test("finds in a training what it finds alone, and an absent class stops it")
    func training() throws {
        let workspace = try faulty()
        let outcome = try workspace.finetune("--base", base, "--data", "@images", "--out", "@run")
        #expect(outcome.code == 0)
        for word in ["are identical but in both train and val", "its name says PNG", "lies in no folder"] {
            #expect(outcome.errors.contains(word), "\(word): \(outcome.errors)")
        }
        try FileSystem.makeDirectory(workspace.file("images/train/none"))
        let missing = try workspace.finetune("--base", base, "--data", "@images", "--out", "@other")
        #expect(missing.code == 65 && missing.errors.contains("'none'"), "\(missing.errors)")
        let apart = try Workspace()
        try apart.makeImages("images/train", perClass: 9)
        try apart.makeImages("images/val", perClass: 4, classes: ["across"], seed: 900)
        let absent = try apart.finetune("--base", base, "--data", "@images", "--out", "@run")
        #expect(
            absent.code == 65 && absent.errors.contains("'down' has no image in the split 'val'"), "\(absent.errors)")
    }

    @Test("refuses what a training refuses, in the same words")
    func refusals() throws {
        let workspace = try Workspace()
        try workspace.makeImages("one", perClass: 3, classes: ["only"])
        try workspace.makeImages("sites/a", perClass: 3)
        try workspace.makeImages("sites/b", perClass: 3, seed: 900)
        try workspace.makeImages("high/images", perClass: 3)
        try workspace.makeImages("absent/train", perClass: 9)
        try workspace.makeImages("absent/val", perClass: 4, classes: ["across"], seed: 900)
        try workspace.makeImages("broken", perClass: 2)
        for number in 0..<4 { try workspace.write("junk", "broken/down/junk\(number).jpg") }
        var (torn, decimals, lost) = ("path,label,split,group\n", "path,label\n", "path,label\n")
        for number in 0..<12 {
            let path = "sites/\(number % 2 == 0 ? "a" : "b")/\(number < 6 ? "across" : "down")/\(number / 2 % 3).bmp"
            torn += "\(path),\(number < 6 ? "x" : "y"),\(number % 2 == 0 ? "train" : "val"),g\(number / 6)\n"
            decimals += "\(path),\(Double(number) * 0.31 + 0.01)\n"
            lost += "\(number < 4 ? "none.jpg" : path),\(number < 6 ? "x" : "y")\n"
        }
        let gone = "path,label\nnone.jpg,x\nnothing.jpg,y\n"
        for (name, text) in [("torn", torn), ("decimals", decimals), ("lost", lost), ("gone", gone)] {
            try workspace.write(text, "\(name).csv")
        }
        let cases = [
            ("one", "one class, 'only'"), ("sites", "either may be the classes"), ("high", "Did you mean"),
            ("absent", "'down' has no image in the split 'val'"), ("broken", "at most a tenth"),
            ("torn.csv", "in more than one split"), ("decimals.csv", "different decimals"), ("lost.csv", "(line 2)"),
            ("gone.csv", "2 of the 2 files"),
        ]
        for (name, word) in cases {
            let check = try workspace.finetune("check", "--base", base, "--data", "@\(name)")
            let training = try workspace.finetune("--base", base, "--data", "@\(name)", "--out", "@run")
            func refusal(_ outcome: Outcome) -> String {
                outcome.errors.split(separator: "\n").first { $0.hasPrefix("finetune: ") }.map(String.init) ?? ""
            }
            #expect(check.code == 65 && training.code == 65, "\(name): \(check.code) \(training.code) \(check.errors)")
            #expect(check.errors.contains(word), "\(name): \(check.errors)")
            #expect(refusal(check) == refusal(training) && !refusal(check).isEmpty, "\(name): \(training.errors)")
        }
    }

    @Test("of an archive finds what a training and an extraction find")
    func archive() throws {
        let workspace = try Workspace()
        var archive = try ZipWriter(workspace.file("set.zip"))
        for (label, name) in ["across", "down"].enumerated() {
            for number in 0..<12 {
                try archive.begin("set/\(name)/\(number).bmp")
                try archive.write(Workspace.stripes(label, seed: 31 * number))
            }
        }
        try archive.begin("set/down/Thumbs.db")
        try archive.write(Array("no picture".utf8))
        try archive.commit()
        let check = try workspace.finetune("check", "--base", base, "--data", "@set.zip", "--json")
        #expect(check.code == 0 && check.done["images"]?.intValue == 24, "\(check.errors)")
        #expect(check.done["counts"]?["not-a-picture"]?.intValue == 1)
        let training = try workspace.finetune("--base", base, "--data", "@set.zip", "--out", "@run")
        #expect(training.code == 0 && training.errors.contains("Thumbs.db' is not a picture"), "\(training.errors)")
        let extraction = try workspace.finetune("extract", "--base", base, "--data", "@set.zip", "--out", "@f.csv")
        #expect(
            extraction.code == 0 && extraction.errors.contains("Thumbs.db' is not a picture"), "\(extraction.errors)")
        try workspace.makeImages("images", perClass: 12)
        #expect(try workspace.finetune("extract", "--base", base, "--data", "@images", "--out", "@g.csv").code == 0)
        func features(_ name: String) throws -> [[String]] {
            try CSV(parsing: FileSystem.read(workspace.file(name)), name: name).rows.map {
                Array($0.fields.dropFirst())
            }
        }
        #expect(try features("f.csv") == features("g.csv"))
    }

    @Test("of a table names its rows without labels, which a training leaves out")
    func unlabelledRows() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 8)
        var table = "File; Class; note\n"
        for number in 0..<8 {
            table +=
                "images\\across\\\(number).bmp;across ;x\nimages/down/\(number).bmp; \(number == 0 ? "nan" : "down");\n"
        }
        try workspace.write(table, "t.csv")
        let check = try workspace.finetune("check", "--base", base, "--data", "@t.csv", "--json")
        #expect(check.code == 0 && check.done["images"]?.intValue == 15, "\(check.errors)")
        let training = try workspace.finetune("--base", base, "--data", "@t.csv", "--out", "@run")
        #expect(
            training.code == 0 && training.errors.contains("1 row of the table has no label (line 3)"),
            "\(training.errors)")
        #expect(training.errors.contains("column 'note' of the table is not used"), "\(training.errors)")
        let extraction = try workspace.finetune(
            "extract", "--base", base, "--data", "@t.csv", "--out", "@f.csv", "--json")
        #expect(extraction.code == 0 && extraction.done["images"]?.intValue == 16, "\(extraction.errors)")
    }

    @Test("keeps copies of a picture on one side")
    func sides() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 15)
        for number in 0..<15 {
            // The last byte is one pixel's blue.
            var copy = Workspace.stripes(0, seed: 31 * number)
            copy[copy.count - 1] ^= 1
            try workspace.write(copy, "images/across/copy\(number).bmp")
        }
        let outcome = try workspace.finetune(
            "--base", base, "--data", "@images", "--out", "@run", "--val", "0.4", "--json")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let rows = try CSV(parsing: FileSystem.read(workspace.file("run/split.csv")), name: "split").rows
        let parts = Dictionary(uniqueKeysWithValues: rows.map { ($0.fields[0], $0.fields[1]) })
        for number in 0..<15 { #expect(parts["across/\(number).bmp"] == parts["across/copy\(number).bmp"]) }
        #expect(Set(parts.values) == ["train", "val"])
    }
}
