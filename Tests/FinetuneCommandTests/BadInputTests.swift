// What a newcomer gets wrong: each a clear error with its exit code, nothing half-written, never a crash.

import FinetuneFiles
import TestSupport
import Testing

private let base = Fixtures.path("resnet20-random.h5")

@Suite("Bad input") struct BadInputTests {
    @Test("of the data set ends with its code and says what to do")
    func data() throws {
        let workspace = try Workspace()
        try workspace.makeImages("one", perClass: 3, classes: ["only"])
        try FileSystem.makeDirectory(workspace.file("empty"))
        try workspace.makeImages("mostly", perClass: 2)
        for number in 0..<4 { try workspace.write("junk", "mostly/down/junk\(number).jpg") }
        try workspace.write("path,label\nmissing.jpg,a\nalso.jpg,b\n", "table.csv")
        try workspace.write("", "zero.npz")
        let cases: [(data: String, code: Int32, word: String)] = [
            ("@nowhere", 66, "nothing at that path"), ("@empty", 65, "no images"), ("@one", 65, "one class, 'only'"),
            ("@mostly", 65, "at most a tenth"), ("@table.csv", 65, "missing.jpg"), ("@zero.npz", 65, "zip archive"),
        ]
        for example in cases {
            let outcome = try workspace.finetune("--base", base, "--data", example.data, "--out", "@run")
            #expect(outcome.code == example.code, "\(example.data): \(outcome.code) \(outcome.errors)")
            #expect(outcome.errors.contains(example.word), "\(example.data): \(outcome.errors)")
            #expect(FileSystem.kind(of: workspace.file("run/model.h5")) == nil)
        }
    }

    @Test("of the weights ends with 65 or 66")
    func weights() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 3)
        try workspace.write("<html>not found</html>", "page.h5")
        try workspace.write("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "pointer.h5")
        try workspace.write(Array(try FileSystem.read(base).prefix(5000)), "cut.h5")
        for (file, code, word) in [
            ("@page.h5", 65, "web page"), ("@pointer.h5", 65, "git lfs pull"), ("@cut.h5", 65, "cut short"),
            ("@none.h5", 66, "there is nothing at that path"),
        ] as [(String, Int32, String)] {
            let outcome = try workspace.finetune("--base", file, "--data", "@images", "--out", "@run")
            #expect(outcome.code == code && outcome.errors.contains(word), "\(file): \(outcome.code) \(outcome.errors)")
        }
    }

    @Test("of single images is skipped by name and does not stop the run")
    func images() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 30)
        try workspace.write("", "images/down/zero.jpg")
        try workspace.write(Array(Workspace.stripes(0, seed: 1).prefix(900)), "images/across/cut.bmp")
        try workspace.write("GIF89a", "images/across/moving.gif")
        let outcome = try workspace.finetune("--base", base, "--data", "@images", "--out", "@run", "--json")
        #expect(outcome.code == 0 && outcome.done["skipped"] == 3, "\(outcome.errors)")
        let skipped = try CSV(parsing: FileSystem.read(workspace.file("run/skipped.csv")), name: "skipped").rows.map {
            $0.fields[0]
        }
        #expect(Set(skipped) == ["down/zero.jpg", "across/cut.bmp", "across/moving.gif"])
    }

    @Test("a class with one image learns, with a warning")
    func singleImage() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 10)
        try workspace.write(Workspace.stripes(2, seed: 1), "images/lonely/1.bmp")
        let outcome = try workspace.finetune("--base", base, "--data", "@images", "--out", "@run")
        #expect(
            outcome.code == 0 && outcome.errors.contains("'lonely' has 1 image. The network learns from it"),
            "\(outcome.errors)")
    }

    @Test("of flags is a usage error")
    func flags() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 3)
        let cases: [[String]] = [
            ["--data", "@images", "--epochs", "3"], ["--data", "@images", "--head", "magic"],
            ["--data", "@images", "--val", "1.5"],
            ["--data", "@images", "--threads", "0"], ["--data", "@images", "--limit", "x"], ["--nonsense"],
            ["extract", "--data", "@images", "--out", "@f.txt"],
            ["extract", "--data", "@images", "--layer", "stage9", "--out", "@f.npz"],
            ["predict", "--model", "@m.h5"],
        ]
        for arguments in cases {
            let outcome = try workspace.finetune(arguments)
            #expect(outcome.code == 64, "\(arguments): \(outcome.code) \(outcome.errors)")
        }
    }

    @Test("a run folder that is in use is not overwritten unasked")
    func overwriting() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 5)
        try workspace.write("mine", "run/notes.txt")
        let refused = try workspace.finetune("--base", base, "--data", "@images", "--out", "@run")
        #expect(refused.code == 73 && refused.errors.contains("notes.txt"))
        #expect(try workspace.finetune("--base", base, "--data", "@images", "--out", "@run", "--force").code == 0)
        #expect(try FileSystem.read(workspace.file("run/notes.txt")) == Array("mine".utf8))
        for name in ["f.npz", "f.npy", "f.csv", "f.h5"] {
            let outcome = try workspace.finetune(
                "extract", "--base", base, "--data", "@images", "--out", "@none/\(name)")
            #expect(outcome.code == 73, "\(name): \(outcome.code) \(outcome.errors)")
        }
    }
}
