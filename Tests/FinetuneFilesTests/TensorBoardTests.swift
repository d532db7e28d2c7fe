// Event files byte by byte: RFC 3720's checksums, TFRecord's frames, the fields of tensorflow.Event.

import TestSupport
import Testing

@testable import FinetuneFiles

@Suite("A TensorBoard log") struct TensorBoardTests {
    @Test("has the checksums of RFC 3720")
    func checksums() {
        #expect(CRC32C.checksum(of: [UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(CRC32C.checksum(of: [UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(CRC32C.checksum(of: Array(0..<32)) == 0x46DD_794E)
        #expect(CRC32C.checksum(of: Array("123456789".utf8)) == 0xE306_9283)
    }

    /// The data of each record, up to the first that is not whole.
    private func records(_ bytes: [UInt8]) -> [[UInt8]] {
        var (records, rest): ([[UInt8]], ArraySlice<UInt8>) = ([], bytes[...])
        while rest.count >= 16 {
            let count = rest.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
            guard rest.count >= count + 16 else { break }
            let data = Array(rest.dropFirst(12).prefix(count))
            #expect(Array(rest.prefix(count + 16)) == TensorBoardLog.frame(data))
            records.append(data)
            rest = rest.dropFirst(count + 16)
        }
        return records
    }

    @Test("is a version, and a summary for each step")
    func events() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        let log = try TensorBoardLog(Path.join(folder, "run"), continuing: false)
        log.append([("loss", 0.5), ("rate", 2)], step: 3, isFirst: true)
        #expect(log.failure == nil)
        let files = try FileSystem.list(Path.join(folder, "run"))
        #expect(files.count == 1 && files[0].hasPrefix("events.out.tfevents."))
        let found = records(try FileSystem.read(Path.join(folder, "run/\(files[0])")))
        #expect(found.count == 2)
        // After the time's nine bytes: step 0, then field 3 with the version.
        #expect(found[0].dropFirst(9) == [0x10, 0, 0x1A, 13] + Array("brain.Event:2".utf8)[...])
        // Step 3, then field 5 with a value of a tag and four bytes each.
        let loss: [UInt8] = [0x0A, 11, 0x0A, 4] + Array("loss".utf8) + [0x15, 0, 0, 0, 0x3F]
        let rate: [UInt8] = [0x0A, 11, 0x0A, 4] + Array("rate".utf8) + [0x15, 0, 0, 0, 0x40]
        #expect(Array(found[1].dropFirst(9)) == [0x10, 3, 0x2A, 26] + loss + rate)
    }

    @Test("goes on in a file of its own and says from where; a new run removes the old one's")
    func continuing() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        let name = "events.out.tfevents.1.finetune.4711"
        try AtomicFile.write("old", to: Path.join(folder, name))
        do {
            let log = try TensorBoardLog(folder, continuing: true)
            log.append([("loss", 1)], step: 7, isFirst: true)
            log.append([("loss", 1)], step: 8, isFirst: false)
        }
        let files = try FileSystem.list(folder)
        #expect(files.count == 2 && files.contains(name))
        let newer = try #require(files.first { $0 != name })
        let found = records(try FileSystem.read(Path.join(folder, newer)))
        #expect(found.count == 4 && found[1].dropFirst(9) == [0x10, 7, 0x3A, 2, 0x08, 1])
        // What another program wrote stays, and so does what a link leads to.
        let other = "events.out.tfevents.1.other"
        try AtomicFile.write("theirs", to: Path.join(folder, other))
        TensorBoardLog.remove(folder)
        #expect(try FileSystem.list(folder) == [other])
        FileSystem.remove(Path.join(folder, other))
        TensorBoardLog.remove(folder)
        #expect(FileSystem.kind(of: folder) == nil)
    }
}
