// Bases as people have them, through the program: folders, several networks in a file, any head, any number of channels,
// and what is no base at all.

import FinetuneFiles
import Foundation
import TestSupport
import Testing

@Suite("A base") struct BaseTests {
    /// A file among the fixtures of weights.
    private static func weights(_ name: String) -> String {
        Path.join(Fixtures.package, "Tests/FinetuneCheckpointsTests/Fixtures/situations/\(name)")
    }

    private static let runFolder = "mkdir -p base && touch base/run.json"

    static let strangers: [(script: String, code: Int32, words: [String])] = [
        ("\(runFolder) && echo x > base/model.h5", 65, ["Did you mean 'base/model.h5'?"]),
        (runFolder, 65, ["has no model yet", "--resume"]),
        ("mkdir base && touch base/comparison.json", 65, ["of a comparison"]),
        ("mkdir base", 65, ["it is empty", "model.safetensors"]),
        ("mkdir base && echo hello > base/notes.txt", 65, ["without a file of weights", "--data"]),
        (
            "mkdir base && printf '\\x08\\x01\\x12\\x9b' > base/saved_model.pb", 65,
            ["SavedModel", "load_model('base')"]
        ),
        ("mkdir base && touch base/m.index base/m.data-00000-of-00001", 65, ["TensorFlow checkpoint", "model.save"]),
        ("touch base.index base.data-00000-of-00001", 65, ["TensorFlow checkpoint"]),
        ("mkdir base && touch base/a.pth base/b.pth", 65, ["2 files of weights", "'a.pth', 'b.pth'", "Name one"]),
        ("mkdir -p base/snapshots/1a", 65, ["hub's cache", "'base/snapshots/1a'"]),
        ("printf '\\x08\\x01\\x12\\x9b\\x10' > base", 65, ["SavedModel"]),
        ("printf '\\x1c\\0\\0\\0TFL3' > base", 65, ["TensorFlow Lite", ".keras"]),
        ("printf '\\x08\\x08\\x12\\x07pytorch' > base", 65, ["an ONNX graph", "exported from"]),
        ("printf 'model_checkpoint_path: \"m\"' > base", 65, ["TensorFlow checkpoint"]),
        ("printf '\\x89PNG\\r\\n\\x1a\\n' > base", 65, ["a picture", "--data"]),
        ("printf '<?xml version=\"1.0\"?><net name=\"a\">' > base", 65, ["OpenVINO"]),
        ("printf '{\"model_type\": \"resnet\"}' > base", 65, ["a configuration", "folder of both"]),
        ("printf '{\"class_name\": \"Functional\"}' > base", 65, ["architecture without weights"]),
        ("printf 'Entry not found' > base", 65, ["text, not weights ('Entry not found')"]),
        ("head -c 9000 /dev/zero > base", 65, ["zeros", "Download it again"]),
        ("printf 'GGUF\\x03\\0\\0\\0' > base", 65, ["language model"]),
        ("printf '\\x80\\x04\\x95\\x0b\\0\\0\\0' > base", 65, ["Python pickle"]),
        ("true", 66, ["there is nothing at that path"]),
    ]

