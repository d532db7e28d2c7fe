// Every sentence about tables of images.

internal import FinetuneFiles

enum TableMessages {
    private static func listed(_ names: [String]) -> String { LayoutMessages.listed(names) }

    /// Some line numbers.
    private static func lines(_ lines: [Int]) -> String {
        let shown = lines.prefix(5).map { String($0) }.joined(separator: ", ")
        return (lines.count == 1 ? "line " : "lines ") + shown + (lines.count > 5 ? ", …" : "")
    }

    static func encoding(_ path: String, _ encoding: String) -> String {
        encoding == "Windows-1252"
            ? "'\(path)' is not UTF-8; it is read as Windows-1252 (Latin-1). If names look wrong: iconv -f ITS-ENCODING -t UTF-8."
            : "'\(path)' is \(encoding) and is converted to UTF-8."
    }

    static func noPaths(_ header: [String], separator: String) -> String {
        if let place = header.firstIndex(where: PictureName.isPicture) {
            var names = header.indices.map { "column\($0 + 1)" }
            names[place] = "path"
            if header.count > 1 { names[place == 0 ? 1 : 0] = "label" }
            let isTab = separator == "\t"
            func line(_ fields: [String]) -> String { fields.joined(separator: isTab ? "   " : separator) }
            return
                "its first line, '\(line(Array(header.prefix(5))))', is not a header. Add a line above it that names the columns\(isTab ? ", with tabs between them" : ""): \(line(names))"
        }
        return
            "it has the columns \(header.joined(separator: ", ")), expected path,label and optionally split,group. Rename the column of file names to path."
    }

    static func noLabels(_ header: [String]) -> String {
        "The table has the columns \(listed(header)). Rename the column with the classes to label."
    }

    static func base(_ folder: String) -> String { "The files of the table lie in '\(folder)' beside it." }

    /// - Parameter candidates: Folders beside the table that all have files of these names.
    static func missing(_ files: [(name: String, line: Int)], of count: Int, _ candidates: [String]) -> String {
        // A table that was written for another current folder names files from there.
        let isElsewhere = files.first.map { FileSystem.kind(of: $0.name) == .file } ?? false
        let place =
            isElsewhere
            ? "Paths begin in the table's folder, not in the current one: move the table."
            : "Paths begin in the table's folder."
        let isAbsolute = files.first.map { Path.isAbsolute($0.name) || $0.name.dropFirst().hasPrefix(":") } ?? false
        let next =
            !candidates.isEmpty
            ? "The folders \(listed(candidates)) have files of these names: write the folder into the path."
            : isAbsolute
                ? "These paths are those of another computer or folder. Write them from the table's folder on, such as images/1.jpg."
                : place
        let first = files.prefix(3).map { "'\($0.name)' (line \($0.line))" }.joined(separator: ", ")
        return
            "\(files.count) of the \(count) files that the table lists \(files.count == 1 ? "is" : "are") not there: \(first)\(files.count > 3 ? ", …" : ""). \(next)"
    }

    static func unlabelled(_ rows: [Int]) -> String {
        "\(LayoutMessages.several(rows.count, "row")) of the table \(rows.count == 1 ? "has" : "have") no label (\(lines(rows))). Empty cells, NA, nan and null count as none. Training leaves \(rows.count == 1 ? "it" : "them") out."
    }

    static func unused(_ columns: [String]) -> String {
        let text =
            columns.count == 1
            ? "The column \(listed(columns)) of the table is not used."
            : "The columns \(listed(columns)) of the table are not used."
        guard
            let group = columns.first(where: { name in
                groupWords.contains { name.lowercased().split { !$0.isLetter }.contains($0[...]) }
            })
        else { return text }
        return text
            + " If '\(group)' says which images belong together, rename it to group: a group stays in one split."
    }

    /// Names of columns that most likely say which images belong together.
    private static let groupWords = [
        "patient", "subject", "animal", "person", "individual", "donor", "slide", "plate", "case", "study", "series",
        "session", "camera", "site", "sequence", "video", "specimen",
    ]

    static func ownLabels(_ classes: [String]) -> String {
        "Each of the \(classes.count) images has a label of its own (\(listed(classes))). A class needs several images. Measurements, dates and names cannot be used as classes."
    }

    static func repeated(_ name: String, _ rows: [(label: String?, line: Int)]) -> String {
        let labels = Set(rows.compactMap(\.label))
        guard labels.count > 1 else {
            return "'\(name)' is listed \(rows.count) times (\(lines(rows.map(\.line).sorted())))."
        }
        let listed = rows.sorted { $0.line < $1.line }.prefix(4).map {
            "\($0.label.map { "'\($0)'" } ?? "without label") (line \($0.line))"
        }
        return
            "'\(name)' is listed under \(labels.count) labels: \(listed.joined(separator: ", ")). Keep one of the lines."
    }

    static func severalClasses(_ names: [String], line: Int) -> String {
        let found = names.isEmpty ? "no class" : "the classes \(listed(names))"
        return
            "its columns of 0 and 1 stand for a class each, and line \(line) has \(found); each image needs exactly one. Make a column label with one class a row."
    }

    static func indicators(_ names: [String]) -> String {
        "The columns \(listed(names)), which hold 0 and 1, are read as one class each."
    }

    static func regression(_ classes: [String]) -> String {
        "its labels are \(classes.count) different decimals (\(classes.prefix(3).joined(separator: ", ")), …), which are measurements rather than classes. Sort them into a few classes, or write features with finetune extract and fit a regression to them."
    }
}
