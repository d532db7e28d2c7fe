// Files: arrays and archives of NumPy, JSON, CSV, whole writes; and damaged ones, which must never crash.

import FinetuneFiles
import TestSupport
import Testing

/// A repeatable sequence for damage.
private struct Damage: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
    }

    /// `bytes` with a few changed, or cut.
    mutating func apply(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &self) where !bytes.isEmpty {
            bytes[Int.random(in: 0..<bytes.count, using: &self)] = UInt8.random(in: 0...255, using: &self)
        }
        return Bool.random(using: &self) ? bytes : Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &self)))
    }
}

@Suite("NumPy files") struct NumpyTests {
    @Test(
        "are read in every type and byte order",
        arguments: ["u1", "i2", "big-i4", "i8", "f2", "f4", "big-f8", "fortran"])
    func types(_ name: String) throws {
        let array = try NumpyArray(parsing: FileSystem.read(Fixtures.path("\(name).npy")), name: name)
        #expect(array.shape == [2, 3, 4])
        #expect(array.integers == Array(0..<24))
        #expect(array.floats == (0..<24).map { Float($0) })
    }

    @Test("are written with a header that is read back")
    func header() throws {
        let bytes = NumpyArray.header("<i8", shape: [3]) + [5, -6, 7].flatMap { Int64($0).littleEndianBytes }
        let array = try NumpyArray(parsing: bytes, name: "written")
        #expect(array.integers == [5, -6, 7] && array.shape == [3])
        #expect(NumpyArray.header("<f4", shape: [1_000_000, 2048], byteCount: 192).count == 192)
    }

    @Test("give their members, stored or compressed")
    func archives() throws {
        for (name, count) in [("stored", 24), ("compressed", 1800)] {
            let archive = try ZipArchive(FileSystem.read(Fixtures.path("\(name).npz")), name: name)
            let member = try #require(archive.member("images.npy"))
            #expect(try NumpyArray(parsing: archive.content(of: member), name: name).count == count)
            let labels = try #require(archive.member("labels.npy"))
            #expect(try NumpyArray(parsing: archive.content(of: labels), name: name).integers == [1, 0])
        }
    }

    @Test(
        "that are damaged are refused or read, and never crash",
        arguments: ["stored.npz", "compressed.npz", "f4.npy", "fortran.npy"])
    func damaged(_ name: String) throws {
        let good = try FileSystem.read(Fixtures.path(name))
        var damage = Damage(state: 1)
        for _ in 0..<3000 {
            let bytes = damage.apply(good)
            do {
                if name.hasSuffix("npy") {
                    _ = try NumpyArray(parsing: bytes, name: name).floats
                } else {
                    let archive = try ZipArchive(bytes, name: name)
                    for member in archive.members {
                        _ = try NumpyArray(parsing: archive.content(of: member), name: name)
                    }
                }
            } catch let error as FileError {
                #expect(error.kind == .malformed)
            }
        }
    }

    @Test("written as an archive are whole, with the streamed member patched")
    func writer() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        let path = Path.join(folder, "a.npz")
        var archive = try ZipWriter(path)
        let provisional = NumpyArray.header("<i8", shape: [0], byteCount: 128)
        let numbers = [7, 8].flatMap { Int64($0).littleEndianBytes }
        try archive.begin("x.npy")
        try archive.write(provisional)
        try archive.write(numbers)
        let final = NumpyArray.header("<i8", shape: [2], byteCount: 128)
        let rest = ZipWriter.checksum(numbers.span.bytes, continuing: 0)
        try archive.replaceStart(
            provisional, by: final, rest: ZipWriter.checksum(of: final, then: rest, count: numbers.count))
        try archive.begin("names.npy")
        try NumpyArray.encode(["é", "ab"]) { try archive.write($0) }
        try archive.commit()
        let read = try ZipArchive(FileSystem.read(path), name: path)
        #expect(read.members.map(\.name) == ["x.npy", "names.npy"])
        #expect(try NumpyArray(parsing: read.content(of: read.members[0]), name: "x").integers == [7, 8])
        // "é" and a zero, "a" and "b", four bytes each.
        let texts = [0xE9, 0, 0, 0, 0, 0, 0, 0, 0x61, 0, 0, 0, 0x62, 0, 0, 0] as [UInt8]
        #expect(Array(try read.content(of: read.members[1]).suffix(16)) == texts)
        #expect(try FileSystem.list(folder) == ["a.npz"])
    }
}

@Suite("JSON") struct JSONTests {
    @Test("comes back as it was written")
    func roundTrip() throws {
        let value: JSON = ["a": [1, -2.5, true, .null, "é\"\\\n\u{1}"], "b": [:], "c": []]
        #expect(try JSON(parsing: value.text) == value)
        #expect(try JSON(parsing: value.prettyText) == value)
    }

