// Zip archives as NumPy writes and reads them (PKWARE APPNOTE 6.3): stored or deflated members, zip64 sizes.

/// The members of an archive, read one at a time.
package struct ZipArchive: Sendable {
    package struct Member: Sendable {
        package let name: String
        package let byteCount: Int
        fileprivate let method: UInt16
        package let compressedCount: Int
        fileprivate let headerOffset: Int
        fileprivate let checksum: UInt32
        /// Whether it is a symbolic link, whose content is a path.
        package let isLink: Bool
    }

    package let members: [Member]
    private let source: ByteSource
    private let name: String

    /// The largest factor by which deflate can shrink data, rounded up: more is a bomb.
    private static let maximumRatio = 1100
    private static let endCount = 22
    private static let locatorCount = 20
    private static let maximumDirectory = 64 << 20
    /// The most members of an archive of arrays.
    package static let fewMembers = 10_000

    package init(_ bytes: [UInt8], name: String) throws { try self.init(.bytes(bytes), name: name) }

    /// - Parameter limit: The most members that are read.
    /// - Throws: `FileError` of kind `malformed` for an archive that is damaged or plays tricks.
    package init(_ source: ByteSource, name: String, atMost limit: Int = fewMembers) throws {
        self.source = source
        self.name = name
        func fail(_ reason: String) -> FileError { .malformed(name, "as a zip archive, \(reason)") }
        let cut = fail("its directory is cut short")
        // The directory's end is found from behind; a comment of up to 64 KB may follow it.
        let tailCount = min(source.count, Self.endCount + Self.locatorCount + 65_535)
        let tailStart = source.count - tailCount
        guard let tail = try source.bytes(at: tailStart, count: tailCount), let end = Self.endOfDirectory(tail) else {
            throw fail("it has no directory, so it is cut short. Download it again.")
        }
        var reader = ByteReader(tail, at: end + 10)
        guard let shortCount = reader.number(UInt16.self), let shortSize = reader.number(UInt32.self),
            let shortOffset = reader.number(UInt32.self)
        else { throw cut }
        var (count, size, offset) = (Int(shortCount), Int(shortSize), Int(shortOffset))
        let locator = end - Self.locatorCount
        if locator >= 0, tail[locator...].starts(with: [0x50, 0x4B, 6, 7]) {
            reader.position = locator + 8
            guard let position = reader.number(UInt64.self).flatMap({ Int(exactly: $0) }),
                let record = try source.bytes(at: position, count: 56), record.starts(with: [0x50, 0x4B, 6, 6])
            else { throw cut }
            var wide = ByteReader(record, at: 32)
            guard let wideCount = wide.number(UInt64.self).flatMap({ Int(exactly: $0) }),
                let wideSize = wide.number(UInt64.self).flatMap({ Int(exactly: $0) }),
                let wideOffset = wide.number(UInt64.self).flatMap({ Int(exactly: $0) })
            else { throw cut }
            (count, size, offset) = (wideCount, wideSize, wideOffset)
        }
        // A name takes no more than some hundred bytes.
        guard count <= limit, size <= max(Self.maximumDirectory, limit * 400) else {
            throw fail("it declares \(count) members, at most \(limit) are read")
        }
        guard let directory = try source.bytes(at: offset, count: size) else { throw cut }
        var members: [Member] = []
        var names: Set<String> = []
        reader = ByteReader(directory)
        for _ in 0..<count {
            let member = try Self.member(&reader, fail)
            guard names.insert(member.name).inserted else { throw fail("the member '\(member.name)' is there twice") }
            guard !Path.isAbsolute(member.name), !Path.parts(of: member.name).contains("..") else {
                throw fail("the member '\(member.name)' points outside")
            }
            guard member.byteCount <= 1 << 26 || member.byteCount / Self.maximumRatio <= member.compressedCount else {
                throw fail(
                    "the member '\(member.name)' declares \(member.byteCount) bytes in \(member.compressedCount)")
            }
            members.append(member)
        }
        self.members = members
        let ordered = members.sorted { $0.headerOffset < $1.headerOffset }
        for (first, second) in zip(ordered, ordered.dropFirst()) {
            // Sizes may be as large as numbers are: nothing is added to one.
            guard first.compressedCount <= second.headerOffset - first.headerOffset - Self.headerCount else {
                throw fail("the members '\(first.name)' and '\(second.name)' overlap")
            }
        }
    }

    /// Bytes of a member's own header, without its name.
    private static let headerCount = 30

    private static func endOfDirectory(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= endCount else { return nil }
        return (0...bytes.count - endCount).last { bytes[$0...].starts(with: [0x50, 0x4B, 5, 6]) }
    }

    private static func member(_ reader: inout ByteReader, _ fail: (String) -> FileError) throws -> Member {
        let cut = fail("its directory is cut short")
        guard reader.take(4)?.elementsEqual([0x50, 0x4B, 1, 2]) == true, let makers = reader.number(UInt32.self),
            let flags = reader.number(UInt16.self), let method = reader.number(UInt16.self), reader.take(4) != nil,
            let checksum = reader.number(UInt32.self), let shortCompressed = reader.number(UInt32.self),
            let shortSize = reader.number(UInt32.self), let nameCount = reader.number(UInt16.self),
            let extraCount = reader.number(UInt16.self), let commentCount = reader.number(UInt16.self),
            reader.take(4) != nil, let attributes = reader.number(UInt32.self),
            let shortOffset = reader.number(UInt32.self),
            let nameBytes = reader.take(Int(nameCount)), let extra = reader.take(Int(extraCount)),
            reader.take(Int(commentCount)) != nil
        else { throw cut }
        // MS-DOS and Windows write names in the letters of the IBM PC, if they do not mark them as UTF-8.
        let isUTF8 = flags & 0x800 != 0 || String(validating: nameBytes, as: UTF8.self) != nil
        let isFromWindows = makers >> 8 & 0xFF == 0
        let name = isUTF8 || !isFromWindows ? Path.text(of: nameBytes) : TextEncoding.codePage437(nameBytes)
        guard flags & 1 == 0 else { throw fail("the member '\(name)' is encrypted") }
        guard method == 0 || method == 8 else {
            throw fail("the member '\(name)' is compressed by method \(method), only deflate is read")
        }
        var (size, compressed, offset) = (UInt64(shortSize), UInt64(shortCompressed), UInt64(shortOffset))
        var extraReader = ByteReader(Array(extra))
        while let kind = extraReader.number(UInt16.self), let count = extraReader.number(UInt16.self),
            let field = extraReader.take(Int(count))
        {
            guard kind == 1 else { continue }
            var wide = ByteReader(Array(field))
            if shortSize == .max { size = wide.number() ?? .max }
            if shortCompressed == .max { compressed = wide.number() ?? .max }
            if shortOffset == .max { offset = wide.number() ?? .max }
        }
        guard let size = Int(exactly: size), let compressed = Int(exactly: compressed),
            let offset = Int(exactly: offset)
        else {
            throw fail("the member '\(name)' has an impossible size")
        }
        return Member(
            name: name, byteCount: size, method: method, compressedCount: compressed, headerOffset: offset,
            checksum: checksum, isLink: makers >> 8 & 0xFF == Self.unix && attributes >> 28 == Self.linkType)
    }

    /// The system that wrote an archive, and what Unix calls a symbolic link.
    private static let (unix, linkType): (UInt32, UInt32) = (3, 0xA)

    package func member(_ name: String) -> Member? { members.first { $0.name == name } }

    /// The content of a member, inflated and checked.
    package func content(of member: Member) throws -> [UInt8] {
        func fail(_ reason: String) -> FileError { .malformed(name, "its member '\(member.name)' \(reason)") }
        guard let start = try start(of: member),
            let data = try source.bytes(at: start, count: member.compressedCount)
        else { throw fail("is cut short") }
        let content: [UInt8]?
        if member.method == 0 {
            content = data
        } else {
            content = Zlib.inflated(data[...], .raw, limit: member.byteCount, expected: member.byteCount)
        }
        guard let content, content.count == member.byteCount,
            Zlib.checksum(content.span.bytes) == member.checksum
        else { throw fail("is damaged") }
        return content
    }

    /// The first bytes of a member, or all if it is shorter; fewer of one that is damaged.
    package func head(of member: Member, count: Int) throws -> [UInt8] {
        // Deflate may store bytes as they are, with some bytes more.
        let compressed = min(member.compressedCount, member.method == 0 ? count : 2 * count + 1024)
        guard let start = try start(of: member), let data = try source.bytes(at: start, count: compressed) else {
            return []
        }
        return member.method == 0 ? data : Zlib.start(of: data, .raw, count: count)
    }

    /// Where the data of a member begin; nil if it has no header there.
    private func start(of member: Member) throws -> Int? {
        guard let header = try source.bytes(at: member.headerOffset, count: Self.headerCount),
            header.starts(with: [0x50, 0x4B, 3, 4])
        else { return nil }
        var reader = ByteReader(header, at: 26)
        return member.headerOffset + Self.headerCount + Int(reader.number(UInt16.self) ?? 0)
            + Int(reader.number(UInt16.self) ?? 0)
    }
}

