// finetune convert: every format, and what a format cannot hold.

import FinetuneFiles
import TestSupport
import Testing

private let base = Fixtures.path("resnet20-random.h5")

@Suite("A conversion") struct ConvertTests {
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
}
