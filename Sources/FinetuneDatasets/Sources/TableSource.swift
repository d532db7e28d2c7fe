// Tables of images: a CSV, or a text file with other separators, with a column of paths and one of labels.

internal import FinetuneFiles

/// A table with a header line, such as `path,label`, and optionally columns of splits and groups.
struct TableSource {
    private let path: String
    private let table: CSV
    private let columns: TableColumns
    private let tree: any FileTree
    private let folder: String
    private var remarks: [Finding] = []
    /// The column of splits, once its values have shown that it is one.
    private var usedSplits: Set<Int> = []
    /// What is said of a row that has more than one class, or none.
    private var severalClasses: String?

    /// - Parameter path: Of a file of the system.
    static func read(_ path: String) throws -> ImageDataset {
        try read(path, FileSystem.read(path, atMost: 4 << 30), FolderTree(Path.parent(of: path)), folder: "")
    }

    /// - Parameters:
    ///   - path: What the user gave.
    ///   - bytes: The table's.
    ///   - folder: The folder of the tree that its paths begin in.
    static func read(_ path: String, _ bytes: [UInt8], _ tree: any FileTree, folder: String) throws -> ImageDataset {
        var source = try TableSource(path, bytes, tree, folder: folder)
        return try source.read()
    }

    private init(_ path: String, _ bytes: [UInt8], _ tree: any FileTree, folder: String) throws {
        (self.path, self.tree, self.folder) = (path, tree, folder)
        let (converted, encoding) = TextEncoding.utf8(bytes)
        let text = Self.withoutSeparatorLine(converted)
        if let encoding { remarks.append(Finding(.reading, [], TableMessages.encoding(path, encoding))) }
        let separator = Self.separator(of: text)
        let header = CSV.firstRecord(of: text, separator: separator) ?? []
        let names = header.map { TableColumns.key(of: $0) }
        let columns = TableColumns(names)
        // Without a header the number of fields says nothing yet.
        if columns.path == nil, !header.isEmpty {
            throw DatasetError.unusable(
                path,
                TableMessages.noPaths(header.map(\.trimmed), separator: String(Unicode.Scalar(separator))))
        }
        table = try CSV(parsing: text, name: path, separator: separator)
        self.columns = columns
    }

