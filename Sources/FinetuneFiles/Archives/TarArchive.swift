// Tar archives (POSIX.1-2001 pax, ustar, GNU and Unix v7): a header of 512 bytes before each file, names in any length.

/// A walk through the headers of a tar archive.
struct TarArchive {
    enum Kind: Equatable {
        case file, folder
        /// A link to a path, from the folder that the link lies in.
        case link(String)
        /// Another name of an earlier file, by its path in the archive.
        case hardLink(String)
        /// A device, a pipe or a file with holes.
        case other
    }

    struct Entry {
        let name: String
        let kind: Kind
        /// Where the content is.
        let offset: Int
        let count: Int
    }

    private let source: ByteSource
    private let name: String

    static let blockCount = 512
    /// The longest name or extended header.
    private static let longest = 1 << 20

    init(_ source: ByteSource, name: String) { (self.source, self.name) = (source, name) }

    /// Whether bytes begin like a tar archive: with a header whose checksum is right.
    static func matches(_ head: [UInt8]) -> Bool {
        head.count >= blockCount && head[0] != 0 && hasChecksum(head[..<blockCount])
    }

    /// Calls `body` with every entry.
    ///
    /// - Returns: Whether the archive has its end mark, a block of zeros; one without may have been cut short.
    /// - Throws: `FileError` for an archive that is damaged or cut short.
    func visit(_ body: (Entry) throws -> Void) throws -> Bool {
        var position = 0
        // What an extended header says of the next entry.
        var (longName, longTarget): (String?, String?) = (nil, nil)
        var longCount: Int?
        var isSparse = false
        while position < source.count {
            guard let block = try source.bytes(at: position, count: Self.blockCount) else { throw cut }
            if block.allSatisfy({ $0 == 0 }) { return true }
            guard Self.hasChecksum(block[...]), let declared = Self.number(block[124..<136]) else {
                throw FileError.malformed(
                    name, "as a tar archive, it is damaged at byte \(position). Download it again.")
            }
            let type = Unicode.Scalar(block[156])
            let isExtension = "xgLK".unicodeScalars.contains(type)
            let count = isExtension ? declared : longCount ?? declared
            let start = position + Self.blockCount
            guard count >= 0, count <= source.count - start else { throw cut }
            position = start + (count + Self.blockCount - 1) / Self.blockCount * Self.blockCount
            if isExtension {
                guard count <= Self.longest, let content = try source.bytes(at: start, count: count) else {
                    throw FileError.malformed(name, "as a tar archive, it has a name of \(count) bytes.")
                }
                switch type {
                case "L": longName = Self.text(content[...])
                case "K": longTarget = Self.text(content[...])
                case "x":
                    for (key, value) in Self.records(content) {
                        switch key {
                        case "path": longName = Path.text(of: value)
                        case "linkpath": longTarget = Path.text(of: value)
                        case "size": longCount = Int(String(decoding: value, as: UTF8.self))
                        default: if key.hasPrefix("GNU.sparse") { isSparse = true }
                        }
                    }
                default: break  // A global header says nothing about names.
                }
                continue
            }
            let target = longTarget ?? Self.text(block[157..<257])
            let shortName = longName ?? Self.shortName(block)
            let kind: Kind =
                switch type {
                case "0", "7", "\0": isSparse ? .other : shortName.utf8.last == UInt8(ascii: "/") ? .folder : .file
                case "5": .folder
                case "1": .hardLink(target)
                case "2": .link(target)
                default: .other
                }
            try body(Entry(name: shortName, kind: kind, offset: start, count: count))
            (longName, longTarget, longCount, isSparse) = (nil, nil, nil, false)
        }
        return false
    }

    private var cut: FileError {
        .malformed(name, "as a tar archive, it is cut short. Download it again.")
    }

    // MARK: Fields

    /// Text up to the first zero.
    private static func text(_ field: ArraySlice<UInt8>) -> String { Path.text(of: field.prefix { $0 != 0 }) }

    private static func shortName(_ block: [UInt8]) -> String {
        let name = block[..<100].prefix { $0 != 0 }
        // GNU has other things where POSIX has the start of a long name.
        guard block[257..<263].elementsEqual(Array("ustar\0".utf8)) else { return Path.text(of: name) }
        let prefix = block[345..<500].prefix { $0 != 0 }
        return Path.text(of: prefix.isEmpty ? Array(name) : prefix + [UInt8(ascii: "/")] + name)
    }

    /// An octal number, or one of big-endian bytes after the mark 0x80; nil if it is neither or too large.
    private static func number(_ field: ArraySlice<UInt8>) -> Int? {
        if field.first == 0x80 {
            var value = 0
            for byte in field.dropFirst() {
                guard value < 1 << 54 else { return nil }
                value = value << 8 | Int(byte)
            }
            return value
        }
        var value = 0
        for byte in field.drop(while: { $0 == 0x20 }).prefix(while: { $0 != 0 && $0 != 0x20 }) {
            guard (0x30...0x37).contains(byte), value < 1 << 54 else { return nil }
            value = value << 3 | Int(byte - 0x30)
        }
        return value
    }

    /// Whether the sum of a header's bytes, its own field taken for blanks, is the number that stands there.
    private static func hasChecksum(_ block: ArraySlice<UInt8>) -> Bool {
        let start = block.startIndex
        guard let declared = number(block[start + 148..<start + 156]) else { return false }
        var (unsigned, signed) = (0, 0)
        for (place, byte) in block.enumerated() {
            let byte = (148..<156).contains(place) ? 0x20 : byte
            unsigned += Int(byte)
            signed += Int(Int8(bitPattern: byte))
        }
        return declared == unsigned || declared == signed
    }

    /// The records of an extended header: `LENGTH KEY=VALUE`, a line each.
    private static func records(_ bytes: [UInt8]) -> [(key: String, value: [UInt8])] {
        var records: [(String, [UInt8])] = []
        var rest = bytes[...]
        while let blank = rest.firstIndex(of: 0x20),
            let count = Int(String(decoding: rest[..<blank], as: UTF8.self)), count > blank - rest.startIndex + 1,
            count <= rest.count
        {
            let record = rest[(blank + 1)..<(rest.startIndex + count - 1)]
            if let equals = record.firstIndex(of: UInt8(ascii: "=")) {
                records.append((String(decoding: record[..<equals], as: UTF8.self), Array(record[(equals + 1)...])))
            }
            rest = rest.dropFirst(count)
        }
        return records
    }
}
