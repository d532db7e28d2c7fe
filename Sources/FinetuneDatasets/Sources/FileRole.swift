// What a single file after --data is: a table, arrays or a picture; and what to do with one that is none of these.

internal import FinetuneFiles

/// How a file is read as a data set.
package enum FileRole {
    case table, arrays, picture
    case archive(ArchiveSource)

    /// Decides by the first bytes and the ending of a file.
    ///
    /// - Throws: `DatasetError` that says what the file is and the way on; `FileError`.
    init(of path: String) throws {
        let ending = Path.fileExtension(of: path)
        if PictureName.isPicture(path) {
            self = .picture
            return
        }
        if ending == "npz" {
            self = .arrays
            return
        }
        let head = try FileSystem.head(of: path, count: PictureName.headCount)
        let isTable = Self.tableEndings.contains(ending)
        if !isTable, Self.others[ending] == nil, let archive = try ArchiveSource(path, beginning: head) {
            self = .archive(archive)
            return
        }
        if let reason = Self.refusal(ending, head) ?? (isTable ? nil : ArchiveSource.refusal(path, beginning: head)) {
            throw DatasetError.unusable(path, reason)
        }
        if isTable {
            self = .table
        } else if PictureName.isPicture(beginning: head) {
            self = .picture
        } else {
            throw DatasetError.unusable(
                path,
                "it is no picture\(ending.isEmpty ? "" : ", but a .\(ending) file"). Expected a folder of images for each class, a zip or tar archive of it, a CSV with the columns path,label, or an .npz."
            )
        }
    }

    /// What a file is, if it holds or lists many images, in words; nil for other files.
    package static func collection(at path: String) -> String? {
        switch try? FileRole(of: path) {
        case .table: "a table"
        case .arrays: "a file of arrays"
        case .archive: "an archive"
        case .picture, nil: nil
        }
    }

    private static let tableEndings: Set<String> = ["csv", "tsv", "tab", "psv", "txt"]

    /// What a file is that cannot be read, and the way on; nil for others.
    private static func refusal(_ ending: String, _ head: [UInt8]) -> String? {
        func begins(_ text: StaticString) -> Bool {
            text.withUTF8Buffer { head.starts(with: $0) }
        }
        if let text = others[ending] { return text }
        let isTable = tableEndings.contains(ending)
        if begins("PAR1") { return others["parquet"] }
        if begins("ARROW1") { return others["feather"] }
        if begins("SQLite format 3") { return others["sqlite"] }
        if head.starts(with: [0x89, 0x48, 0x44, 0x46]) { return others["h5"] }
        if head.starts(with: [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]) { return others["npy"] }
        if isTable, begins("PK\u{3}\u{4}") { return others["xlsx"] }
        if isTable, head.starts(with: [0xD0, 0xCF, 0x11, 0xE0]) { return others["xls"] }
        if isTable, head.starts(with: [0x1F, 0x8B]) { return "it is compressed with gzip. Unpack it: gunzip." }
        if head.first == UInt8(ascii: "{") || isTable && begins("[{") { return others["json"] }
        return nil
    }

    private static let asCSV = "save it as CSV with the columns path,label"

    private static let others: [String: String] = {
        func pandas(_ kind: String, _ reader: String) -> String {
            "it is \(kind). To \(asCSV): pandas.\(reader)(…).to_csv('labels.csv', index=False)."
        }
        let excel = "it is an Excel workbook. In Excel or LibreOffice, \(asCSV)."
        return [
            "xlsx": excel, "xls": excel, "xlsm": excel, "xlsb": excel,
            "ods": "it is an OpenDocument spreadsheet. In LibreOffice, \(asCSV).",
            "numbers": "it is a Numbers spreadsheet. In Numbers, export it as CSV with the columns path,label.",
            "parquet": pandas("a Parquet table", "read_parquet"), "feather": pandas("an Arrow table", "read_feather"),
            "arrow": pandas("an Arrow table", "read_feather"),
            "json": "it is JSON, such as annotations. Write a CSV with the columns path,label.",
            "jsonl": pandas("a table of JSON lines", "read_json"),
            "ndjson": pandas("a table of JSON lines", "read_json"),
            "xml": "it is XML, such as annotations. Write a CSV with the columns path,label.",
            "yaml": "it is YAML, which lists no images. Give the folder of images.",
            "yml": "it is YAML, which lists no images. Give the folder of images.",
            "html": "it is a web page. Download the data set itself.",
            "htm": "it is a web page. Download the data set itself.",
            "pkl": "it is a Python pickle. Save images and labels as .npz: numpy.savez('set.npz', images=…, labels=…).",
            "pickle":
                "it is a Python pickle. Save images and labels as .npz: numpy.savez('set.npz', images=…, labels=…).",
            "npy":
                "it is a single NumPy array. Save images and labels as .npz: numpy.savez('set.npz', images=…, labels=…).",
            "mat": "it is a MATLAB file. Save images and labels as .npz: numpy.savez('set.npz', images=…, labels=…).",
            "h5": "it is an HDF5 file. Save images and labels as .npz: numpy.savez('set.npz', images=…, labels=…).",
            "hdf5": "it is an HDF5 file. Save images and labels as .npz: numpy.savez('set.npz', images=…, labels=…).",
            "tfrecord": "it is a TFRecord file. Write its images into a folder for each class.",
            "sqlite": "it is a database. Export a CSV with the columns path,label.",
            "db": "it is a database. Export a CSV with the columns path,label.",
            "pdf": "it is a PDF. Write its pictures into a folder for each class.",
        ]
    }()
}
