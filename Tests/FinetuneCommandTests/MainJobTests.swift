// The main job, end to end, through the program itself: train, evaluate, predict, extract, inspect.

import FinetuneFiles
import TestSupport
import Testing

private let base = Fixtures.path("resnet20-random.h5")

@Suite("The program") struct MainJobTests {
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

    @Test("writes features in every format, the same numbers in each") func extract() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images/train", perClass: 5)
        try workspace.makeImages("images/val", perClass: 2, seed: 500)
        for name in ["f.npz", "f.npy", "f.h5", "f.csv"] {
            let outcome = try workspace.finetune(
                "extract", "--base", base, "--data", "@images", "--out", "@\(name)", "--json")
            #expect(
                outcome.code == 0 && outcome.done["images"] == 14 && outcome.done["dimensions"] == [64],
                "\(outcome.errors)")
        }
        let archive = try ZipArchive(FileSystem.read(workspace.file("f.npz")), name: "f.npz")
        func array(_ name: String) throws -> NumpyArray {
            try NumpyArray(parsing: archive.content(of: #require(archive.member("\(name).npy"))), name: name)
        }
        let features = try array("features")
        #expect(features.shape == [14, 64])
        #expect(try array("labels").integers == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1])
        #expect(
            Set(archive.members.map(\.name)) == ["features.npy", "labels.npy", "paths.npy", "classes.npy", "split.npy"])
        let plain = try NumpyArray(parsing: FileSystem.read(workspace.file("f.npy")), name: "f.npy")
        #expect(plain.bytes == features.bytes)
        let table = try CSV(parsing: FileSystem.read(workspace.file("f.csv")), name: "f.csv")
        #expect(table.rows.flatMap { $0.fields.dropFirst(2).compactMap { Float($0) } } == features.floats)
        #expect(table.rows[0].fields[0] == "train/across/0.bmp" && table.rows[0].fields[1] == "across")
        let spatial = try workspace.finetune(
            "extract", "--base", base, "--data", "@images", "--layer", "stage2", "--dtype", "float16", "--split", "val",
            "--out", "@s.npz", "--json")
        #expect(spatial.done["dimensions"] == [32, 16, 16] && spatial.done["images"] == 4)
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

    @Test("scores a base by its own head, with names from the data or from a file") func ownHead() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 8)
        _ = try workspace.finetune("--base", base, "--data", "@images", "--out", "@run", "--quiet")
        try workspace.write("down\nacross\n", "names.txt")
        let swapped = try workspace.finetune(
            "evaluate", "--model", "@run/model.h5", "--data", "@images", "--classes", "@names.txt", "--json")
        #expect(swapped.done["metrics"]?["accuracy"]?.doubleValue == 0)
    }

    @Test("writes a model in every format, and reads each back with the same answers")
    func convert() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 8)
        let trained = try workspace.finetune(
            "--base", base, "--data", "@images", "--out", "@run", "--precision", "fp32", "--quiet")
        #expect(trained.code == 0, "\(trained.errors)")
        let answers = try workspace.finetune("predict", "--model", "@run/model.h5", "@images", "--json").events
        for (name, format) in [
            ("k.h5", "keras"), ("t.h5", "torch"), ("s.safetensors", "safetensors"), ("n.h5", "native"),
            ("o.onnx", "onnx"),
        ] {
            let outcome = try workspace.finetune("convert", "@run/model.h5", "@\(name)", "--to", format, "--json")
            #expect(outcome.code == 0, "\(outcome.errors)")
            #expect(outcome.done["format"]?.stringValue == format && (outcome.done["tensors"]?.intValue ?? 0) > 90)
            #expect(outcome.done["out"]?.stringValue == workspace.file(name))
            guard format != "onnx" else { continue }
            let again = try workspace.finetune(
                "predict", "--model", "@\(name)", "@images", "--precision", "fp32", "--json")
            #expect(again.code == 0, "\(again.errors)")
            for (a, b) in zip(answers, again.events) where a["event"] == "prediction" {
                #expect(a["path"] == b["path"] && a["label"] == b["label"])
                let difference = (a["probability"]?.doubleValue ?? 0) - (b["probability"]?.doubleValue ?? 1)
                #expect(abs(difference) < 1e-5)
            }
        }
        #expect(try workspace.finetune("convert", base, "@x.bin").code == 64)
        #expect(try workspace.finetune("convert", "@none.h5", "@x.onnx").code == 66)
        let keras = Path.join(Fixtures.package, "Tests/FinetuneCheckpointsTests/Fixtures/keras-weights.h5")
        let refused = try workspace.finetune("convert", keras, "@x.safetensors")
        #expect(refused.code == 65 && refused.errors.contains("stride of 2"), "\(refused.errors)")
        #expect(FileSystem.kind(of: workspace.file("x.safetensors")) == nil)
    }

    @Test("finds the recipe of a model that does not say, and tells which") func recipes() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 8)
        let odd = Path.join(Fixtures.package, "Tests/FinetuneCheckpointsTests/Fixtures/keras-odd.h5")
        let outcome = try workspace.finetune(
            "extract", "--base", odd, "--data", "@images", "--out", "@f.npz", "--json")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let note = outcome.events.first { $0["distances"] != nil }
        #expect(note?["distances"]?.members?.count == 5)
        let named = try workspace.finetune(
            "extract", "--base", odd, "--data", "@images", "--out", "@g.npz", "--recipe", "unit", "--json")
        #expect(named.code == 0 && !named.events.contains { $0["distances"] != nil })
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

    @Test("says what a weights file holds") func inspect() throws {
        let workspace = try Workspace()
        let outcome = try workspace.finetune("inspect", base, "--json")
        #expect(outcome.code == 0 && outcome.done["architecture"] == "ResNet-20 (CIFAR), width 16")
        #expect(
            outcome.done["stages"]?.arrayValue?.compactMap { $0["name"]?.stringValue } == [
                "stem", "stage1", "stage2", "stage3",
            ])
        #expect(outcome.done["input"]?["height"] == 32)
        #expect(outcome.done["input"]?["source"] == "the convention of CIFAR ResNets")
        let tensors = outcome.done["tensors"]?.arrayValue ?? []
        #expect(tensors.count == 95 && tensors.allSatisfy { $0["mean"]?.doubleValue != nil && $0["std"] != nil })
        #expect(outcome.done["warnings"] == [])
        #expect(try workspace.finetune("inspect", base).output.contains("ResNet-20"))
    }
}