    /// Excel may begin a table with a line such as `sep=;`. It is emptied, so that line numbers stay.
    private static func withoutSeparatorLine(_ text: [UInt8]) -> [UInt8] {
        let start = text.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        guard String(decoding: text.dropFirst(start).prefix(4), as: UTF8.self).lowercased() == "sep=" else {
            return text
        }
        return Array(text.dropFirst(start).drop { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") })
    }

    /// The separator with which the header makes most sense.
    private static func separator(of text: [UInt8]) -> UInt8 {
        let ranked = [",", ";", "\t", "|"].map { (text: Unicode.Scalar) in UInt8(ascii: text) }.enumerated().map {
            place, separator in
            let fields = CSV.firstRecord(of: text, separator: separator) ?? []
            let known = TableColumns(fields.map { TableColumns.key(of: $0) }).count
            return (separator: separator, known: known, fields: fields.count, place: place)
        }
        return ranked.max { ($0.known, $0.fields, $1.place) < ($1.known, $1.fields, $0.place) }?.separator
            ?? UInt8(ascii: ",")
    }

    private func value(_ row: Int, _ column: Int) -> String { table.rows[row].fields[column].trimmed }

    // MARK: Rows

    private mutating func read() throws -> ImageDataset {
        // Spreadsheets leave lines of separators at the end.
        let rows = table.rows.indices.filter { row in table.rows[row].fields.contains { !$0.trimmed.isEmpty } }
        guard let pathColumn = columns.path else {
            throw DatasetError.unusable(path, "it is empty. Expected the columns path,label and a row for each image.")
        }
        guard !rows.isEmpty else {
            throw DatasetError.unusable(path, "it has a header but no rows. Add a row for each image.")
        }
        let labels = labels(rows)
        let parts = try parts(rows)
        remarkUnusedColumns(labels.columns)
        remarkForms(labels.texts.compactMap(\.self))
        let classes = Set(labels.texts.compactMap(\.self)).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        let place = Dictionary(classes.enumerated().map { ($0.element, $0.offset) }) { first, _ in first }

        let step = max(1, rows.count / Self.sampleCount)
        let samples = stride(from: 0, to: rows.count, by: step).map { value(rows[$0], pathColumn) }.filter {
            !$0.isEmpty
        }
        var files = TableFiles(tree, folder: folder, samples: samples)
        if let base = files.base { remarks.append(Finding(.reading, [], TableMessages.base(base))) }

        var origins: [String?: ImageDataset.Origin] = [:]
        var items: [(item: ImageDataset.Item, line: Int)] = []
        items.reserveCapacity(rows.count)
        var missing: [(name: String, line: Int)] = []
        for (index, row) in rows.enumerated() {
            let line = table.rows[row].line
            let written = table.rows[row].fields[pathColumn]
            let name = written.trimmed
            guard !name.isEmpty else {
                throw DatasetError.unusable(
                    path,
                    "line \(line) names no file in the column '\(table.columns[pathColumn].trimmed)'. Add the name, or remove the line."
                )
            }
            // A name may begin or end with a blank, if a file is called so.
            let found = files.path(of: name) ?? (written == name ? nil : files.path(of: written))
            if found == nil { missing.append((name, line)) }
            let group = columns.group.map { value(row, $0) }.flatMap { $0.isEmpty ? nil : $0 }
            let origin = origins[group] ?? .init(.files(tree, folder: folder), group: group)
            origins[group] = origin
            let label = labels.texts[index].flatMap { place[$0] }
            items.append(
                (.init(found ?? TableFiles.portable(name), of: origin, label: label, part: parts[index]), line))
        }
        remarkRepeated(items, classes)
        if !missing.isEmpty {
            remarks.append(
                Finding(
                    .missingFile, missing.map(\.name), TableMessages.missing(missing, of: rows.count, files.candidates))
            )
        }
        remarks += ClassNames.similar(classes)
        if classes.count >= Self.fewLabels, classes.count == labels.texts.count(where: { $0 != nil }) {
            remarks.append(Finding(.smallClass, [], TableMessages.ownLabels(classes)))
        }
        // Classes sorted by name, then paths; the sort is stable for repeated paths.
        items.sort { ($0.item.label ?? .max, $0.item.name) < ($1.item.label ?? .max, $1.item.name) }
        return ImageDataset(
            path: path, classes: classes, items: items.map(\.item), remarks: remarks,
            noClasses: labels.columns.isEmpty && severalClasses == nil
                ? TableMessages.noLabels(table.columns.map(\.trimmed)) : nil,
            obstacle: obstacle(classes, missing, of: rows.count, files.candidates))
    }

    /// Why nothing can be learnt from the table, if that is so.
    private func obstacle(
        _ classes: [String], _ missing: [(name: String, line: Int)], of count: Int, _ candidates: [String]
    ) -> String? {
        if missing.count * 10 > count {
            return TableMessages.missing(missing, of: count, candidates) + " At most a tenth may be missing."
        }
        if let severalClasses { return severalClasses }
        // Spreadsheets of many countries write a comma before the fraction.
        let numbers = classes.compactMap { name in
            Double(name) ?? Double(String(name.map { $0 == "," ? "." : $0 }))
        }
        let decimals = numbers.filter { $0 != $0.rounded() }.count
        guard numbers.count == classes.count, classes.count >= Self.fewLabels, decimals * 2 > classes.count else {
            return nil
        }
        return TableMessages.regression(classes)
    }

    // MARK: Labels

    /// The label of each row, and the columns that it stands in.
    private mutating func labels(_ rows: [Int]) -> (texts: [String?], columns: Set<Int>) {
        if let column = columns.label ?? loneColumn(rows) {
            if columns.label == nil {
                remarks.append(
                    Finding(
                        .reading, [],
                        "The column '\(table.columns[column].trimmed)' is taken for the labels. To be sure, call it label."
                    ))
            }
            var texts: [String?] = []
            var unlabelled: [Int] = []
            for row in rows {
                let text = value(row, column)
                texts.append(TableColumns.isMissing(text) ? nil : text)
                if texts.last == .some(nil) { unlabelled.append(row) }
            }
            if !unlabelled.isEmpty, unlabelled.count < rows.count {
                let names = unlabelled.map { row in self.columns.path.map { value(row, $0) } ?? "" }
                let lines = unlabelled.map { table.rows[$0].line }
                remarks.append(Finding(.unlabelledRow, names, TableMessages.unlabelled(lines)))
            }
            return (texts, [column])
        }
        let columns = indicatorColumns(rows)
        guard columns.count >= 2 else { return (rows.map { _ in nil }, []) }
        var texts: [String?] = []
        for row in rows {
            let held = columns.filter { TableColumns.flag(value(row, $0)) == true }
            guard held.count == 1 else {
                severalClasses = TableMessages.severalClasses(
                    held.map { table.columns[$0].trimmed }, line: table.rows[row].line)
                return (rows.map { _ in nil }, [])
            }
            texts.append(table.columns[held[0]].trimmed)
        }
        remarks.append(Finding(.reading, [], TableMessages.indicators(columns.map { table.columns[$0].trimmed })))
        return (texts, Set(columns))
    }

    /// The only column without a role, if several rows share its values, as they do classes.
    private func loneColumn(_ rows: [Int]) -> Int? {
        let rest = table.columns.indices.filter { !columns.used.contains($0) && !table.columns[$0].trimmed.isEmpty }
        guard rest.count == 1, !rows.isEmpty else { return nil }
        let values = Set(rows.map { value($0, rest[0]) })
        return values.count >= 2 && values.count * 2 <= rows.count ? rest[0] : nil
    }

    /// Columns that hold nothing but 0 and 1: one a class.
    private func indicatorColumns(_ rows: [Int]) -> [Int] {
        guard !rows.isEmpty else { return [] }
        return table.columns.indices.filter { column in
            !columns.used.contains(column) && !table.columns[column].trimmed.isEmpty
                && rows.allSatisfy { row in ["0", "1", "0.0", "1.0"].contains(value(row, column)) }
        }
    }

    /// Swift compares texts by the characters that they show, so that labels in two Unicode forms are one class.
    private mutating func remarkForms(_ texts: [String]) {
        var forms: [String: String] = [:]
        var remarked: Set<String> = []
        for text in texts where text.utf8.contains(where: { $0 >= 0x80 }) {
            let known = forms[text] ?? text
            forms[text] = known
            if !known.utf8.elementsEqual(text.utf8), remarked.insert(text).inserted {
                remarks.append(
                    Finding(
                        .reading, [],
                        "The label '\(text)' is written in two Unicode forms, which are taken as one class."))
            }
        }
    }

    // MARK: Splits

    private mutating func parts(_ rows: [Int]) throws -> [Split.Part?] {
        if let column = columns.split, let parts = try parts(rows, in: column) {
            usedSplits = [column]
            return parts
        }
        guard !columns.flags.isEmpty else { return rows.map { _ in nil } }
        return try rows.map { row in
            var part: Split.Part = .train
            for (column, yes, no) in columns.flags {
                let text = value(row, column)
                guard let flag = TableColumns.flag(text) else {
                    throw DatasetError.unusable(
                        path,
                        "line \(table.rows[row].line) has '\(text)' in the column '\(table.columns[column].trimmed)', expected True or False."
                    )
                }
                if flag { part = yes } else if let no { part = no }
            }
            return part
        }
    }

    /// The splits that a column names; nil if it has other words and only its name speaks for splits.
    private mutating func parts(_ rows: [Int], in column: Int) throws -> [Split.Part?]? {
        var parts: [Split.Part?] = []
        var read: [String: Split.Part] = [:]
        let texts = rows.map { value($0, column) }
        let named = texts.count { Split.Part(name: $0) != nil }
        // The column's name alone says little: most of its values must be splits.
        let isSplit =
            TableColumns.key(of: table.columns[column]) == "split" || 2 * named > texts.count { !$0.isEmpty }
        for (row, text) in zip(rows, texts) {
            let part = Split.Part(name: text)
            if let part { read[text] = part }
            if part == nil, !text.isEmpty {
                guard isSplit else { return nil }
                throw DatasetError.unusable(
                    path,
                    "line \(table.rows[row].line) has the split '\(text)', expected train, val or test. Write one of these."
                )
            }
            parts.append(part)
        }
        let renamed = read.filter { $0.key.lowercased() != $0.value.rawValue }.sorted { $0.key < $1.key }
        if !renamed.isEmpty {
            let words = renamed.map { "'\($0.key)' is \($0.value.rawValue)" }.joined(separator: ", ")
            remarks.append(Finding(.reading, [], "Splits of the table: \(words)."))
        }
        return parts
    }

    // MARK: Remarks

    private mutating func remarkUnusedColumns(_ labels: Set<Int>) {
        var used = labels.union(usedSplits).union([columns.path, columns.group].compactMap(\.self))
        if usedSplits.isEmpty { used.formUnion(columns.flags.map(\.column)) }
        let unused = table.columns.indices.filter { !used.contains($0) }.map { table.columns[$0].trimmed }
        let named = unused.filter { !$0.isEmpty && !$0.lowercased().hasPrefix("unnamed:") }
        if !named.isEmpty { remarks.append(Finding(.unusedColumn, named, TableMessages.unused(named))) }
    }

    /// Files that several rows list, first of all under several labels.
    private mutating func remarkRepeated(_ items: [(item: ImageDataset.Item, line: Int)], _ classes: [String]) {
        var first: [String: Int] = [:]
        var repeated: [String: [Int]] = [:]
        for (index, entry) in items.enumerated() {
            if let known = first.updateValue(first[entry.item.name] ?? index, forKey: entry.item.name) {
                repeated[entry.item.name, default: [known]].append(index)
            }
        }
        for (name, places) in repeated.sorted(by: { $0.value[0] < $1.value[0] }) {
            let listed = places.map { place in
                (label: items[place].item.label.map { classes[$0] }, line: items[place].line)
            }
            remarks.append(Finding(.repeatedRow, [name], TableMessages.repeated(name, listed), surplus: [name]))
        }
    }

    /// Rows that show where files lie.
    private static let sampleCount = 20
    /// So many labels that are decimals, or that no two images share, are hardly classes.
    private static let fewLabels = 10
}
