// The pages of train, evaluate and compare: whole, harmless whatever classes are called, and with the files' numbers.

import FinetuneFiles
import TestSupport
import Testing

@Suite("A report") struct ReportTests {
    let base = Path.join(Fixtures.package, "Tests/FinetuneCommandTests/Fixtures/resnet20-random.h5")
    private let evil = "<script>alert(1)<"

    /// Images of two classes, one of them named to be run by a careless page, and a copy to be found.
    private func workspace() throws -> Workspace {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 24, classes: ["plain", evil])
        try workspace.write(Workspace.stripes(0, seed: 0), "images/plain/\"quoted\" & copied.bmp")
        for number in 0..<4 {
            try workspace.write(Workspace.stripes(1, seed: 60_000 + number), "images/plain/odd\(number).bmp")
        }
        return workspace
    }

    private func page(_ workspace: Workspace, _ name: String) throws -> String {
        String(decoding: try FileSystem.read(workspace.file(name)), as: UTF8.self)
    }

    private func expectHarmless(_ page: String) {
        #expect(page.hasPrefix("<!DOCTYPE html>") && page.contains("</html>"))
        #expect(!page.contains("<script") && page.contains("&lt;script&gt;alert(1)&lt;"))
        #expect(page.contains("default-src 'none'"))
        for remote in ["src=\"http", "href=\"http", "url(http", "@import"] { #expect(!page.contains(remote)) }
    }

    @Test("of a training has scores, plan, confusion, mistakes with heat, findings and the command")
    func training() throws {
        let workspace = try workspace()
        let outcome = try workspace.finetune(
            "--base", base, "--data", "@images", "--val", "0.4", "--out", "@run", "--json")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let page = try page(workspace, "run/report.html")
        expectHarmless(page)
        let accuracy = outcome.done["val"]?["accuracy"]?.doubleValue ?? 0
        #expect(page.contains("\((accuracy * 1000).rounded() / 10)"), "\(accuracy)")
        for heading in ["Regularization", "Trained layers", "Classes", "Confusion", "Calibration", "Data"] {
            #expect(page.contains(heading), "\(heading)")
        }
        #expect(page.contains("exact duplicates") && page.contains("&quot;quoted&quot; &amp; copied.bmp"))
        #expect(page.contains("data:image/jpeg;base64,"))
        #expect(page.contains("--val 0.4"))
        #expect(FileSystem.kind(of: workspace.file("run/tensorboard")) == nil)
    }

    @Test("of a training by steps has curves and health, and TensorBoard has them too")
    func steps() throws {
        let workspace = try workspace()
        let arguments = [
            "--base", base, "--data", "@images", "--unfreeze", "stage3", "--epochs", "2", "--views", "1", "--augment",
            "none", "--out", "@run", "--json",
        ]
        let outcome = try workspace.finetune(arguments)
        #expect(outcome.code == 0, "\(outcome.errors)")
        let page = try page(workspace, "run/report.html")
        expectHarmless(page)
        for heading in ["Learning", "Network health", "epoch"] { #expect(page.contains(heading), "\(heading)") }
        let events = try FileSystem.list(workspace.file("run/tensorboard"))
        #expect(events.count == 1)
        let bytes = try FileSystem.read(workspace.file("run/tensorboard/\(events[0])"))
        let text = String(decoding: bytes, as: UTF8.self)
        for tag in ["loss/train", "loss/validation", "accuracy/validation", "learning-rate"] {
            #expect(text.contains(tag), "\(tag)")
        }
        // Another run in that folder begins its curves anew.
        #expect(try workspace.finetune(arguments + ["--force"]).code == 0)
        #expect(try FileSystem.list(workspace.file("run/tensorboard")).count == 1)
    }

    @Test("of an evaluation has thresholds and mistakes; one of inputs has no pictures")
    func evaluation() throws {
        let workspace = try workspace()
        #expect(try workspace.finetune("--base", base, "--data", "@images", "--val", "0.4", "--out", "@run").code == 0)
        try workspace.makeImages("new", perClass: 8, classes: ["plain", evil], seed: 9000)
        try workspace.write(Workspace.stripes(1, seed: 4), "new/plain/wrong.bmp")
        let outcome = try workspace.finetune(
            "evaluate", "--model", "@run/model.h5", "--data", "@new", "--report", "@page.html", "--sensitivity", "0.9")
        #expect(outcome.code == 0, "\(outcome.errors)")
        let page = try page(workspace, "page.html")
        expectHarmless(page)
        #expect(page.contains("sensitivity 0.9") && page.contains("Surest mistakes"))
        let refused = try workspace.finetune(
            "evaluate", "--model", "@run/model.h5", "--data", "@new", "--report", "@none/page.html")
        #expect(refused.code == 73, "\(refused.errors)")
    }

    @Test("of a comparison has the advice and every strategy")
    func comparison() throws {
        let workspace = try workspace()
        let outcome = try workspace.finetune(
            "compare", "--base", base, "--data", "@images", "--strategies", "head,frozen", "--out", "@run", "--json")
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.done["report"]?.stringValue == workspace.file("run/report.html"))
        let page = try page(workspace, "run/report.html")
        #expect(!page.contains("<script") && page.contains("Accuracy against cost"))
        let advice = outcome.done["advice"]?.stringValue ?? "none"
        #expect(page.contains(String(advice.prefix(40))))
    }
}
