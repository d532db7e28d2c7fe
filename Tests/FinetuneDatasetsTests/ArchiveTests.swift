// Archives of images, read in place by the rules of folders; and those that are damaged or play tricks.

import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneDatasets

@Suite("An archive of images") struct ArchiveTests {
    private typealias Member = Archives.Member

    private enum Form: CaseIterable { case stored, deflated, tar, tarGzip }

    private func bytes(_ members: [Member], _ form: Form) -> [UInt8] {
        switch form {
        case .stored: Archives.zip(members)
        case .deflated:
            Archives.zip(
                members.map { member in
                    var member = member
                    member.method = 8
                    return member
                })
        case .tar: Archives.tar(members)
        case .tarGzip: Archives.gzip(Archives.tar(members))
        }
    }

    private func file(_ bytes: [UInt8], _ name: String = "set.zip") throws -> FileSet {
        let files = try FileSet([])
        try files.write(bytes, name)
        return files
    }

    private func dataset(_ members: [Member], _ form: Form = .stored) throws -> ImageDataset {
        let files = try file(bytes(members, form))
        return try ImageDataset(files.path + "/set.zip")
    }

    private func refusal(_ bytes: [UInt8]) throws -> String { try file(bytes).refusal("set.zip") }

    private func contents(_ dataset: ImageDataset) throws -> [String] {
        try dataset.items.indices.map { index in
            if case .encoded(let bytes) = try dataset.content(of: index) {
                String(decoding: bytes, as: UTF8.self)
            } else {
                ""
            }
        }
    }

    private let classes = [Member("cat/1.jpg", "one"), Member("cat/2.jpg", "two"), Member("dog/3.jpg", "three")]