/// Writes a zip archive of stored members whose sizes need not be known beforehand.
package struct ZipWriter: ~Copyable {
    private struct Entry {
        var name: String
        var offset: Int
        var byteCount = 0
        var checksum: UInt32 = 0
    }

    private var file: AtomicFile
    private var entries: [Entry] = []
    private static let headerCount = 30

    package init(_ path: String) throws { file = try AtomicFile(path) }

    /// Begins a member; what is written until the next one is its content.
    package mutating func begin(_ name: String) throws {
        try end()
        entries.append(Entry(name: name, offset: file.position))
        try file.write(Self.header(entries[entries.count - 1], isCentral: false))
    }

    package mutating func write(_ bytes: RawSpan) throws {
        entries[entries.count - 1].checksum = Zlib.checksum(bytes, continuing: entries[entries.count - 1].checksum)
        entries[entries.count - 1].byteCount += bytes.byteCount
        try file.write(bytes)
    }

    package mutating func write(_ bytes: [UInt8]) throws { try write(bytes.span.bytes) }

    /// Replaces the first bytes of the current member, which were given as `old`.
    package mutating func replaceStart(_ old: [UInt8], by new: [UInt8], rest: UInt32) throws {
        let entry = entries[entries.count - 1]
        entries[entries.count - 1].checksum = rest
        try file.patch(at: entry.offset + Self.headerCount + entry.name.utf8.count + 20, new)
    }

    private mutating func end() throws {
        guard let entry = entries.last else { return }
        try file.patch(at: entry.offset, Self.header(entry, isCentral: false))
    }

    /// Writes the directory and puts the archive in its place.
    package consuming func commit() throws {
        try end()
        let start = file.position
        for entry in entries { try file.write(Self.header(entry, isCentral: true)) }
        let size = file.position - start
        let wideEnd = file.position
        let count = UInt64(entries.count)
        try file.write(
            [0x50, 0x4B, 6, 6] + UInt64(44).littleEndianBytes + UInt16(45).littleEndianBytes
                + UInt16(45).littleEndianBytes
                + UInt32(0).littleEndianBytes + UInt32(0).littleEndianBytes + count.littleEndianBytes
                + count.littleEndianBytes + UInt64(size).littleEndianBytes + UInt64(start).littleEndianBytes)
        try file.write(
            [0x50, 0x4B, 6, 7] + UInt32(0).littleEndianBytes + UInt64(wideEnd).littleEndianBytes
                + UInt32(1).littleEndianBytes)
        try file.write(
            [0x50, 0x4B, 5, 6, 0, 0, 0, 0] + UInt16(truncatingIfNeeded: count).littleEndianBytes
                + UInt16(truncatingIfNeeded: count).littleEndianBytes + UInt32.max.littleEndianBytes
                + UInt32.max.littleEndianBytes + [0, 0])
        try file.commit()
    }

    /// A local or central header with zip64 sizes; the date is 1 January 1980, so that bytes repeat.
    private static func header(_ entry: Entry, isCentral: Bool) -> [UInt8] {
        let name = Array(entry.name.utf8)
        let size = UInt64(entry.byteCount).littleEndianBytes
        var extra = UInt16(1).littleEndianBytes + UInt16(isCentral ? 24 : 16).littleEndianBytes + size + size
        if isCentral { extra += UInt64(entry.offset).littleEndianBytes }
        var header: [UInt8] = isCentral ? [0x50, 0x4B, 1, 2, 45, 0] : [0x50, 0x4B, 3, 4]
        header += [45, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]
        header += entry.checksum.littleEndianBytes + UInt32.max.littleEndianBytes + UInt32.max.littleEndianBytes
        header += UInt16(name.count).littleEndianBytes + UInt16(extra.count).littleEndianBytes
        if isCentral { header += [UInt8](repeating: 0, count: 10) + UInt32.max.littleEndianBytes }
        return header + name + extra
    }
}

extension ZipWriter {
    /// The CRC-32 of `first` followed by bytes whose own checksum and count are known.
    package static func checksum(of first: [UInt8], then rest: UInt32, count: Int) -> UInt32 {
        Zlib.combined(Zlib.checksum(first.span.bytes), rest, count)
    }

    package static func checksum(_ bytes: RawSpan, continuing previous: UInt32) -> UInt32 {
        Zlib.checksum(bytes, continuing: previous)
    }
}
