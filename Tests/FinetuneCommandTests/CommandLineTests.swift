// What a command line without flags means: folders, pictures, misspelt commands, names that begin with a hyphen, and names
// on standard input.

import FinetuneFiles
import Foundation
import TestSupport
import Testing

@testable import FinetuneCommand

private let base = Fixtures.path("resnet20-random.h5")

@Suite("The command line") struct CommandLineTests {
    @Test("takes a folder without a flag for --data, wherever it stands")
    func folders() throws {
        let workspace = try Workspace()
        try workspace.makeImages("imgs", perClass: 2)
        let imgs = workspace.file("imgs")
        func read(_ words: String...) throws -> [String] { try ArgumentReader(words).arguments }
        #expect(try read(imgs) == ["train", "--data", imgs])
        #expect(try read("train", imgs, "--quiet") == ["train", "--data", imgs, "--quiet"])
        #expect(try read(imgs, "--base", "x.h5") == ["train", "--data", imgs, "--base", "x.h5"])
        #expect(try read("--base", "x.h5", imgs) == ["train", "--data", imgs, "--base", "x.h5"])
        #expect(try read("check", "--strict", imgs) == ["check", "--data", imgs, "--strict"])
        #expect(try read("train", "--", imgs) == ["train", "--data", imgs])
        for command in ["evaluate", "extract", "compare"] {
            #expect(try read(command, imgs) == [command, "--data", imgs])
        }
        #expect(try read("predict", "--model", "m", imgs, "a.jpg") == ["predict", "--model", "m", imgs, "a.jpg"])
        for line in [["--help"], ["help", "train"], ["train", "--help"], ["--version"], []] {
            #expect(try ArgumentReader(line).arguments == line)
        }
    }

    @Test("trains on a folder, an archive or a table that stands alone")
    func trains() throws {
        let workspace = try Workspace()
        try workspace.makeImages("imgs", perClass: 6)
        let table =
            "path,label\n"
            + ["across", "down"].flatMap { name in
                (0..<6).map { "imgs/\(name)/\($0).bmp,\(name)\n" }
            }.joined()
        try workspace.write(table, "table.csv")
        for (path, flags) in [("@imgs", []), ("@table.csv", ["--precision", "fp32"])] {
            let outcome = try workspace.finetune([path, "--base", base, "--dry-run", "--json"] + flags)
            #expect(outcome.code == 0 && outcome.done["dry_run"] == true, "\(outcome.errors)")
        }
    }

    @Test("prefers a command to a folder of its name")
    func commandsWin() throws {
        let workspace = try Workspace()
        try workspace.makeImages("train", perClass: 3)
        let command = try workspace.shell("finetune train")
        #expect(command.code == 64 && command.errors.contains("without --data"), "\(command.errors)")
        let folder = try workspace.shell("finetune ./train --base '\(base)' --dry-run --json")
        #expect(folder.code == 0 && folder.done["dry_run"] == true, "\(folder.errors)")
        #expect(try workspace.shell("finetune train train --base '\(base)' --dry-run").code == 0)
    }

