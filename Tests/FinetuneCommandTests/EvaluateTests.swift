// finetune evaluate: every number in every file, temperatures, gates and thresholds.

import FinetuneFiles
import TestSupport
import Testing

private let base = Fixtures.path("resnet20-random.h5")

@Suite("Evaluating") struct EvaluateTests {
    @Test("gives the same numbers in every file, with everything that people ask for")
    func files() throws {
        let (workspace, training) = try ErringModel.trained()
        #expect(training.code == 0, "\(training.errors)")
        let outcome = try workspace.finetune("evaluate", "--model", "@run/model.h5", "--data", "@new", "--json")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let done = outcome.done
        for key in ["accuracy", "top5", "macro_f1", "log_loss", "ece", "brier", "roc_auc"] {
            #expect(done["metrics"]?[key]?.doubleValue?.isFinite == true, "\(key)")
        }
        for average in ["macro", "weighted"] { #expect(done["metrics"]?[average]?["f1"]?.doubleValue != nil) }
        #expect(done["per_class"]?.arrayValue?.count == 2 && done["images"]?.intValue == 43)
        let confusion = (done["confusion"]?.arrayValue ?? []).map(\.integers)
        #expect(confusion.count == 2 && confusion.flatMap(\.self).reduce(0, +) == 43)
        #expect((done["reliability"]?.arrayValue ?? []).compactMap { $0["images"]?.intValue }.reduce(0, +) == 43)
        let wrong = confusion[0][1] + confusion[1][0]
        #expect(wrong > 0 && done["mistakes"]?.arrayValue?.count == min(20, wrong))
        #expect(done["operating_points"]?.arrayValue?.count == 1)
        // evaluation.json has the run's own numbers, and they are those of its predictions.
        let written = try JSON(parsing: FileSystem.read(workspace.file("run/evaluation.json")))
        #expect(written["val"]?["metrics"] == training.done["val"])
        let table = try CSV(parsing: FileSystem.read(workspace.file("run/predictions.csv")), name: "predictions").rows
        let hits = table.count { $0.fields[2] == $0.fields[3] }
        #expect(written["val"]?["metrics"]?["accuracy"]?.doubleValue == Double(hits) / Double(table.count))
        let people = try workspace.finetune("evaluate", "--model", "@run/model.h5", "--data", "@new")
        #expect(people.output.contains("ROC-AUC") && people.output.contains("surest mistakes"))
        #expect(people.output.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(people.output)")
    }

    @Test("scores the images whose classes the model has, and says what is left out")
    func unknownClasses() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 12)
        try workspace.finetune("--base", base, "--data", "@images", "--out", "@run", "--precision", "fp32")
            .expectSuccess()
        try workspace.makeImages("new", perClass: 6, classes: ["across", "down", "slanted"], seed: 9000)
        let outcome = try workspace.finetune("evaluate", "--model", "@run/model.h5", "--data", "@new", "--json")
        #expect(outcome.code == 0 && outcome.done["images"]?.intValue == 12, "\(outcome.output)")
        #expect(outcome.done["unknown_images"]?.intValue == 6)
        #expect(outcome.done["unknown_classes"]?.arrayValue?.map(\.stringValue) == ["slanted"])
        let people = try workspace.finetune("evaluate", "--model", "@run/model.h5", "--data", "@new")
        #expect(
            people.errors.contains(
                "Left out of the score: 6 images of a class that the model does not have ('slanted')."),
            "\(people.errors)")
        try workspace.write("path,label\nnew/across/0.bmp,across\nnew/down/0.bmp,down\nnew/down/1.bmp,\n", "table.csv")
        let table = try workspace.finetune("evaluate", "--model", "@run/model.h5", "--data", "@table.csv")
        #expect(
            table.code == 0 && table.errors.contains("Left out of the score: 1 image without a label."),
            "\(table.errors)")
        try workspace.makeImages("other", perClass: 3, classes: ["left", "right"])
        let other = try workspace.finetune("evaluate", "--model", "@run/model.h5", "--data", "@other")
        #expect(
            other.code == 65 && other.errors.contains("class 'left' is not among the classes across, down"),
            "\(other.errors)")
    }

    @Test("keeps the temperature that validation images ask for, and every format has it")
    func temperature() throws {
        let (workspace, training) = try ErringModel.trained()
        let record = try JSON(parsing: FileSystem.read(workspace.file("run/run.json")))
        let calibration = record["calibration"]
        let temperature = try #require(calibration?["temperature"]?.doubleValue)
        #expect(temperature != 1 && training.events.contains { $0["calibration"] == calibration })
        let (before, after) = (
            calibration?["log_loss"]?["before"]?.doubleValue ?? 0, calibration?["log_loss"]?["after"]?.doubleValue ?? 9
        )
        #expect(after < before)
        // What was scored is what is predicted.
        let table = try CSV(parsing: FileSystem.read(workspace.file("run/predictions.csv")), name: "predictions").rows
        let expected = Dictionary(uniqueKeysWithValues: table.map { ($0.fields[0], Double($0.fields[4]) ?? 0) })
        try workspace.finetune("convert", "@run/model.h5", "@t.safetensors").expectSuccess()
        try workspace.write("across\ndown\n", "names.txt")
        for model in ["@run/model.h5", "@t.safetensors"] {
            let outcome = try workspace.finetune(
                "predict", "--model", model, "--classes", "@names.txt", "@images", "--json", "--precision", "fp32")
            #expect(outcome.code == 0, "\(outcome.errors)")
            var count = 0
            for event in outcome.events where event["event"] == "prediction" {
                guard let path = event["path"]?.stringValue,
                    let wanted = expected[String(path.dropFirst(workspace.file("images/").count))]
                else { continue }
                count += 1
                #expect(abs((event["probability"]?.doubleValue ?? 0) - wanted) < 1e-5, "\(model) \(path)")
            }
            #expect(count == expected.count)
        }
        // A new head begins without it.
        let again = try workspace.finetune(
            "--base", "@run/model.h5", "--data", "@images", "--val", "0", "--out", "@second", "--json")
        #expect(again.code == 0, "\(again.errors)")
        let scored = try workspace.finetune("evaluate", "--model", "@second/model.h5", "--data", "@new", "--json")
        #expect(scored.done["temperature"]?.doubleValue == 1)
    }

    @Test("is a gate with exit code 3 for scores that are asked for")
    func gates() throws {
        let (workspace, _) = try ErringModel.trained()
        func evaluate(_ arguments: String...) throws -> Outcome {
            try workspace.finetune(["evaluate", "--model", "@run/model.h5", "--data", "@new"] + arguments)
        }
        #expect(try evaluate("--minimum", "accuracy=0.5", "--maximum", "log-loss=3").code == 0)
        let failed = try evaluate("--minimum", "macro-f1=0.9999", "--json")
        let score = try #require(failed.done["metrics"]?["macro_f1"]?.doubleValue)
        #expect(
            failed.code == 3
                && failed.errors.contains("macro-f1 is \(score.rounded(toPlaces: 4)), expected at least 0.9999."),
            "\(failed.errors)")
        // As many digits as show that the score is lower.
        for places in [1e3, 1e4, 1e7] {
            let limit = (score * places).rounded(.up) / places
            let close = try evaluate("--minimum", "macro-f1=\(limit)")
            let shown = close.errors.split(separator: "macro-f1 is ").last?.split(separator: ",").first
            #expect(close.code == 3 && shown.flatMap { Double($0) }.map { $0 < limit } == true, "\(close.errors)")
        }
        let loss = try evaluate("--maximum", "log-loss=0")
        #expect(loss.code == 3 && loss.errors.contains("log-loss is 0."), "\(loss.errors)")
        #expect(failed.done["images"]?.intValue == 43)
        #expect(try evaluate("--maximum", "ece=0").code == 3)
        for wrong in ["accuracy", "beauty=1", "accuracy=x", "=1"] {
            #expect(try evaluate("--minimum", wrong).code == 64, "\(wrong)")
        }
    }

    @Test("finds the threshold that reaches a sensitivity, for two classes alone")
    func thresholds() throws {
        let (workspace, _) = try ErringModel.trained()
        func evaluate(_ arguments: String...) throws -> Outcome {
            try workspace.finetune(["evaluate", "--model", "@run/model.h5", "--data", "@new", "--json"] + arguments)
        }
        let outcome = try evaluate("--positive", "across", "--sensitivity", "0.95", "--specificity", "1")
        let points = outcome.done["operating_points"]?.arrayValue ?? []
        #expect(points.count == 3 && points.allSatisfy { $0["positive"] == "across" }, "\(outcome.errors)")
        #expect((points[1]["sensitivity"]?.doubleValue ?? 0) >= 0.95 && points[2]["specificity"]?.doubleValue == 1)
        #expect(try evaluate("--positive", "none").code == 64)
        #expect(try evaluate("--sensitivity", "1.5").code == 64)
        try workspace.makeImages("three", perClass: 8, classes: ["a", "b", "c"])
        #expect(try workspace.finetune("--base", base, "--data", "@three", "--out", "@many").code == 0)
        let many = try workspace.finetune(
            "evaluate", "--model", "@many/model.h5", "--data", "@three", "--sensitivity", "0.9")
        #expect(many.code == 64 && many.errors.contains("two classes"))
    }

    @Test("averages views of an image, the same ones each time")
    func views() throws {
        let (workspace, _) = try ErringModel.trained()
        func logLoss(_ arguments: String...) throws -> Double? {
            let outcome = try workspace.finetune(
                ["evaluate", "--model", "@run/model.h5", "--data", "@new", "--json"] + arguments)
            return outcome.done["metrics"]?["log_loss"]?.doubleValue
        }
        let (one, four) = (try logLoss(), try logLoss("--views", "4"))
        #expect(one != nil && four != nil && one != four)
        #expect(try logLoss("--views", "4") == four)
        #expect(try logLoss("--views", "1") == one)
        #expect(try logLoss("--views", "0") == nil)
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
}
