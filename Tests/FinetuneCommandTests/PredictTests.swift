// finetune predict: what it labels, and what it leaves without a label.

import FinetuneFiles
import TestSupport
import Testing

private let base = Fixtures.path("resnet20-random.h5")

@Suite("A prediction") struct PredictTests {
    @Test("labels no tables, arrays or archives, which are never called pictures")
    func collections() throws {
        let workspace = try Workspace()
        try workspace.write("path,label\na.jpg,x\n", "table.tsv")
        try workspace.write([0x50, 0x4B, 3, 4, 0, 0, 0, 0], "set.zip")
        try workspace.write("", "arrays.npz")
        for (name, kind) in [("table.tsv", "a table"), ("set.zip", "an archive"), ("arrays.npz", "a file of arrays")] {
            let outcome = try workspace.finetune("predict", "--model", base, workspace.file(name))
            #expect(outcome.code == 64 && outcome.errors.contains("it is \(kind)."), "\(outcome.errors)")
        }
    }

    @Test("abstains from labels that are less sure than wanted, in every form")
    func abstaining() throws {
        let (workspace, _) = try ErringModel.trained()
        func predict(_ arguments: String...) throws -> Outcome {
            try workspace.finetune(["predict", "--model", "@run/model.h5", "@new"] + arguments)
        }
        let all = try predict("--abstain-below", "1", "--json")
        let rows = all.events.filter { $0["event"] == "prediction" }
        let unsure = rows.count { ($0["probability"]?.doubleValue ?? 0) < 1 }
        #expect(unsure > 0 && all.done["abstained"]?.intValue == unsure)
        #expect(rows.allSatisfy { ($0["label"] == .null) == ($0["abstained"] == true) })
        #expect(try predict("--abstain-below", "0", "--json").done["abstained"] == 0)
        #expect(try predict("--abstain-below", "1").output.contains("  ?  ("))
        let table = try CSV(parsing: Array(predict("--abstain-below", "1", "--format", "csv").output.utf8), name: "csv")
        #expect(table.rows.count { $0.fields[1].isEmpty } == unsure)
        #expect(try predict("--abstain-below", "2").code == 64)
    }
}
