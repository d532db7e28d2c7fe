// Tables as people have them: separators, encodings, column names, and labels that are none.

import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneDatasets

@Suite("A table") struct TableTests {
    /// Pictures that nobody decodes, in `images/`.
    private func files(_ table: String, _ name: String = "t.csv") throws -> FileSet {
        try FileSet(["images/a.jpg", "images/b.jpg", "images/c.jpg", "images/d.jpg"], texts: [name: table])
    }

    private func dataset(_ table: String, _ name: String = "t.csv") throws -> ImageDataset {
        let files = try files(table, name)
        return try withExtendedLifetime(files) { try ImageDataset(Path.join(files.path, name)) }
    }

    private let names = ["images/a.jpg", "images/b.jpg", "images/c.jpg", "images/d.jpg"]

    @Test(
        "is read with any usual separator and any usual names of columns",
        arguments: [
            ("t.csv", ",", "path", "label"), ("t.csv", ";", "Filename", "Class"), ("t.tsv", "\t", "FILE", "target"),
            ("t.txt", "|", "file_name", "category"), ("t.csv", "\t", "image", "y"),
            ("t.csv", ", ", "filepath", "label_name"),
            ("t.tsv", ",", "image path", "Class Name"), ("t.csv", ";", "img", "diagnosis"),
            ("t.csv", ",", "photo", "kind of animal"),
        ])
    func columns(_ name: String, _ separator: String, _ path: String, _ label: String) throws {
        let rows = zip(names, ["cat", "dog", "cat", "dog"]).map { "\($0)\(separator)\($1)\n" }.joined()
        let dataset = try dataset("\(path)\(separator)\(label)\n\(rows)", name)
        #expect(dataset.classes == ["cat", "dog"])
        #expect(dataset.items.map(\.name) == ["images/a.jpg", "images/c.jpg", "images/b.jpg", "images/d.jpg"])
    }

    @Test("has blanks around names and labels taken off, and keeps what is quoted together")
    func blanks() throws {
        let dataset = try dataset(
            "path , label\nimages/a.jpg ,cat \n images/b.jpg, \"cat, or dog\" \nimages/c.jpg,\tcat\nimages/d.jpg,cat\u{A0}\n"
        )
        #expect(dataset.classes == ["cat", "cat, or dog"] && dataset.items.count { $0.label == 0 } == 3)
        #expect(!dataset.remarks.contains { $0.kind == .missingFile })
    }

    @Test(
        "names files without their ending, in a folder beside it, with separators of Windows",
        arguments: ["a", "images\\a.jpg", "./images/a", "images/a"])
    func paths(_ path: String) throws {
        let dataset = try dataset("image_id,label\n\(path),x\n")
        #expect(dataset.items.map(\.name) == ["images/a.jpg"])
    }

    @Test("may begin with the line in which Excel names the separator")
    func separatorLine() throws {
        let dataset = try dataset("sep=;\r\npath;label\r\nimages/a.jpg;x\r\nimages/no.jpg;y\r\n")
        #expect(dataset.classes == ["x", "y"])
        #expect(dataset.remarks.first { $0.kind == .missingFile }?.detail.contains("(line 4)") == true)
    }

    @Test("in two folders beside which files of one name lie is not guessed at")
    func ambiguousFolder() throws {
        let files = try FileSet(["one/a.jpg", "two/a.jpg"], texts: ["t.csv": "id,label\na,x\n"])
        let dataset = try ImageDataset(files.path + "/t.csv")
        #expect(dataset.items.map(\.name) == ["a"])
        #expect(dataset.obstacle?.contains("'one' and 'two'") == true)
    }

    @Test("is converted from the encodings of Windows")
    func encodings() throws {
        let text = "path,label\nimages/a.jpg,caf\u{E9}\nimages/b.jpg,th\u{E9}\n"
        let wide = Array(text.utf16)
        let little = wide.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
        let big = wide.flatMap { [UInt8($0 >> 8), UInt8(truncatingIfNeeded: $0)] }
        let western = text.unicodeScalars.map { UInt8($0.value) }
        for bytes in [
            [0xFF, 0xFE] + little, [0xFE, 0xFF] + big, little, western, [0xEF, 0xBB, 0xBF] + Array(text.utf8),
        ] {
            let files = try files("")
            try files.write(bytes, "t.csv")
            let dataset = try ImageDataset(files.path + "/t.csv")
            #expect(dataset.classes == ["caf\u{E9}", "th\u{E9}"])
            #expect(dataset.remarks.contains { $0.kind == .reading } == (bytes.first != 0xEF))
        }
    }