    @Test("that is none says what it is and how to go on", arguments: strangers.indices)
    func isNone(_ index: Int) throws {
        let workspace = try Workspace()
        let (script, code, words) = Self.strangers[index]
        for command in ["inspect base", "extract --base base --data . --out f.npz"] {
            let outcome = try workspace.shell("\(script) 2>/dev/null; finetune \(command)")
            if command.hasPrefix("extract"), outcome.errors.contains("data set") { continue }
            #expect(outcome.code == code, "\(script): \(outcome.errors)")
            for word in words { #expect(outcome.errors.contains(word), "\(script): \(outcome.errors)") }
            _ = try workspace.shell("rm -rf base base.*")
        }
    }

    @Test(
        "that is an address or a name of a model is missing, with what to do",
        arguments: [
            ("https://example.org/a.pth", "curl -LO"), ("resnet50", "scripts/get-weights"),
            ("timm/resnet50.a1_in1k", "scripts/get-weights"), ("hf-hub:timm/resnet18", "scripts/get-weights"),
            ("nothing.pth", "Check the name"),
        ])
    func isMissing(_ name: String, _ words: String) throws {
        let outcome = try Workspace().finetune("inspect", name)
        #expect(outcome.code == 66 && outcome.errors.contains(words), "\(outcome.errors)")
    }

    @Test("may be a folder of weights and configuration, or sharded")
    func folder() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 6)
        let shards = Self.weights("sharded")
        let run = try workspace.finetune(
            "--base", shards, "--data", "@images", "--out", "@run", "--size", "64", "--cache", "off")
        #expect(run.code == 0, "\(run.errors)")
        #expect(run.errors.contains("Using \(shards)/model.safetensors.index.json"), "\(run.errors)")
        _ = try workspace.shell("cp -r \(shards) cut && rm cut/model-00002-of-*")
        let cut = try workspace.finetune("inspect", "@cut")
        #expect(cut.code == 66 && cut.errors.contains("is not beside it"), "\(cut.errors)")
        _ = try workspace.shell("cp -r \(shards) evil && sed -i 's#model-00002-of-#../x/model-00002-of-#' evil/*.json")
        let evil = try workspace.finetune("inspect", "@evil")
        #expect(evil.code == 65 && evil.errors.contains("a file beside the index was expected"), "\(evil.errors)")
    }

    @Test("with several networks says which one it takes, in every command")
    func networks() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 6)
        let base = Self.weights("timm-ema.pth.tar")
        let size = ["--size", "64", "--cache", "off"]
        for command in [
            ["--base", base, "--data", "@images", "--out", "@run", "--dry-run"] + size,
            ["extract", "--base", base, "--data", "@images", "--out", "@ema.npy", "--size", "64"],
            ["predict", "--model", base, "@images", "--size", "64"], ["inspect", base],
            ["convert", base, "@ema.safetensors"],
        ] {
            let outcome = try workspace.finetune(command)
            #expect(outcome.code == 0 && outcome.errors.contains("Using 'state_dict_ema'"), "\(outcome.errors)")
        }
        let other = try workspace.finetune(
            "extract", "--base", base, "--weights-key", "state_dict", "--data", "@images", "--out", "@plain.npy",
            "--size", "64")
        #expect(other.code == 0)
        let files = try ["ema.npy", "plain.npy"].map { try FileSystem.read(workspace.file($0)) }
        #expect(files[0] != files[1])
        let wrong = try workspace.finetune("inspect", base, "--weights-key", "teacher")
        #expect(wrong.code == 65 && wrong.errors.contains("'state_dict' and 'state_dict_ema'"), "\(wrong.errors)")
        let one = try workspace.finetune("inspect", Self.weights("gray.pth"), "--weights-key", "teacher")
        #expect(one.code == 65 && one.errors.contains("needs no"), "\(one.errors)")
    }

    @Test("needs no head that is read but for its outputs")
    func heads() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 6)
        for (name, layer) in [
            ("head-mlp.pth", "fc.0, fc.3"), ("keras-prelu.keras", "PReLU"), ("keras-two-heads.keras", "2 outputs"),
        ] {
            let base = Self.weights(name)
            let run = try workspace.finetune(
                "--base", base, "--data", "@images", "--out", "@\(name)", "--size", "64", "--cache", "off")
            #expect(run.code == 0 && run.errors.contains("is replaced"), "\(run.errors)")
            let found = try workspace.finetune("inspect", base)
            #expect(found.code == 0 && found.output.contains(layer), "\(found.output)")
            let logits = try workspace.finetune(
                "extract", "--base", base, "--data", "@images", "--layer", "logits", "--out", "@l.npz")
            #expect(logits.code == 65 && logits.errors.contains("is not read"), "\(logits.errors)")
            let predicted = try workspace.finetune("predict", "--model", base, "@images")
            #expect(predicted.code == 65 && predicted.errors.contains("is not read"), "\(predicted.errors)")
        }
    }

    @Test("with batch norms folded into its convolutions gives the same features")
    func folded() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 6)
        let base = SmallModel.path
        let converted = try workspace.finetune("convert", base, "@folded.h5", "--fold")
        #expect(converted.code == 0 && converted.errors.contains("Folded: 19 batch norms."), "\(converted.errors)")
        for (model, out) in [(base, "@a.npy"), ("@folded.h5", "@b.npy")] {
            let outcome = try workspace.finetune(
                "extract", "--base", model, "--data", "@images", "--out", out, "--precision", "fp32")
            #expect(outcome.code == 0, "\(outcome.errors)")
        }
        let rows = try ["a", "b"].map {
            try NumpyArray(parsing: FileSystem.read(workspace.file("\($0).npy")), name: $0).floats
        }
        #expect(rows[0].count == rows[1].count && zip(rows[0], rows[1]).allSatisfy { abs($0 - $1) < 1e-4 })
        let inspected = try workspace.finetune("inspect", "@folded.h5", "--json")
        #expect(inspected.done["parameters"] != nil && !inspected.output.contains("batch_normalization"))
    }

    @Test("with one sigmoid predicts p and 1 − p, and is converted so")
    func sigmoid() throws {
        let workspace = try Workspace()
        let manifest = try JSON(parsing: FileSystem.read(Self.weights("situations.json")))
        let entry = try #require(manifest["cases"]?.arrayValue?.first { $0["name"] == "keras-sigmoid" })
        let logits = (entry["logits"]?.arrayValue ?? []).compactMap { $0.numbers.first }
        let base = Self.weights("keras-sigmoid.keras")
        let native = try workspace.finetune("convert", base, "@native.h5")
        #expect(native.code == 0, "\(native.errors)")
        for model in [base, "@native.h5"] {
            let outcome = try workspace.finetune(
                "predict", "--model", model, Self.weights("wide.png"), Self.weights("tall.png"), "--precision", "fp32",
                "--top", "2", "--format", "jsonl")
            #expect(outcome.code == 0, "\(outcome.errors)")
            let lines = outcome.output.split(separator: "\n").compactMap { try? JSON(parsing: String($0)) }
            #expect(lines.count == 2)
            for (line, logit) in zip(lines, logits) {
                let second = line["top"]?.arrayValue?.first { $0["label"] == "1" }
                let expected = 1 / (1 + exp(-logit))
                #expect(abs((second?["probability"]?.doubleValue ?? -1) - expected) < 0.01, "\(line.text)")
            }
        }
        for (name, words) in [
            ("keras-sigmoids.keras", "independent labels"), ("binary.pth", "one output"),
            ("keras-regression.keras", "one output"),
        ] {
            let base = Self.weights(name)
            let outcome = try workspace.finetune("predict", "--model", base, Self.weights("wide.png"))
            #expect(outcome.code == 65 && outcome.errors.contains(words), "\(outcome.errors)")
            let converted = try workspace.finetune("convert", base, "@x.onnx")
            #expect(converted.code == 65 && converted.errors.contains(words), "\(converted.errors)")
        }
    }

    @Test("of other channels than pictures have reads ready inputs, and says so")
    func channels() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 6)
        let base = Self.weights("four.pth")
        let pictures = try workspace.finetune("extract", "--base", base, "--data", "@images", "--out", "@f.npz")
        #expect(pictures.code == 65, "\(pictures.errors)")
        #expect(pictures.errors.contains("reads 4 channels, and pictures have 3"), "\(pictures.errors)")
        // Of any number as ready inputs.
        let values = (0..<8 * 40 * 33 * 4).flatMap { number in
            withUnsafeBytes(of: Float(sin(Double(number))).bitPattern.littleEndian) { Array($0) }
        }
        try workspace.writeInputs(values, "(8, 40, 33, 4)", count: 8, "four.npz")
        let run = try workspace.finetune("--base", base, "--data", "@four.npz", "--out", "@four")
        #expect(run.code == 0, "\(run.errors)")
        let other = try workspace.finetune(
            "extract", "--base", Self.weights("gray.pth"), "--data", "@four.npz", "--out", "@f.npz")
        #expect(
            other.code == 65 && other.errors.contains("reads 1 channel,") && other.errors.contains("have 4"),
            "\(other.errors)")
        let gray = try workspace.finetune(
            "--base", Self.weights("gray.pth"), "--data", "@images", "--out", "@gray", "--size", "64")
        #expect(gray.code == 0, "\(gray.errors)")
    }

    @Test("that is a model of the same classes says that its head is replaced")
    func sameClasses() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 8)
        let base = Fixtures.path("resnet20-random.h5")
        #expect(try workspace.finetune("--base", base, "--data", "@images", "--out", "@a").code == 0)
        let again = try workspace.finetune("--base", "@a/model.h5", "--data", "@images", "--out", "@b")
        #expect(again.code == 0 && again.errors.contains("a model of the same 2 classes"), "\(again.errors)")
        let folder = try workspace.finetune("--base", "@a", "--data", "@images", "--out", "@c")
        #expect(folder.code == 65 && folder.errors.contains("Did you mean"), "\(folder.errors)")
    }
}
