// The same counts of images everywhere, in the singular and the plural, and the same words for one calibration.

import FinetuneFiles
import FinetuneTraining
import Foundation
import TestSupport
import Testing

private let base = Fixtures.path("resnet20-random.h5")

@Suite("Counts", .serialized) struct CountTests {
    /// 33 images, of which two are copies of others and one cannot be read.
    private func makeImages() throws -> Workspace {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 15)
        for name in ["across/copy.bmp", "down/copy.bmp"] {
            try workspace.write(Workspace.stripes(name.hasPrefix("a") ? 0 : 1, seed: 31), "images/\(name)")
        }
        try workspace.write("", "images/down/broken.jpg")
        return workspace
    }

    @Test("are the same on screen, in the files of a run and in its report")
    func training() throws {
        let workspace = try makeImages()
        let outcome = try workspace.finetune("@images", "--base", base, "--out", "@run", "--test", "0.2")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let run = try JSON(parsing: FileSystem.read(workspace.file("run/run.json")))
        let result = try #require(run["result"])
        func count(_ key: String) -> Int { result[key]?.intValue ?? -1 }
        #expect(count("found_images") == 33 && count("read_images") == 32 && count("skipped") == 1)
        let (train, val, test) = (count("train_images"), count("val_images"), count("test_images"))
        #expect(train + val + test == 32 && val > 0 && test > 0)
        let sentence =
            "Images: 33 found, 32 read, 1 skipped; \(train) for training, \(val) for validation, \(test) for testing."
        #expect(outcome.errors.contains(sentence), "\(outcome.errors)")
        #expect(
            outcome.errors.contains("33 images in 2 classes")
                && outcome.errors.contains("Features: 32 images computed."))
        #expect(outcome.errors.contains("Trained on \(train) images"))
        let page = String(decoding: try FileSystem.read(workspace.file("run/report.html")), as: UTF8.self)
        #expect(page.contains(sentence))
        func rows(_ name: String) throws -> Int {
            try CSV(parsing: FileSystem.read(workspace.file("run/\(name)")), name: name).rows.count
        }
        #expect(try rows("split.csv") == 32 && rows("skipped.csv") == 1 && rows("predictions.csv") == val + test)

        let again = try workspace.finetune("@images", "--base", base, "--out", "@again", "--test", "0.2")
        #expect(again.errors.contains("Features: all 32 images found in the cache."), "\(again.errors)")
        #expect(again.errors.contains(sentence))
        let epochs = try workspace.finetune(
            "@images", "--base", base, "--out", "@epochs", "--test", "0.2", "--head", "linear", "--epochs", "1")
        #expect(epochs.errors.contains(sentence), "\(epochs.errors)")

        let evaluation = try workspace.finetune(
            "evaluate", "--model", "@run/model.h5", "--data", "@images", "--report", "@page.html")
        let scored = "Images: 33 found, 32 read, 1 skipped; \(val + test) scored, \(train) left out because"
        #expect(evaluation.errors.contains(scored), "\(evaluation.errors)")
        #expect(evaluation.output.contains("images     \(val + test)\n"), "\(evaluation.output)")
        let second = String(decoding: try FileSystem.read(workspace.file("page.html")), as: UTF8.self)
        #expect(second.contains(scored))
    }

    @Test("are the same in check, extract, predict and compare")
    func others() throws {
        let workspace = try makeImages()
        let counts = "Images: 33 found, 32 read, 1 skipped"
        let check = try workspace.finetune("check", "--base", base, "--data", "@images")
        #expect(check.output.hasPrefix("\(counts).\n"), "\(check.output)")
        #expect(check.output.contains("\n1 unreadable file\n"), "\(check.output)")
        #expect(check.output.contains("\n2 sets of exact duplicates (4 files)\n"), "\(check.output)")
        let extract = try workspace.finetune("extract", "--base", base, "--data", "@images", "--out", "@f.npz")
        #expect(extract.errors.contains("\(counts)."), "\(extract.errors)")
        let predict = try workspace.finetune("predict", "--model", SmallModel.path, "@images")
        #expect(predict.errors.contains("\(counts); 32 labelled."), "\(predict.errors)")
        #expect(predict.output.split(separator: "\n").count == 32)
        let compare = try workspace.finetune(
            "compare", "--base", base, "--data", "@images", "--strategies", "head", "--out", "@compare", "--json")
        #expect(compare.code == 0, "\(compare.errors)")
        let note = try #require(compare.events.first { $0["counts"] != nil })
        #expect(note["text"]?.stringValue?.hasPrefix("\(counts); ") == true, "\(note)")
        #expect(note["counts"]?["read"] == 32)
        #expect(compare.done["skipped"] == 1)
        let page = String(decoding: try FileSystem.read(workspace.file("compare/report.html")), as: UTF8.self)
        #expect(
            page.contains("Trained on \(compare.done["train_images"]?.intValue ?? 0) images, ")
                && page.contains("1 skipped"))
    }

    @Test("of a calibration are the same on screen and in the report")
    func calibration() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 30)
        // After one epoch with a small learning rate the model is less confident than it could be.
        try workspace.makeImages("val/images", perClass: 30, seed: 7)
        for number in stride(from: 0, to: 30, by: 3) {
            try workspace.write(Workspace.stripes(1, seed: 7 + 31 * number), "val/images/across/\(number).bmp")
        }
        let outcome = try workspace.finetune(
            "--base", base, "--data", "@images", "--val", "@val/images", "--out", "@run", "--json", "--head", "linear",
            "--epochs", "1", "--lr", "0.01")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let note = try #require(outcome.events.first { $0["calibration"] != nil }, "\(outcome.output)")
        let text = try #require(note["text"]?.stringValue)
        let calibration = try #require(note["calibration"])
        let temperature = try #require(calibration["temperature"]?.doubleValue)
        #expect(
            text.hasPrefix(
                "Probabilities calibrated on 60 validation images (temperature \(temperature.rounded(toPlaces: 2)); cross-validated log-loss "
            ), "\(text)")
        for key in ["before", "after"] {
            let value = try #require(calibration["log_loss"]?[key]?.doubleValue)
            #expect(text.contains(value.rounded(toPlaces: 3)), "\(text)")
        }
        let page = String(decoding: try FileSystem.read(workspace.file("run/report.html")), as: UTF8.self)
        #expect(page.contains(text))
        let run = try JSON(parsing: FileSystem.read(workspace.file("run/run.json")))
        #expect(run["calibration"] == calibration)
    }

    @Test("have a singular", arguments: [(0, "0 images"), (1, "1 image"), (2, "2 images")])
    func singular(_ count: Int, _ text: String) {
        #expect(count.counted("image") == text)
        #expect(
            count.counted("class", "classes")
                == text.replacing("images", with: "classes").replacing("image", with: "class"))
    }

    @Test("leave out what there is none of")
    func sentence() {
        #expect(ImageCounts(found: 1, skipped: 0).text == "Images: 1 found, all read.")
        #expect(
            ImageCounts(found: 3, skipped: 1, uses: [("for training", 2), ("for testing", 0)]).text
                == "Images: 3 found, 2 read, 1 skipped; 2 for training.")
    }
}