    @Test("with line ends of any system keeps its line numbers", arguments: ["\n", "\r\n", "\r"])
    func lines(_ end: String) throws {
        let table = ["path,label", "images/a.jpg,x", "\"images/b.jpg\",\"y\(end)z\"", "images/no.jpg,x", ""].joined(
            separator: end)
        let dataset = try dataset(table)
        #expect(dataset.items.count == 3)
        #expect(dataset.remarks.first { $0.kind == .missingFile }?.detail.contains("'images/no.jpg' (line 5)") == true)
    }

    @Test(
        "has its splits in a column of words or of yes and no",
        arguments: [
            (
                "split", ["train", "Validation Set", "TEST", "training_set"],
                [Split.Part.train, .validation, .test, .train]
            ),
            ("set", ["TRAIN", "VALIDATION", "TEST", "dev"], [.train, .validation, .test, .validation]),
            ("subset", ["train", "valid", "", "testing"], [.train, .validation, nil, .test]),
            ("is_valid", ["True", "False", "1", "0"], [.validation, .train, .validation, .train]),
            ("is_test", ["no", "yes", "0.0", "1.0"], [.train, .test, .train, .test]),
            ("Usage", ["Training", "PublicTest", "PrivateTest", "Training"], [.train, .test, .test, .train]),
        ] as [(String, [String], [Split.Part?])])
    func splits(_ name: String, _ values: [String], _ parts: [Split.Part?]) throws {
        let rows = zip(names, values).map { "\($0),x,\($1)\n" }.joined()
        let dataset = try dataset("path,label,\(name)\n\(rows)")
        #expect(dataset.items.map(\.part) == parts)
        #expect(!dataset.remarks.contains { $0.kind == .unusedColumn })
    }

    @Test("names the columns that it does not use, and a set that is no split")
    func unused() throws {
        let dataset = try dataset("path,label,age,,set\nimages/a.jpg,x,1,,north\nimages/b.jpg,y,2,,south\n")
        #expect(dataset.remarks.first { $0.kind == .unusedColumn }?.detail.contains("'age' and 'set'") == true)
        #expect(dataset.items.allSatisfy { $0.part == nil })
        let flags = try self.dataset("path,label,set,is_valid\nimages/a.jpg,x,north,1\nimages/b.jpg,y,south,0\n")
        #expect(flags.items.map(\.part) == [.validation, .train])
        #expect(throws: DatasetError.self) { try self.dataset("path,label,is_valid\nimages/a.jpg,x,maybe\n") }
        let groups = try self.dataset("path,label,patient id\nimages/a.jpg,x,7\nimages/b.jpg,y,8\n")
        #expect(groups.remarks.contains { $0.detail.contains("rename it to group") })
    }

    @Test("with mostly splits in a column has splits, and another word there is an error", arguments: ["set", "Usage"])
    func mostlySplits(_ column: String) throws {
        let text = "path,label,\(column)\nimages/a.jpg,x,train\nimages/b.jpg,y,test\nimages/c.jpg,y,tset\n"
        #expect(throws: DatasetError.self) { try dataset(text) }
        let renamed = try dataset(text.replacing("tset", with: "EVAL"))
        #expect(renamed.items.map(\.part) == [.train, .test, .validation])
        #expect(renamed.remarks.contains { $0.detail.contains("'EVAL' is val") })
    }

    @Test("has rows without a label, which are named", arguments: ["", "nan", "NaN", "NA", "n/a", "null", "<NA>"])
    func unlabelled(_ label: String) throws {
        let dataset = try dataset("path,label\nimages/a.jpg,x\nimages/b.jpg,\(label)\nimages/c.jpg,y\n")
        #expect(dataset.classes == ["x", "y"] && dataset.items.count == 3 && dataset.labelled.items.count == 2)
        #expect(dataset.remarks.first { $0.kind == .unlabelledRow }?.detail.contains("line 3") == true)
    }

    @Test(
        "names labels that hardly differ",
        arguments: [
            ["1", "1.0", "01"], ["Cat", "cat", "CAT"], ["a  b", "a b", "A b"], ["a", "a\u{200B}", "\u{FEFF}A"],
        ])
    func similar(_ labels: [String]) throws {
        let dataset = try dataset("path,label\n" + zip(names, labels + ["other"]).map { "\($0),\($1)\n" }.joined())
        #expect(dataset.classes.count == 4 && dataset.remarks.count { $0.kind == .similarClasses } == 1)
    }