    static let mistakes: [(script: String, code: Int32, words: [String])] = [
        ("finetune tarin --data imgs", 64, ["no such command", "Did you mean finetune train?"]),
        ("finetune evalute --data imgs", 64, ["Did you mean finetune evaluate?"]),
        ("finetune predcit", 64, ["Did you mean finetune predict?"]), ("finetune docter", 64, ["finetune doctor?"]),
        ("finetune convrt a b", 64, ["finetune convert?"]), ("finetune eval", 64, ["finetune evaluate?"]),
        ("finetune Train", 64, ["Did you mean finetune train?"]),
        ("finetune ./nowhere", 66, ["'./nowhere'", "nothing at that path"]),
        ("finetune photos.zip", 66, ["'photos.zip'", "nothing at that path"]),
        ("finetune wolpertinger", 66, ["'wolpertinger'", "no command has that name", "finetune --help"]),
        ("finetune https://example.org/imgs.zip", 66, ["it is an address", "Download it first"]),
        ("finetune photo.jpg", 64, ["picture", "finetune predict --model runs/NAME/model.h5 photo.jpg"]),
        ("finetune ./photo", 64, ["picture", "finetune predict"]),
        ("finetune net.h5", 64, ["weights file", "finetune --base net.h5 --data", "finetune inspect net.h5"]),
        ("finetune --quiet check --data imgs", 64, ["'check'", "the command comes first"]),
        ("finetune imgs --data imgs", 64, ["'imgs'", "--data names the images already"]),
        ("finetune imgs more", 64, ["'more'", "'imgs' names the images already", "--val"]),
        ("finetune --feature-scaling pca:3 64 --data imgs", 66, ["'64'", "nothing at that path"]),
        ("finetune -imags", 64, ["no flag '-imags'"]),
        // A network where the images are expected.
        ("finetune evaluate net.h5 imgs", 64, ["Did you mean finetune evaluate --model net.h5 --data imgs?"]),
        ("finetune evaluate imgs net.h5", 64, ["Did you mean finetune evaluate --model net.h5 --data imgs?"]),
        ("finetune evaluate net.h5 --data imgs", 64, ["finetune evaluate --model net.h5 --data imgs?"]),
        ("finetune evaluate run imgs", 64, ["run folder 'run'", "evaluate --model run/model.h5 --data imgs?"]),
        ("finetune extract net.h5 imgs --out f.npz", 64, ["finetune extract --base net.h5 --data imgs?"]),
        ("finetune net.h5 imgs", 64, ["finetune --base net.h5 --data imgs", "finetune inspect net.h5"]),
        ("finetune predict net.h5 imgs", 64, ["Did you mean finetune predict --model net.h5 imgs?"]),
        ("finetune predict run photo.jpg", 64, ["finetune predict --model run photo.jpg?"]),
        // Dashes as text processors write them.
        ("finetune imgs –epochs 5", 64, ["'–epochs' begins with a dash that is no hyphen: write --epochs"]),
        ("finetune imgs —epochs 5", 64, ["'—epochs' begins with a dash that is no hyphen: write --epochs"]),
        ("finetune predict −-top 5 photo.jpg", 64, ["'−-top' begins with a dash that is no hyphen: write --top"]),
        ("finetune imgs --batch–size 5", 64, ["Did you mean --batch-size?"]),
        (
            "finetune --data “imgs” --quiet", 64,
            ["'“imgs”' has quotation marks that a shell does not know: write 'imgs'"]
        ),
        ("finetune --data=„imgs“", 64, ["write 'imgs'"]),
        // Flags that take no value.
        ("finetune imgs --resume run", 64, ["--resume takes no value: write --out run --resume"]),
        ("finetune --resume run", 64, ["--resume takes no value: write --out run --resume"]),
        ("finetune --data imgs --resume runs/a/last.checkpoint.h5", 64, ["write --out runs/a --resume"]),
        ("finetune check imgs --json found.json", 64, ["--json takes no value", "--json > found.json"]),
        // Commands in the wrong place, and of other programs.
        ("finetune imgs check", 64, ["the command comes first: finetune check imgs"]),
        ("finetune imgs fit --quiet", 64, ["the command comes first: finetune train imgs --quiet"]),
        ("finetune fit imgs", 64, ["Did you mean finetune train?"]),
        ("finetune test --data imgs", 64, ["Did you mean finetune evaluate?"]),
        ("finetune val imgs", 64, ["finetune evaluate?"]), ("finetune validate imgs", 64, ["finetune evaluate?"]),
        ("finetune score imgs", 64, ["finetune evaluate?"]),
        ("finetune export net.h5 net.onnx --format onnx", 64, ["Did you mean finetune convert?"]),
        ("finetune infer net.h5 imgs", 64, ["finetune predict?"]),
        ("finetune classify imgs", 64, ["finetune predict?"]),
        ("finetune features imgs", 64, ["finetune extract?"]), ("finetune embed imgs", 64, ["finetune extract?"]),
        ("finetune info net.h5", 64, ["finetune inspect?"]), ("finetune summary net.h5", 64, ["finetune inspect?"]),
        ("finetune version", 64, ["Did you mean finetune --version?"]), ("finetune -V", 64, ["finetune --version?"]),
        ("finetune train help", 64, ["Did you mean finetune train --help?"]),
        ("finetune predict help", 64, ["Did you mean finetune predict --help?"]),
        ("finetune help trian", 64, ["no such command", "Did you mean finetune help train?"]),
        ("finetune help wolpertinger", 64, ["'wolpertinger'", "finetune --help lists the commands"]),
        // Flags without hyphens.
        ("finetune train data=imgs epochs=10", 64, ["'data=imgs'", "Write --data imgs --epochs 10"]),
        ("finetune task=classify model=n.pt data=imgs imgsz=64", 64, ["Write --base n.pt --data imgs --size 64"]),
        (
            "finetune data=imgs exist_ok=True pretrained=True cos_lr=False batch=8", 64,
            ["Write --data imgs --force --batch 8\n"]
        ),
        ("finetune predict model=n.pt source=imgs", 64, ["Write --model n.pt imgs"]),
        ("finetune imgs epochs 10", 64, ["'epochs'", "Did you mean --epochs?"]),
        ("printf '' | finetune predict --model net.h5 -", 66, ["standard input names no pictures."]),
    ]

