// Zip and tar archives byte by byte, so that tests can have any of their faults.

import FinetuneFiles

enum Archives {
    struct Member {
        var name: [UInt8]
        var content: [UInt8] = []
        /// Of a zip: 0 for stored, 8 for deflated.
        var method: UInt16 = 0
        var flags: UInt16 = 0
        /// Of a zip: the mode of Unix.
        var mode: UInt32 = 0o100_644
        /// Of a tar: its type and where a link leads.
        var type: Character = "0"
        var target = ""

        init(_ name: String, _ content: String = "", method: UInt16 = 0) {
            (self.name, self.content, self.method) = (Array(name.utf8), Array(content.utf8), method)
        }

        init(link name: String, to target: String, type: Character = "2") {
            (self.name, self.target, self.type) = (Array(name.utf8), target, type)
        }
    }

    /// Bytes as deflate stores them.
    private static func deflated(_ bytes: [UInt8]) -> [UInt8] {
        let count = UInt16(bytes.count)
        return [1] + count.littleEndianBytes + (~count).littleEndianBytes + bytes
    }

    private static func checksum(_ bytes: [UInt8]) -> [UInt8] {
        ZipWriter.checksum(bytes.span.bytes, continuing: 0).littleEndianBytes
    }

    static func gzip(_ bytes: [UInt8]) -> [UInt8] {
        var blocks: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 60_000) {
            let piece = bytes[start..<min(bytes.count, start + 60_000)]
            let count = UInt16(piece.count)
            blocks +=
                [start + 60_000 >= bytes.count ? 1 : 0] + count.littleEndianBytes + (~count).littleEndianBytes + piece
        }
        return [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] + blocks + checksum(bytes) + UInt32(bytes.count).littleEndianBytes
    }

    /// - Parameter host: The system that made it: 3 for Unix, 0 for MS-DOS and Windows.
    static func zip(_ members: [Member], host: UInt8 = 3) -> [UInt8] {
        var (file, directory): ([UInt8], [UInt8]) = ([], [])
        for member in members {
            let data = member.method == 8 ? deflated(member.content) : member.content
            let common =
                [20, 0] + member.flags.littleEndianBytes + member.method.littleEndianBytes + [0, 0, 0x21, 0]
                + checksum(member.content) + UInt32(data.count).littleEndianBytes
                + UInt32(member.content.count).littleEndianBytes + UInt16(member.name.count).littleEndianBytes + [0, 0]
            directory += [0x50, 0x4B, 1, 2, 20, host] + common + [0, 0, 0, 0, 0, 0]
            directory += (member.mode << 16).littleEndianBytes + UInt32(file.count).littleEndianBytes + member.name
            file += [0x50, 0x4B, 3, 4] + common + member.name + data
        }
        let count = UInt16(members.count).littleEndianBytes
        return file + directory + [0x50, 0x4B, 5, 6, 0, 0, 0, 0] + count + count
            + UInt32(directory.count).littleEndianBytes + UInt32(file.count).littleEndianBytes + [0, 0]
    }

    /// How a tar archive writes names that its field is too short for.
    enum LongNames: CaseIterable { case gnu, pax, prefix }

    static func tar(_ members: [Member], longNames: LongNames = .pax) -> [UInt8] {
        var file: [UInt8] = []
        for member in members {
            var (name, prefix): ([UInt8], [UInt8]) = (member.name, [])
            if name.count > 100 {
                switch longNames {
                case .gnu: file += entry(Array("././@LongLink".utf8), name + [0], "L", "", [])
                case .pax:
                    // A record's length counts its own digits.
                    let rest = Array(" path=".utf8) + name + [10]
                    let count = rest.count + String(rest.count + 3).utf8.count
                    file += entry(Array("PaxHeaders/x".utf8), Array(String(count).utf8) + rest, "x", "", [])
                case .prefix:
                    let slash = name[..<100].lastIndex(of: UInt8(ascii: "/")) ?? 0
                    (prefix, name) = (Array(name[..<slash]), Array(name[(slash + 1)...]))
                }
            }
            file += entry(name, member.content, member.type, member.target, prefix)
        }
        return file + [UInt8](repeating: 0, count: 1024)
    }

    /// Gives every block of a tar archive that has a header's mark the checksum of its bytes.
    static func correctChecksums(_ file: inout [UInt8]) {
        for start in stride(from: 0, to: file.count - 511, by: 512)
        where file[start + 257..<start + 262].elementsEqual(Array("ustar".utf8)) {
            for place in start + 148..<start + 156 { file[place] = 0x20 }
            let sum = file[start..<start + 512].reduce(0) { $0 + Int($1) }
            let digits = Array(String(sum, radix: 8).utf8)
            let field = [UInt8](repeating: 0x30, count: 6 - digits.count) + digits + [0, 0x20]
            file.replaceSubrange(start + 148..<start + 156, with: field)
        }
    }

    private static func entry(
        _ name: [UInt8], _ content: [UInt8], _ type: Character, _ target: String, _ prefix: [UInt8]
    ) -> [UInt8] {
        func field(_ bytes: [UInt8], _ count: Int) -> [UInt8] {
            Array(bytes.prefix(count)) + [UInt8](repeating: 0, count: max(0, count - bytes.count))
        }
        func octal(_ value: Int, _ count: Int) -> [UInt8] {
            let digits = Array(String(value, radix: 8).utf8)
            return [UInt8](repeating: 0x30, count: count - 1 - digits.count) + digits + [0]
        }
        let start =
            field(name, 100) + octal(0o644, 8) + octal(0, 8) + octal(0, 8) + octal(content.count, 12) + octal(0, 12)
        let end =
            Array(String(type).utf8) + field(Array(target.utf8), 100) + Array("ustar\u{0}00".utf8) + field([], 80)
            + field(prefix, 155) + field([], 12)
        let sum = start.reduce(8 * 0x20) { $0 + Int($1) } + end.reduce(0) { $0 + Int($1) }
        let padding = (512 - content.count % 512) % 512
        return start + octal(sum, 8) + end + content + [UInt8](repeating: 0, count: padding)
    }
}
