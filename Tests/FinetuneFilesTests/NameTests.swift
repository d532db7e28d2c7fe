// Names of files: bytes in, text in the program, bytes out; and what a terminal is shown of them.

import FinetuneFiles
import Glibc
import TestSupport
import Testing

@Suite("Names of files") struct NameTests {
    @Test("come back with the bytes that they had, whatever these are")
    func bytes() {
        var state: UInt64 = 7
        func random() -> UInt8 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(state >> 56)
        }
        for _ in 0..<20_000 {
            // Half of them of the bytes that UTF-8's longest characters are made of.
            let count = Int(random()) % 12
            let name = (0..<count).map { _ in
                let byte = random()
                return byte & 1 == 0 ? [0xF4, 0x8F, 0xBE, 0xBF, 0x80, 0xE9, 0x61, 0xCC][Int(byte >> 1) % 8] : byte
            }
            #expect(Path.bytes(of: Path.text(of: name)) == name)
        }
    }

    @Test("that are UTF-8 are themselves")
    func text() {
        for name in ["a.jpg", "été", "cafe\u{301}", "日本", "🦋", ""] {
            #expect(Path.text(of: Array(name.utf8)) == name && Path.bytes(of: name) == Array(name.utf8))
        }
        // The code points that stand for bytes are kept by their bytes, or two names would be one.
        let stolen = Array("\u{10FFE9}".utf8)
        #expect(Path.text(of: stolen) != Path.text(of: [0xE9]) && Path.bytes(of: Path.text(of: stolen)) == stolen)
    }

    @Test("are shown without what a terminal would obey")
    func shown() {
        #expect("a\u{1B}[2J\u{7}b\r".printable() == "a\\u{1B}[2J\\u{7}b\\u{D}")
        #expect("a\n\tb".printable() == "a\\n\\tb" && "a\n\tb".printable(keepsLines: true) == "a\n\tb")
        #expect("\u{9B}31m\u{202E}gpj".printable() == "\\u{9B}31m\\u{202E}gpj")
        #expect(Path.text(of: [0x63, 0xE9]).printable() == "c\\xE9")
        #expect(JSON.string(Path.text(of: [0x63, 0xE9])).text == "\"c\\\\xE9\"")
        #expect(CSV.line([Path.text(of: [0x63, 0xE9]), "\u{1B}"]) == "c\\xE9,\u{1B}\n")
    }

    @Test("of files in the making cannot be foreseen, and no link is followed")
    func temporaries() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        let path = Path.join(folder, "result")
        let first = try AtomicFile(path)
        let second = try AtomicFile(path)
        let names = try FileSystem.list(folder)
        #expect(names.count == 2 && names.allSatisfy { $0.hasPrefix(".finetune-") && $0.utf8.count == 30 })
        withExtendedLifetime(first.path + second.path) {}
        _ = consume first
        _ = consume second
        #expect(try FileSystem.list(folder) == [])
        #expect(symlink("/nowhere/else", path) == 0)
        #expect(throws: FileError.self) { try LogFile(path, continuing: false) }
        #expect(throws: FileError.self) { try UpdatableFile(path, creating: true) }
        try AtomicFile.write("mine", to: path)
        #expect(try FileSystem.read(path) == Array("mine".utf8))
        var status = stat()
        #expect(lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG)
    }

    @Test("lead to files alone: pipes, devices and folders are refused at once")
    func kinds() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        let pipe = Path.join(folder, "pipe")
        #expect(mkfifo(pipe, 0o600) == 0)
        for path in [pipe, "/dev/zero", folder] {
            #expect(throws: FileError.self) { try FileSystem.read(path) }
            #expect(throws: FileError.self) { try FileSystem.head(of: path, count: 10) }
            #expect(throws: FileError.self) { try ByteSource(file: path) }
            #expect(throws: FileError.self) { try AtomicFile.write("x", to: path) }
        }
    }
}