    @Test("says what was probably meant", arguments: mistakes)
    func mistake(_ script: String, _ code: Int32, _ words: [String]) throws {
        let workspace = try Workspace()
        try workspace.makeImages("imgs", perClass: 1)
        try workspace.makeImages("more", perClass: 1)
        try workspace.write(Workspace.stripes(0, seed: 1), "photo.jpg")
        try workspace.write(Workspace.stripes(0, seed: 1), "photo")
        try workspace.write("not read", "net.h5")
        try workspace.write("not read", "run/model.h5")
        try workspace.write("{}", "run/run.json")
        let outcome = try workspace.shell(script)
        #expect(outcome.code == code && outcome.output.isEmpty, "\(outcome.code): \(outcome.errors)")
        for word in words { #expect(outcome.errors.contains(word), "\(word) in \(outcome.errors)") }
    }

    @Test("takes a folder for the data whose name is a command of other programs, or a flag with its value")
    func namesOfFolders() throws {
        let workspace = try Workspace()
        for name in ["fit", "data=imgs", "–epochs", "help"] {
            try workspace.makeImages(name, perClass: 3)
            let outcome = try workspace.shell("finetune '\(name)' --base '\(base)' --dry-run --json")
            // The name of a command of finetune wins.
            if name == "help" {
                #expect(outcome.code == 64, "\(outcome.errors)")
            } else {
                #expect(outcome.code == 0 && outcome.done["dry_run"] == true, "\(name): \(outcome.errors)")
            }
        }
    }

    @Test("warns of a fraction that divides nothing, because the data set is divided already")
    func idleFractions() throws {
        let workspace = try Workspace()
        for (folder, count, seed) in [("train", 8, 0), ("val", 3, 1000), ("test", 3, 2000)] {
            for name in ["all", "noTest"] where folder != "test" || name == "all" {
                try workspace.makeImages("\(name)/\(folder)", perClass: count, seed: seed)
            }
        }
        let (val, test) = ("has no effect: the data set has its own validation images.", "has its own test images.")
        func warnings(_ line: String) throws -> [Substring] {
            let outcome = try workspace.shell("finetune \(line) --base '\(base)' --out run --force")
            #expect(outcome.code == 0, "\(line): \(outcome.errors)")
            return outcome.errors.split(separator: "\n").filter { $0.contains("has no effect") }
        }
        for (line, expected) in [
            ("all --dry-run", []), ("all --val 0.3 --dry-run", ["--val 0.3 \(val)"]),
            ("all --val 0 --dry-run", ["--val 0 \(val)"]),
            (
                "all --val 30% --test 0.2 --dry-run",
                ["--val 0.3 \(val)", "--test 0.2 has no effect: the data set \(test)"]
            ),
            ("noTest --val 0.3 --test 0.2 --dry-run", ["--val 0.3 \(val)"]),
            ("noTest/train --val 0.3 --test 0.2 --dry-run", []),
            ("noTest/train --val noTest/val --dry-run", []),
            ("compare all --strategies head --val 0.3", ["--val 0.3 \(val)"]),
            ("compare all --strategies head --test 0.3", ["--test 0.3 has no effect: the data set \(test)"]),
            (
                "compare noTest --strategies head --val 0.3 --test 0.2",
                ["--test 0.2 has no effect: the data set has its own validation images, which are scored."]
            ),
            ("compare all --strategies head --folds 2 --val 0.3", []),
        ] as [(String, [String])] {
            let found = try warnings(line)
            #expect(found.count == expected.count, "\(line): \(found)")
            for (text, words) in zip(found, expected) { #expect(text.contains(words), "\(line): \(text)") }
        }
    }

    @Test("says which class --limit leaves without images, and which limit would not")
    func limits() throws {
        let workspace = try Workspace()
        try workspace.makeImages("imgs", perClass: 12)
        let cut = try workspace.finetune("--base", base, "--data", "@imgs", "--limit", "10", "--dry-run")
        #expect(cut.code == 64, "\(cut.errors)")
        for word in ["'--limit 10'", "1 of 2 classes", "'down'", "--limit 10,stratified"] {
            #expect(cut.errors.contains(word), "\(cut.errors)")
        }
        let fewer = try workspace.finetune("compare", "--base", base, "--data", "@imgs", "--limit", "1,stratified")
        #expect(fewer.code == 64 && fewer.errors.contains("--limit 4,stratified"), "\(fewer.errors)")
        let fine = try workspace.finetune("--base", base, "--data", "@imgs", "--limit", "10,stratified", "--dry-run")
        #expect(fine.code == 0, "\(fine.errors)")
        // Features need no classes.
        let features = try workspace.finetune(
            "extract", "--base", base, "--data", "@imgs", "--limit", "10", "--out", "@f.npz")
        #expect(features.code == 0, "\(features.errors)")
    }

    @Test("says which stages and layers the network has")
    func stages() throws {
        let workspace = try Workspace()
        try workspace.makeImages("imgs", perClass: 4)
        let cases: [(flags: [String], words: [String])] = [
            (
                ["train", "--unfreeze", "stage9"],
                ["cannot use '--unfreeze stage9'", "stem, stage1, stage2, stage3, head", "--unfreeze last"]
            ),
            (
                ["compare", "--strategies", "head,stage9", "--out", workspace.file("c")],
                ["cannot use '--strategies stage9'", "stem, stage1, stage2, stage3, head", "--strategies last"]
            ),
            (
                ["extract", "--layer", "stage9", "--out", workspace.file("f.npz")],
                ["'--layer stage9'", "stem, stage1, stage2, stage3 or pooled", "For example: --layer pooled"]
            ),
        ]
        for (flags, words) in cases {
            let outcome = try workspace.finetune(flags + ["--base", base, "--data", "@imgs"])
            #expect(outcome.code == 64, "\(flags): \(outcome.errors)")
            for word in words { #expect(outcome.errors.contains(word), "\(word) in \(outcome.errors)") }
        }
    }

    @Test("takes names that begin with a hyphen")
    func hyphens() throws {
        let workspace = try Workspace()
        let picture = Workspace.stripes(0, seed: 4)
        for name in ["-x.bmp", "./-y/-z.bmp", "--long.bmp"] { try workspace.write(picture, name) }
        try workspace.makeImages("-imgs", perClass: 4, classes: ["-none", "--some"])
        let predict = "finetune predict --model '\(SmallModel.path)' --format csv"
        for script in [
            "\(predict) -x.bmp", "\(predict) ./-x.bmp", "\(predict) -- -x.bmp", "\(predict) -y",
            "\(predict) -- --long.bmp",
            "printf -- '-x.bmp\\n' | \(predict) -",
        ] {
            let outcome = try workspace.shell(script)
            #expect(
                outcome.code == 0 && outcome.output.split(separator: "\n").count == 2, "\(script): \(outcome.errors)")
        }
        for script in ["--data -imgs", "--data=-imgs", "--data ./-imgs", "./-imgs", "-imgs", "-- -imgs"] {
            let outcome = try workspace.shell("finetune --base '\(base)' --dry-run --json \(script)")
            #expect(outcome.code == 0, "\(script): \(outcome.errors)")
        }
        let trained = try workspace.shell("finetune --base '\(base)' --data -imgs --out -run --json")
        #expect(trained.code == 0, "\(trained.errors)")
        #expect(trained.done["classes"]?.arrayValue == ["--some", "-none"])
        let missing = try workspace.shell("\(predict) -w.bmp")
        #expect(missing.code == 64 && missing.errors.contains("write ./-w.bmp"), "\(missing.errors)")
    }

    @Test("reads names that end with a zero byte: with newlines, with blanks, and not in UTF-8")
    func zeroes() throws {
        let workspace = try Workspace()
        let picture = Workspace.stripes(1, seed: 2)
        for name in ["two\nlines.bmp", " blank .bmp", "plain.bmp"] { try workspace.write(picture, "in/\(name)") }
        let made = try workspace.shell("cp in/plain.bmp \"$(printf 'in/caf\\351.bmp')\"")
        #expect(made.code == 0, "\(made.errors)")
        let predict = "finetune predict --model '\(SmallModel.path)' --json"
        let all = try workspace.shell("find in -type f -print0 | \(predict) -0 -")
        #expect(all.code == 0 && all.done["images"] == 4 && all.done["skipped"] == 0, "\(all.errors)")
        let after = try workspace.shell("find in -type f -print0 | \(predict) - -0")
        #expect(after.done["images"] == 4, "\(after.errors)")
        let paths = all.events.compactMap { $0["path"]?.stringValue }
        #expect(paths.contains("in/two\nlines.bmp") && paths.contains("in/ blank .bmp"), "\(paths)")
        let unsaid = try workspace.shell("find in -type f -print0 | \(predict) -")
        #expect(unsaid.code == 64 && unsaid.errors.contains("zero bytes") && unsaid.errors.contains("Add -0"))
        let wrong = try workspace.shell("printf 'in/plain.bmp\\n' | \(predict) -0 -")
        #expect(wrong.code == 64 && wrong.errors.contains("Leave -0 out"), "\(wrong.errors)")
        let none = try workspace.shell("printf '' | \(predict) -0 -")
        #expect(none.code == 66, "\(none.errors)")
        // The last name may lack its zero byte.
        let last = try workspace.shell("printf 'in/plain.bmp\\0in/ blank .bmp' | \(predict) -0 -")
        #expect(last.code == 0 && last.done["images"] == 2, "\(last.errors)")
    }

    @Test(
        "has help with examples for every command", arguments: CommandFlags.all().map(\.command).filter { $0 != "help" }
    )
    func help(_ command: String) throws {
        let outcome = try Workspace().finetune(command, "--help")
        #expect(outcome.code == 0 && outcome.output.contains("EXAMPLES"))
    }
}