    @Test("has the classes of its folders and the content of its files", arguments: Form.allCases)
    private func reads(_ form: Form) throws {
        let dataset = try dataset(classes, form)
        #expect(
            dataset.classes == ["cat", "dog"] && dataset.items.map(\.name) == ["cat/1.jpg", "cat/2.jpg", "dog/3.jpg"])
        #expect(try contents(dataset) == ["one", "two", "three"])
        #expect(MemoryLayout<ImageDataset.Item>.stride == 32)
    }

    @Test(
        "is read below folders that hold all of it, with splits and without what systems add", arguments: Form.allCases)
    private func deeper(_ form: Form) throws {
        let members = ["Train", "Test"].flatMap { split in
            ["a", "b"].map { Member("set/data/\(split)/\($0)/1.jpg", split + $0) }
        }
        let dataset = try dataset(
            [Member("__MACOSX/set/._1.jpg"), Member("set/.DS_Store"), Member("set/data/Train/a/Thumbs.db", "text")]
                + members, form)
        #expect(dataset.classes == ["a", "b"] && dataset.items.map(\.part) == [.train, .train, .test, .test])
        #expect(try contents(dataset) == ["Traina", "Trainb", "Testa", "Testb"])
        #expect(
            dataset.remarks.count { $0.kind == .hidden } == 2 && dataset.remarks.contains { $0.kind == .notPicture })
    }

    @Test("without class folders takes labels from its only table", arguments: ["", "set/"])
    func table(_ root: String) throws {
        let members = [
            Member(root + "labels.csv", "id;class\na;x\nb;y\n"), Member(root + "images/a.jpg", "A"),
            Member(root + "images/b.jpg", "B"),
        ]
        let dataset = try dataset(members)
        #expect(dataset.classes == ["x", "y"] && dataset.items.map(\.label) == [0, 1])
        #expect(try contents(dataset) == ["A", "B"])
        #expect(dataset.remarks.contains { $0.detail.contains("'\(root)labels.csv' in the archive") })
    }

    @Test("of loose pictures has no labels")
    func flat() throws {
        let dataset = try dataset([Member("photos/1.jpg", "1"), Member("photos/2.jpg", "2")])
        #expect(dataset.classes.isEmpty && dataset.items.map(\.name) == ["photos/1.jpg", "photos/2.jpg"])
    }

    @Test("may have names of any length and any bytes", arguments: Archives.LongNames.allCases)
    func names(_ form: Archives.LongNames) throws {
        let long = "cat/" + String(repeating: "n", count: 60) + "/" + String(repeating: "m", count: 80) + ".jpg"
        var latin = Member("dog/x", "latin")
        latin.name = Array("dog/caf".utf8) + [0xE9] + Array(".jpg".utf8)
        let members = [Member(long, "long"), latin]
        for bytes in [Archives.tar(members, longNames: form), Archives.zip(members)] {
            let files = try file(bytes)
            let dataset = try ImageDataset(files.path + "/set.zip")
            #expect(dataset.items.map(\.name) == [long, "dog/caf\\xE9.jpg"])
            #expect(try contents(dataset) == ["long", "latin"])
        }
        let windows = try dataset([Member("cat\\1.jpg", "1"), Member("dog\\2.jpg", "2")])
        #expect(windows.items.map(\.name) == ["cat/1.jpg", "dog/2.jpg"])
    }

    @Test("follows links to its own files and passes over others by name")
    func links() throws {
        let members =
            classes + [
                Member(link: "dog/same.jpg", to: "../cat/1.jpg"),
                Member(link: "dog/hard.jpg", to: "cat/2.jpg", type: "1"),
                Member(link: "dog/chain.jpg", to: "same.jpg"), Member(link: "cat/out.jpg", to: "../../etc/passwd"),
                Member(link: "cat/abs.jpg", to: "/etc/passwd"), Member(link: "bird", to: "cat"),
                Member(link: "cat/loop.jpg", to: "loop.jpg"), Member(link: "cat/device.jpg", to: "", type: "3"),
            ]
        let dataset = try dataset(members, .tar)
        #expect(
            dataset.items.map(\.name) == [
                "cat/1.jpg", "cat/2.jpg", "dog/3.jpg", "dog/chain.jpg", "dog/hard.jpg", "dog/same.jpg",
            ])
        #expect(try contents(dataset) == ["one", "two", "three", "one", "two", "one"])
        let passedOver = dataset.remarks.filter { $0.kind == .strayFile }.flatMap(\.paths)
        #expect(Set(passedOver) == ["cat/out.jpg", "cat/abs.jpg", "bird", "cat/loop.jpg", "cat/device.jpg"])
        var link = Member("cat/link.jpg", "1.jpg")
        link.mode = 0o120_777
        #expect(try self.dataset(classes + [link]).remarks.map(\.paths) == [["cat/link.jpg"]])
    }

    @Test("that leads outside, has a name twice, or is locked is refused by the name of the file")
    func tricks() throws {
        for name in ["../evil.jpg", "/evil.jpg", "a/../../evil.jpg"] {
            for form in Form.allCases {
                #expect(try refusal(bytes(classes + [Member(name)], form)).contains(name), "\(name) \(form)")
            }
        }
        #expect(try refusal(Archives.zip(classes + [classes[0]])).contains("'cat/1.jpg' is there twice"))
        var locked = classes[0]
        locked.flags = 1
        let encrypted = try refusal(Archives.zip([locked]))
        #expect(encrypted.contains("'cat/1.jpg' is encrypted") && encrypted.contains("unzip "), "\(encrypted)")
        var other = classes[0]
        other.method = 12
        #expect(try refusal(Archives.zip([other])).contains("compressed by method 12"))
        let deep = String(repeating: "a/", count: 200) + "1.jpg"
        #expect(try refusal(Archives.zip([Member(deep)])).contains("deeper than"))
        // The last file of a name in a tar archive is the one that counts.
        #expect(try contents(dataset(classes + [Member("cat/1.jpg", "newer")], .tar)) == ["newer", "two", "three"])
    }

    @Test("that holds another archive alone is named with the command that unpacks it")
    func nested() throws {
        let text = try refusal(Archives.zip([Member("set/inner.zip", "PK")]))
        #expect(text.contains("the archive 'inner.zip'") && text.contains("unzip "), "\(text)")
    }

    @Test(
        "of another kind is refused with the command that unpacks it",
        arguments: [
            ("a.7z", [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], "7z x"),
            ("a.rar", Array("Rar!\u{1A}\u{7}\u{1}\u{0}".utf8), "unrar x"),
            ("a.tar.xz", [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], "tar -xf"), ("a.tbz2", Array("BZh9".utf8), "tar -xf"),
            ("a.tar.zst", [0x28, 0xB5, 0x2F, 0xFD], "tar -xf"), ("a.gz", Archives.gzip([1, 2, 3]), "gunzip"),
        ] as [(String, [UInt8], String)])
    func otherKinds(_ name: String, _ bytes: [UInt8], _ command: String) throws {
        #expect(try file(bytes, name).refusal(name).contains(command))
    }

    @Test("whose members overlap is refused, and names of the IBM PC are read")
    func overlaps() throws {
        let bytes = Archives.zip([Member("a/1.jpg", "one", method: 8), Member("b/2.jpg", "two", method: 8)])
        var overlapping = bytes
        // The second member of the directory is said to be where the first is.
        let last = try #require(
            (0..<bytes.count - 4).last { bytes[$0..<$0 + 4].elementsEqual([0x50, 0x4B, 1, 2]) })
        for place in last + 42..<last + 46 { overlapping[place] = 0 }
        #expect(try refusal(overlapping).contains("overlap"))
        // A wide size may be the largest number that there is.
        var endless = bytes
        let first = try #require(
            (0..<bytes.count - 4).first { bytes[$0..<$0 + 4].elementsEqual([0x50, 0x4B, 1, 2]) })
        for place in first + 20..<first + 24 { endless[place] = 0xFF }
        endless[first + 30] = 12
        let name = Int(endless[first + 28])
        endless.insert(contentsOf: [1, 0, 8, 0] + Int.max.littleEndianBytes, at: first + 46 + name)
        let end = endless.count - 22
        let size = UInt32(end - first)
        endless.replaceSubrange(end + 12..<end + 16, with: size.littleEndianBytes)
        #expect(try refusal(endless).contains("overlap"))
        var coffee = Member("x/1.jpg", "one")
        coffee.name = [0x63, 0x61, 0x66, 0x82] + Array("/1.jpg".utf8)
        #expect(try dataset([coffee, Member("tea/2.jpg", "two")]).classes == ["caf\\x82", "tea"])
        // Only archives of Windows and its forerunner are in their letters.
        let files = try file(Archives.zip([coffee, Member("tea/2.jpg", "two")], host: 0))
        #expect(try files.dataset("set.zip").classes == ["caf\u{E9}", "tea"])
    }

    @Test("of tar without the mark of its end may be cut short, which is said")
    func ends() throws {
        let whole = Archives.tar([Member("a/1.jpg", "one"), Member("b/2.jpg", "two")])
        for (bytes, isCut) in [(whole, false), (Array(whole.prefix(2048)), true)] {
            let files = try file(bytes, "a.tar")
            let dataset = try ImageDataset(files.path + "/a.tar")
            #expect(dataset.items.count == 2)
            #expect(dataset.remarks.contains { $0.detail.contains("no mark of its end") } == isCut)
        }
    }

    @Test("that is cut short anywhere is refused, or lacks what was cut", arguments: Form.allCases)
    private func cut(_ form: Form) throws {
        let whole = bytes(classes, form)
        let files = try FileSet([])
        for count in stride(from: 0, to: whole.count, by: 97) {
            try files.write(Array(whole.prefix(count)), "set.zip")
            guard let dataset = try? ImageDataset(files.path + "/set.zip") else { continue }
            for index in dataset.items.indices { _ = try? dataset.content(of: index) }
        }
        // Damage is noticed when a picture is read, and only that one is lost.
        guard form == .stored || form == .deflated else { return }
        var damaged = whole
        let place = try #require(
            (0..<damaged.count - 3).first { damaged[$0..<$0 + 3].elementsEqual(Array("two".utf8)) })
        damaged[place] ^= 1
        try files.write(damaged, "set.zip")
        let dataset = try ImageDataset(files.path + "/set.zip")
        #expect(throws: FileError.self) { try dataset.content(of: 1) }
        #expect(throws: Never.self) { try dataset.content(of: 2) }
    }

    @Test("with any bytes in its headers is read or refused")
    func mutations() throws {
        var state: UInt64 = 11
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let long = String(repeating: "n", count: 120) + ".jpg"
        let members = classes + [Member("cat/\(long)", "long"), Member(link: "dog/l.jpg", to: "../cat/1.jpg")]
        let files = try FileSet([])
        for (form, names) in [(Form.tar, Archives.LongNames.pax), (.tar, .gnu), (.deflated, .pax)] {
            let whole = form == .tar ? Archives.tar(members, longNames: names) : bytes(members, form)
            for _ in 0..<300 {
                var damaged = whole
                for _ in 0..<1 + random(4) { damaged[random(damaged.count)] = UInt8(random(256)) }
                if form == .tar { Archives.correctChecksums(&damaged) }
                try files.write(damaged, "set.zip")
                guard let dataset = try? ImageDataset(files.path + "/set.zip") else { continue }
                for index in dataset.items.indices { _ = try? dataset.content(of: index) }
            }
        }
    }

    @Test("is read by many threads at once")
    func threads() async throws {
        let members = (0..<200).map { Member("\($0 % 2)/\($0).jpg", "content \($0)", method: $0 % 3 == 0 ? 8 : 0) }
        let files = try file(Archives.zip(members))
        let dataset = try ImageDataset(files.path + "/set.zip")
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for start in 0..<8 {
                group.addTask {
                    try (0..<200).allSatisfy { step in
                        let index = (start * 25 + step) % 200
                        guard case .encoded(let bytes) = try dataset.content(of: index) else { return false }
                        let number = Path.stem(of: dataset.items[index].name)
                        return String(decoding: bytes, as: UTF8.self) == "content \(number)"
                    }
                }
            }
            for try await isRight in group { #expect(isRight) }
        }
    }

    @Test("leaves nothing behind of what was unpacked, and no more is unpacked than pictures take")
    func bounds() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        let path = Path.join(folder, "a.gz")
        var file = try AtomicFile(path)
        try file.write(Archives.gzip([UInt8](repeating: 7, count: 200_000)))
        try file.commit()
        #expect(try Gzip.unpacked(path) { _ in 200_000 }.bytes(at: 199_999, count: 1) == [7])
        #expect(throws: FileError.self) { try Gzip.unpacked(path) { _ in 199_999 } }
        #expect(try FileSystem.list(folder) == ["a.gz"])
    }
}