    @Test("of measurements is no table of classes")
    func regression() throws {
        let paths = (0..<20).map { "\($0).jpg" }
        let decimals = (0..<20).map { "\(paths[$0]),\(Double($0) * 0.37 + 0.01)\n" }.joined()
        let files = try FileSet(paths, texts: ["t.csv": "path,y\n" + decimals])
        #expect(try ImageDataset(files.path + "/t.csv").obstacle?.contains("20 different decimals") == true)
        let commas = (0..<20).map { "\(paths[$0]);\($0),5\n" }.joined()
        let german = try FileSet(paths, texts: ["t.csv": "path;y\n" + commas])
        #expect(try ImageDataset(german.path + "/t.csv").obstacle?.contains("20 different decimals") == true)
        let dates = try FileSet(paths, texts: ["t.csv": "path,label\n" + paths.map { "\($0),day \($0)\n" }.joined()])
        #expect(
            try ImageDataset(dates.path + "/t.csv").remarks.contains { $0.detail.contains("has a label of its own") })
        let grades = (0..<20).map { "\(paths[$0]),\(Double($0 % 4) / 2)\n" }.joined()
        let classes = try FileSet(paths, texts: ["t.csv": "path,y\n" + grades])
        #expect(try ImageDataset(classes.path + "/t.csv").obstacle == nil)
    }

    @Test("without a header or rows says what to add")
    func headers() throws {
        for (text, expected) in [
            ("images/a.jpg;x\nimages/b.jpg;y\n", "path;label"), ("images/a.jpg\tx\n", "with tabs between them"),
            ("path,label\n", "a header but no rows"),
            ("path,label\nimages/a.jpg\n", "line 2 has 1 field, the header 2"),
        ] {
            let error = #expect(throws: (any Error).self) { try dataset(text) }
            #expect(error.map { "\($0)" }?.contains(expected) == true, "\(String(describing: error))")
        }
    }

    @Test("with labels in two Unicode forms says that they are one class")
    func forms() throws {
        let dataset = try dataset("path,label\nimages/a.jpg,caf\u{E9}\nimages/b.jpg,cafe\u{301}\nimages/c.jpg,tea\n")
        #expect(dataset.classes.count == 2 && dataset.remarks.contains { $0.detail.contains("two Unicode forms") })
    }

    @Test("with a column of 0 and 1 for each class has the one class of each row")
    func indicators() throws {
        let dataset = try dataset("path,cat,dog\nimages/a.jpg,1,0\nimages/b.jpg,0,1\nimages/c.jpg,0.0,1.0\n")
        #expect(dataset.classes == ["cat", "dog"] && dataset.items.map(\.label) == [0, 1, 1])
        let several = try self.dataset("path,cat,dog\nimages/a.jpg,1,0\nimages/b.jpg,1,1\n")
        #expect(several.classes.isEmpty)
        #expect(several.obstacle?.contains("line 3 has the classes 'cat' and 'dog'") == true)
    }

    @Test("that lists a file twice, or none, says on which lines")
    func repeated() throws {
        let dataset = try dataset("path,label\nimages/a.jpg,x\nimages/b.jpg,y\nimages/a.jpg,y\nimages/b.jpg,y\n")
        let details = dataset.remarks.filter { $0.kind == .repeatedRow }.map(\.detail)
        #expect(details.count == 2)
        #expect(details.contains { $0.contains("under 2 labels: 'x' (line 2), 'y' (line 4)") })
        #expect(details.contains { $0.contains("2 times (lines 3, 5)") })
    }

    @Test(
        "without a header is refused with the header to add",
        arguments: [("images/a.jpg,cat\n", "path,label"), ("cat;images/a.jpg;3\n", "label,path,column3")])
    func header(_ table: String, _ header: String) throws {
        let error = #expect(throws: DatasetError.self) { try self.dataset(table) }
        #expect(error?.description.contains("is not a header") == true, "\(error?.description ?? "")")
        #expect(error?.description.contains(header) == true || table.contains(";"))
    }

    @Test(
        "of another kind, and other files, are named with the way on",
        arguments: [
            ("t.xlsx", "PK\u{3}\u{4}", "Excel workbook"), ("t.csv", "PK\u{3}\u{4}", "Excel workbook"),
            ("t.ods", "PK", "OpenDocument"),
            ("t.parquet", "PAR1", "Parquet"), ("t", "PAR1", "Parquet"), ("t.json", "{}", "JSON"),
            ("t.jsonl", "{}", "JSON lines"),
            ("t.pkl", "x", "pickle"), ("t.npy", "x", "NumPy array"), ("t.md", "# Notes", "no picture"),
            ("t", "some text", "no picture"),
            ("t.7z", "7z\u{BC}", "no picture"), ("t.rar", "Rar!\u{1A}\u{7}", "unrar x"), ("t.bz2", "BZh9", "bunzip2"),
        ])
    func others(_ name: String, _ text: String, _ word: String) throws {
        let refusal = try FileSet([], texts: [name: text]).refusal(name)
        #expect(refusal.contains(word), "\(refusal)")
    }
}
