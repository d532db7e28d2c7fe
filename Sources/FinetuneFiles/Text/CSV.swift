// Comma-separated values (RFC 4180): quoted fields, any line ending, an optional byte-order mark; other separators on request.

/// A table of text with named columns.
package struct CSV: Sendable {
    package let columns: [String]
    /// Each with as many fields as there are columns, and the line it began on.
    package let rows: [(line: Int, fields: [String])]

    /// - Parameters:
    ///   - name: The file's name, for messages.
    ///   - separator: What stands between fields.
    /// - Throws: `FileError` of kind `malformed` that names the line.
    package init(parsing bytes: [UInt8], name: String, separator: UInt8 = UInt8(ascii: ",")) throws {
        let records = try Self.records(in: bytes, name: name, separator: separator)
        guard let header = records.first else {
            throw FileError.malformed(name, "it is empty, a header line was expected")
        }
        columns = header.fields
        rows = Array(records.dropFirst())
        for row in rows where row.fields.count != columns.count {
            throw FileError.malformed(
                name,
                "line \(row.line) has \(row.fields.count == 1 ? "1 field" : "\(row.fields.count) fields"), the header \(columns.count). All lines need the same separator, and quotes around fields that contain it."
            )
        }
    }

    /// The fields of the first line that holds any; nil if there is none, or if it cannot be read.
    package static func firstRecord(of bytes: [UInt8], separator: UInt8) -> [String]? {
        (try? records(in: bytes, name: "", separator: separator, most: 1))?.first?.fields
    }

    /// - Parameter most: How many records are read.
    private static func records(in bytes: [UInt8], name: String, separator: UInt8, most: Int = .max) throws
        -> [(line: Int, fields: [String])]
    {
        var bytes = bytes[...]
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
        var records: [(line: Int, fields: [String])] = []
        var fields: [String] = []
        var field: [UInt8] = []
        var (line, start) = (1, 1)
        var isQuoted = false
        var wasQuoted = false
        func finishField() throws {
            guard let text = String(validating: field, as: UTF8.self) else {
                throw FileError.malformed(name, "line \(line) is not UTF-8 text")
            }
            fields.append(text)
            field = []
            wasQuoted = false
        }
        func finishRecord() throws {
            try finishField()
            if fields != [""] { records.append((start, fields)) }
            fields = []
        }
        var index = bytes.startIndex
        while index < bytes.endIndex, records.count < most {
            let byte = bytes[index]
            index += 1
            // Old Macs end lines with a carriage return alone.
            let isFollowed = index < bytes.endIndex && bytes[index] == UInt8(ascii: "\n")
            if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") && !isFollowed { line += 1 }
            if isQuoted {
                if byte != UInt8(ascii: "\"") {
                    field.append(byte)
                } else if index < bytes.endIndex, bytes[index] == UInt8(ascii: "\"") {
                    field.append(byte)
                    index += 1
                } else {
                    isQuoted = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\"") where !wasQuoted && field.allSatisfy { $0 == UInt8(ascii: " ") }:
                (isQuoted, wasQuoted, field) = (true, true, [])
            case separator: try finishField()
            case UInt8(ascii: "\r") where isFollowed: break
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                try finishRecord()
                start = line
            default: field.append(byte)
            }
        }
        guard !isQuoted else { throw FileError.malformed(name, "the quote opened on line \(start) is never closed") }
        if !field.isEmpty || !fields.isEmpty || wasQuoted { try finishRecord() }
        return records
    }

    /// One line of fields, quoted where they need it, with its line ending.
    package static func line(_ fields: [String]) -> String { fields.map(quoted).joined(separator: ",") + "\n" }

    /// A quote is doubled even where a combining mark follows, which makes it another character to Swift.
    private static func quoted(_ field: String) -> String {
        let field = field.withoutStandIns
        guard field.utf8.contains(where: { $0 == 0x22 || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D }) else { return field }
        let doubled = field.utf8.flatMap { $0 == 0x22 ? [$0, $0] : [$0] }
        return "\"" + String(decoding: doubled, as: UTF8.self) + "\""
    }
}
