// finetune train, end to end, with the commands that use its model: what it writes, evaluates and predicts.

import FinetuneFiles
import TestSupport
import Testing

private let base = Fixtures.path("resnet20-random.h5")

@Suite("A training") struct TrainTests {
    @Test(
        "adapts a base to a folder of images, and the model answers as it was scored",
        arguments: [("logistic", 130), ("ridge", 130), ("linear", 130), ("mlp:8", 538)])
    func mainJob(_ head: String, _ parameters: Int) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 20)
        try workspace.write("not a picture", "images/down/broken.jpg")
        let training = try workspace.finetune(
            "--base", base, "--data", "@images", "--out", "@run", "--head", head, "--json")
        #expect(training.code == 0, "\(training.errors)")
        let done = training.done
        #expect(done["classes"] == ["across", "down"] && done["skipped"] == 1)
        #expect((done["train_images"]?.intValue ?? 0) + (done["val_images"]?.intValue ?? 0) == 40)
        #expect(done["val"]?["accuracy"]?.doubleValue == 1)
        #expect(done["trainable_parameters"]?.intValue == parameters)
        for name in [
            "model.h5", "run.json", "metrics.csv", "events.jsonl", "evaluation.json", "predictions.csv",
            "confusion.csv", "split.csv", "skipped.csv",
        ] {
            #expect(FileSystem.kind(of: workspace.file("run/\(name)")) == .file, "\(name)")
        }
        #expect(
            String(decoding: try FileSystem.read(workspace.file("run/skipped.csv")), as: UTF8.self).contains(
                "down/broken.jpg"))

        let evaluation = try workspace.finetune("evaluate", "--model", "@run/model.h5", "--data", "@images", "--json")
        #expect(evaluation.code == 0, "\(evaluation.errors)")
        #expect(evaluation.done["metrics"] == done["val"])
        #expect(evaluation.done["left_out"] == done["train_images"])

        // Prediction gives each validation image the probability that the evaluation wrote down, to the last digit.
        let table = try CSV(parsing: FileSystem.read(workspace.file("run/predictions.csv")), name: "predictions")
        let prediction = try workspace.finetune("predict", "--model", "@run/model.h5", "@images", "--json")
        #expect(prediction.code == 0)
        let found = Dictionary(
            uniqueKeysWithValues: prediction.events.compactMap { event in
                event["path"]?.stringValue.flatMap { path in event["probability"].map { (path, $0) } }
            })
        for row in table.rows { #expect(found[workspace.file("images/\(row.fields[0])")]?.text == row.fields[4]) }
        let alone = try workspace.finetune(
            "predict", "--model", "@run/model.h5", "@images/\(table.rows[0].fields[0])", "--json")
        #expect(alone.events.first?["probability"]?.text == table.rows[0].fields[4])
    }

    @Test("gives the same bytes twice") func repeatable() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        for run in ["a", "b"] {
            _ = try workspace.finetune(
                "--base", base, "--data", "@images", "--out", "@\(run)", "--head", "linear", "--quiet")
        }
        for name in ["model.h5", "predictions.csv", "confusion.csv", "split.csv"] {
            #expect(
                try FileSystem.read(workspace.file("a/\(name)")) == FileSystem.read(workspace.file("b/\(name)")),
                "\(name)")
        }
    }

    @Test("adapts a model that it saved to other classes") func again() throws {
        let workspace = try Workspace()
        try workspace.makeImages("two", perClass: 10)
        try workspace.makeImages("three", perClass: 10, classes: ["x", "y", "z"])
        _ = try workspace.finetune("--base", base, "--data", "@two", "--out", "@first", "--quiet")
        let second = try workspace.finetune(
            "--base", "@first/model.h5", "--data", "@three", "--out", "@second", "--json")
        #expect(second.code == 0 && second.done["classes"] == ["x", "y", "z"])
    }

    @Test("keeps a group on one side") func groups() throws {
        let workspace = try Workspace()
        for (label, name) in ["across", "down"].enumerated() {
            for number in 0..<24 {
                try workspace.write(
                    Workspace.stripes(label, seed: number), "images/\(name)/animal\(number / 4)-\(number).bmp")
            }
        }
        let outcome = try workspace.finetune(
            "--base", base, "--data", "@images", "--out", "@run", "--group-by", "[a-z]+/animal[0-9]+", "--val", "0.4",
            "--json")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let table = try CSV(parsing: FileSystem.read(workspace.file("run/split.csv")), name: "split")
        for (_, rows) in Dictionary(grouping: table.rows, by: { $0.fields[2] }) {
            #expect(Set(rows.map { $0.fields[1] }).count == 1)
        }
        #expect(Set(table.rows.map { $0.fields[1] }) == ["train", "val"])
    }

    @Test("adapts the bundled base where none is named") func bundledBase() throws {
        let bundled = Path.join(Fixtures.package, "pretrained/resnet18-tiny-imagenet.h5")
        #expect(try FileSystem.read(bundled).count <= 12_000_000)
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        let training = try workspace.finetune("--data", "@images", "--out", "@run", "--json")
        #expect(training.code == 0 && training.done["val"]?["accuracy"]?.doubleValue == 1, "\(training.errors)")
        let record = try JSON(parsing: FileSystem.read(workspace.file("run/run.json")))
        #expect(record["base"]?.stringValue.map(Path.name(of:)) == Path.name(of: bundled))
        let inspected = try workspace.finetune("inspect", bundled, "--json").done
        #expect(inspected["architecture"] == "ResNet-18 (small images), width 32")
        #expect(inspected["classes"]?.arrayValue?.count == 200 && inspected["warnings"] == [])
        let prediction = try workspace.finetune("predict", "--model", bundled, "@images", "--top", "5", "--json")
        #expect(prediction.code == 0 && prediction.done["images"] == 24, "\(prediction.errors)")
    }
}