    @Test(
        "is refused where it is none",
        arguments: [
            "", "{", "[1,]", "{\"a\":1,\"a\":2}", "01", "1 2", "\"\\x\"", "nul", "[\"\u{1}\"]", "-", "1.",
            "\"\\ud800\"",
        ])
    func refused(_ text: String) { #expect(throws: JSON.SyntaxError.self) { try JSON(parsing: text) } }

    @Test("may hold Python's NaN and escapes of pairs")
    func python() throws {
        #expect(try JSON(parsing: "[NaN, Infinity, -Infinity]").arrayValue?.count == 3)
        #expect(try JSON(parsing: "\"\\ud83d\\ude00\"") == "😀")
    }

    @Test("is bounded in depth") func depth() {
        #expect(throws: JSON.SyntaxError.self) { try JSON(parsing: String(repeating: "[", count: 100_000)) }
    }

    @Test("that is damaged is refused, or read so that it is written as it was read") func damaged() throws {
        var damage = Damage(state: 2)
        let good = Array(#"{"a": [1, 2.5e-3, {"b": "\u00e9\n"}], "c": null, "d": [true, false]}"#.utf8)
        for _ in 0..<5000 {
            let bytes = damage.apply(good)
            let json: JSON
            do { json = try JSON(parsing: bytes) } catch is JSON.SyntaxError { continue }
            #expect(try JSON(parsing: json.text).text == json.text, "\(bytes)")
        }
    }
}

@Suite("CSV") struct CSVTests {
    @Test("is read with quotes, line endings and a byte-order mark")
    func reading() throws {
        let text = "\u{FEFF}path,label\r\n\"a, \"\"b\"\".jpg\",x\n\nc.jpg,\n\"two\nlines\",y"
        let table = try CSV(parsing: Array(text.utf8), name: "t")
        #expect(table.columns == ["path", "label"])
        #expect(table.rows.map(\.fields) == [["a, \"b\".jpg", "x"], ["c.jpg", ""], ["two\nlines", "y"]])
        #expect(table.rows.map(\.line) == [2, 4, 5])
    }

    @Test("names the line that does not fit")
    func faults() {
        for (text, word) in [("a,b\n1\n", "line 2"), ("a\n\"open", "never closed"), ("", "empty")] {
            let error = #expect(throws: FileError.self) { try CSV(parsing: Array(text.utf8), name: "t") }
            #expect(error?.description.contains(word) == true)
        }
    }

    @Test("is written so that it is read back") func writing() throws {
        let fields = ["plain", "com,ma", "quo\"te", "new\nline", "", "marked\"\u{301}quote"]
        let table = try CSV(parsing: Array((CSV.line(fields) + CSV.line(fields)).utf8), name: "t")
        #expect(table.columns == fields && table.rows.first?.fields == fields)
    }
}

@Suite("Files") struct FileTests {
    @Test("appear whole or not at all")
    func atomic() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        let path = Path.join(folder, "x")
        do {
            var file = try AtomicFile(path)
            try file.write("half")
        }
        #expect(try FileSystem.list(folder).isEmpty)
        try AtomicFile.write("whole", to: path)
        #expect(try FileSystem.read(path) == Array("whole".utf8))
        #expect(throws: FileError.self) { try AtomicFile.write("x", to: Path.join(folder, "none/x")) }
        #expect(throws: FileError.self) { try FileSystem.read(folder) }
    }

    @Test("are hashed as xxHash's own tool does")
    func hash() {
        // Reference values of XXH3-128 from the canonical implementation's command `xxhsum -H2`.
        #expect(ContentHash(of: [UInt8]()).text == "99aa06d3014798d86001c324468d497f")
        #expect((0..<1).contains(ContentHash(of: "a").unitInterval))
        #expect(ContentHash(of: "a", key: 1) != ContentHash(of: "a", key: 2))
    }

    @Test("have parts of paths, also where a name begins with a combining mark") func markedPaths() {
        #expect(Path.name(of: "a/\u{301}b.h5") == "\u{301}b.h5" && Path.parent(of: "a/\u{301}b.h5") == "a")
        #expect(Path.join("a", "/\u{301}b") == "/\u{301}b" && Path.parent(of: "/\u{301}b") == "/")
    }

    @Test("have parts of paths") func paths() {
        #expect(Path.parent(of: "/a/b/c.H5") == "/a/b" && Path.parent(of: "c") == "." && Path.parent(of: "/c") == "/")
        #expect(Path.fileExtension(of: "/a.b/c.H5") == "h5" && Path.fileExtension(of: ".hidden") == "")
        #expect(Path.stem(of: "x/model.tar.gz") == "model.tar")
    }
}

@Suite("LZF") struct LZFTests {
    private func decode(_ stream: [UInt8], _ count: Int) -> [UInt8]? {
        var output = [UInt8](repeating: 0, count: count)
        let isSound = stream.withUnsafeBytes { from in output.withUnsafeMutableBytes { LZF.decode(from, into: $0) } }
        return isSound ? output : nil
    }

    @Test("decodes literals, copies and copies of what they write")
    func decodes() {
        // Three literals; a copy of 3 bytes from 3 back; a long copy (7 + 2 + 2 bytes) from 1 back.
        #expect(decode([2, 1, 2, 3, 0x20, 2], 6) == [1, 2, 3, 1, 2, 3])
        #expect(decode([0, 9, 0xE0, 2, 0], 12) == [UInt8](repeating: 9, count: 12))
        #expect(decode([], 0) == [])
    }

    @Test(
        "refuses what reaches outside, stops early or goes on",
        arguments: [[2, 1], [0x20], [0, 1, 0x20, 5], [0, 1, 0xE0], [0, 1], [5, 1, 2, 3, 4, 5, 6]] as [[UInt8]])
    func refuses(_ stream: [UInt8]) { #expect(decode(stream, 4) == nil) }
}

@Suite("Numbers in words") struct NumberTextTests {
    @Test(
        "have the digits that count",
        arguments: [(0.009283177, "0.00928"), (0.1, "0.100"), (12.34, "12.3"), (98765.4, "98765"), (0, "0.0")])
    func digits(_ number: Double, _ text: String) { #expect(number.rounded(toDigits: 3) == text) }
}

@Suite("Numbers of bytes") struct BytesTextTests {
    @Test(
        "are said in a unit that suits them",
        arguments: [
            (0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 KiB"), (102_720, "100.3 KiB"), (1 << 20, "1.0 MiB"),
            (10 << 30, "10.0 GiB"), (3 << 40, "3.0 TiB"), (.max, "8388608.0 TiB"),
        ])
    func units(_ bytes: Int, _ text: String) { #expect(bytes.bytesText == text) }
}
