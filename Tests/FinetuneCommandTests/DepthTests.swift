// --depth: pictures of 16 bits that use fewer, from the finding to the model.

import FinetuneFiles
import TestSupport
import Testing

@Suite("The range of 16-bit pictures") struct DepthTests {
    let base = Path.join(Fixtures.package, "Tests/FinetuneCommandTests/Fixtures/resnet20-random.h5")

    /// Stripes in two directions as PGM files, whose 16 bits hold 8 bits times a factor; or those 8 bits.
    private func makePictures(_ workspace: Workspace, _ folder: String, factor: Int?) throws {
        for (label, name) in ["across", "down"].enumerated() {
            for number in 0..<10 {
                var file = Array("P5 24 24 \(factor == nil ? 255 : 65535)\n".utf8)
                for row in 0..<24 {
                    for column in 0..<24 {
                        let level = ((label == 0 ? row : column) + number) % 6 * 50 + (row * column + number) % 5
                        let value = level * (factor ?? 1) + (factor.map { $0 - 1 } ?? 0)
                        if factor != nil { file.append(UInt8(value >> 8)) }
                        file.append(UInt8(value & 255))
                    }
                }
                try workspace.write(file, "\(folder)/\(name)/\(number).pgm")
            }
        }
    }

    private func findings(_ outcome: Outcome) -> [String] {
        (outcome.done["findings"]?.arrayValue ?? []).filter { $0["kind"] == "unused-range" }
            .compactMap { $0["detail"]?.stringValue }
    }

    @Test("is a finding that names the bits, and with them none", arguments: [(10, 4), (12, 16), (14, 64)])
    func check(bits: Int, factor: Int) throws {
        let workspace = try Workspace()
        try makePictures(workspace, "images", factor: factor)
        let plain = try workspace.finetune("check", "--base", base, "--data", "@images", "--json")
        let detail = try #require(findings(plain).first, "\(plain.errors)")
        #expect(detail.hasPrefix("20 pictures of 16 bits use a fraction of their range, such as 'across/0.pgm'"))
        #expect(detail.hasSuffix("If they come from a camera of \(bits) bits: --depth \(bits)."))
        for depth in ["\(bits)", "auto"] {
            let told = try workspace.finetune("check", "--base", base, "--data", "@images", "--depth", depth, "--json")
            #expect(told.code == 0 && findings(told).isEmpty, "\(told.errors)")
        }
    }

    @Test("gives the features of the upper 8 bits that are used")
    func features() throws {
        let workspace = try Workspace()
        try makePictures(workspace, "deep", factor: 16)
        try makePictures(workspace, "shallow", factor: nil)
        func rows(_ folder: String, _ flags: String...) throws -> [[String]] {
            let arguments = [
                "extract", "--base", base, "--data", "@\(folder)", "--out", "@\(folder)-\(flags.count).csv",
            ]
            let outcome = try workspace.finetune(arguments + flags)
            #expect(outcome.code == 0, "\(outcome.errors)")
            let file = try FileSystem.read(workspace.file("\(folder)-\(flags.count).csv"))
            return try CSV(parsing: file, name: "features").rows.map { Array($0.fields.dropFirst(2)) }
        }
        let expected = try rows("shallow")
        #expect(try rows("deep", "--depth", "12") == expected)
        #expect(try rows("deep") != expected)
    }

    @Test("is found once, saved in the model, shown and used for every later picture")
    func model() throws {
        let workspace = try Workspace()
        try makePictures(workspace, "images", factor: 16)
        let trained = try workspace.finetune(
            "--base", base, "--data", "@images", "--out", "@run", "--depth", "auto")
        #expect(trained.code == 0, "\(trained.errors)")
        #expect(trained.errors.contains("Depth: 16-bit images use 12 bits"), "\(trained.errors)")
        #expect(!trained.errors.contains("fraction of their range"))
        let shown = try workspace.finetune("inspect", "@run/model.h5", "--json")
        #expect(shown.done["input"]?["depth"] == 12)
        let scored = try workspace.finetune("evaluate", "--model", "@run/model.h5", "--data", "@images", "--json")
        #expect(scored.code == 0, "\(scored.errors)")
        // A picture of its own is scaled as those of the training were: another depth changes what comes of it.
        func probability(_ flags: String...) throws -> JSON? {
            let picture = workspace.file("images/across/3.pgm")
            let outcome = try workspace.finetune(
                ["predict", "--model", "@run/model.h5", picture, "--format", "json"] + flags)
            #expect(outcome.code == 0, "\(outcome.errors)")
            return try JSON(parsing: Array(outcome.output.utf8))
        }
        #expect(try probability() == probability("--depth", "12"))
        #expect(try probability() != probability("--depth", "full"))
        // Brighter pictures are cut off, which every command says.
        try makePictures(workspace, "bright", factor: 64)
        for command in [
            ["evaluate", "--model", "@run/model.h5", "--data", "@bright"],
            ["extract", "--base", "@run/model.h5", "--data", "@bright", "--out", "@f.npz"],
            ["predict", "--model", "@run/model.h5", workspace.file("bright")],
        ] {
            let outcome = try workspace.finetune(command)
            #expect(outcome.code == 0 && outcome.errors.contains("values above 4095"), "\(outcome.errors)")
        }
        #expect(!scored.errors.contains("values above"))
        let refused = try workspace.finetune(
            "predict", "--model", "@run/model.h5", workspace.file("images/across/3.pgm"), "--depth", "auto")
        #expect(refused.code == 64 && refused.errors.contains("--depth auto looks at the images"))
    }

    @Test("is a number from 1 to 16, full or auto", arguments: ["0", "17", "twelve", "-1"])
    func values(depth: String) throws {
        let outcome = try Workspace().finetune("check", "--data", "@none", "--depth=\(depth)")
        #expect(outcome.code == 64 && outcome.errors.contains("--depth"), "\(outcome.errors)")
    }

    @Test("Pictures of phones train like any others, and a file that is none is skipped by name")
    func phones() throws {
        let workspace = try Workspace()
        let fixtures = Path.join(Fixtures.package, "Tests/FinetuneDatasetsTests/Fixtures/phones")
        let files = [
            "420.heic", "422.heic", "444.heic", "grid.heic", "420-full.avif", "422-full.avif", "444-full.avif",
        ]
        let others = ["lossy.jxl", "container.jxl", "plain.gif", "large.gif", "raw.ppm", "plain.ppm", "alpha.jxl"]
        for (name, members) in [("a", files), ("b", others)] {
            for file in members {
                try workspace.write(FileSystem.read(Path.join(fixtures, file)), "images/\(name)/\(file)")
            }
        }
        try workspace.write(FileSystem.read(Path.join(fixtures, "cut.heic")), "images/a/cut.heic")
        let outcome = try workspace.finetune("--base", base, "--data", "@images", "--out", "@run", "--json")
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.done["skipped"] == 1)
        let mistyped = try workspace.finetune("check", "--base", base, "--data", "@images", "--json")
        #expect(!mistyped.output.contains("mistyped"))
        try workspace.write(FileSystem.read(Path.join(fixtures, "420.heic")), "images/a/photo.jpg")
        let found = try workspace.finetune("check", "--base", base, "--data", "@images", "--json")
        #expect(found.output.contains("'a/photo.jpg' is a HEIC; its name says JPEG."))
    }
}
