// Data sets: every source, its labels and its faults; splits and their promises.

import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneDatasets

/// A folder of files for one test.
private final class Folder {
    let path: String

    init(_ files: [String: String]) throws {
        path = try Fixtures.temporaryFolder()
        for (name, text) in files {
            let file = Path.join(path, name)
            try FileSystem.makeDirectory(Path.parent(of: file))
            try AtomicFile.write(text, to: file)
        }
    }

    deinit { Fixtures.remove(path) }
}

@Suite("A data set") struct DatasetTests {
    @Test("of class folders is sorted by class and path, hidden files left out")
    func classFolders() throws {
        let folder = try Folder([
            "b/2.jpg": "x", "b/1.jpg": "x", "a/deep/3.jpg": "x", ".hidden/4.jpg": "x", "a/.DS_Store": "x",
        ])
        let dataset = try ImageDataset(folder.path)
        #expect(dataset.classes == ["a", "b"])
        #expect(dataset.items.map(\.name) == ["a/deep/3.jpg", "b/1.jpg", "b/2.jpg"])
        #expect(dataset.items.map(\.label) == [0, 1, 1])
    }

    @Test("with train, val and test folders is split already")
    func splitFolders() throws {
        let folder = try Folder(["train/a/1.jpg": "x", "train/b/2.jpg": "x", "val/b/3.jpg": "x", "test/a/4.jpg": "x"])
        let dataset = try ImageDataset(folder.path)
        #expect(dataset.items.map(\.part) == [.train, .train, .validation, .test])
        #expect(dataset.items.map(\.label) == [0, 1, 1, 0])
    }

    @Test("refuses a validation class that training does not know, rather than shift labels")
    func unknownClass() throws {
        let folder = try Folder(["train/a/1.jpg": "x", "train/c/2.jpg": "x", "val/b/3.jpg": "x"])
        let dataset = try ImageDataset(folder.path)
        #expect(dataset.obstacle?.contains("'b'") == true)
        #expect(dataset.classes == ["a", "c", "b"] && dataset.items.map(\.label) == [0, 1, 2])
    }

    @Test("remarks on what it passes over, and keeps an empty class so that no label moves")
    func emptiness() throws {
        let folder = try Folder(["a/1.jpg": "x"])
        try FileSystem.makeDirectory(folder.path + "/b")
        try FileSystem.makeDirectory(folder.path + "/c")
        for name in ["c/2.jpg", "readme.txt", "stray.png", ".cache"] {
            try AtomicFile.write("x", to: Path.join(folder.path, name))
        }
        let dataset = try ImageDataset(folder.path)
        #expect(dataset.classes == ["a", "b", "c"] && dataset.items.map(\.label) == [0, 2])
        #expect(dataset.remarks.map(\.kind) == [.hidden, .strayFile, .emptyFolder])
        #expect(dataset.remarks.map(\.paths) == [[".cache"], ["stray.png"], ["b"]])
        let nothing = try Folder([:])
        #expect(throws: DatasetError.self) { try ImageDataset(nothing.path) }
        #expect(#expect(throws: DatasetError.self) { try ImageDataset(nothing.path + "/none") }?.kind == .missing)
    }

    @Test("enters a folder that is named like a picture")
    func pictureFolder() throws {
        let folder = try Folder(["a/1.jpg": "x", "a/x.jpg/3.jpg": "x", "b/2.jpg": "x"])
        #expect(try ImageDataset(folder.path).items.map(\.name) == ["a/1.jpg", "a/x.jpg/3.jpg", "b/2.jpg"])
    }

    @Test("of a CSV takes labels, splits and groups from its columns")
    func csv() throws {
        let folder = try Folder(["t.csv": "group,label,path,split\ng1,z,i/1.jpg,train\ng2,y,i/2.jpg,val\n,z,i/0.jpg,\n"]
        )
        let dataset = try ImageDataset(folder.path + "/t.csv")
        #expect(dataset.classes == ["y", "z"])
        #expect(dataset.items.map(\.name) == ["i/2.jpg", "i/0.jpg", "i/1.jpg"])
        #expect(dataset.items.map(\.part) == [.validation, nil, .train])
        #expect(dataset.items.map(\.group) == ["g2", nil, "g1"])
        let bad = try Folder(["t.csv": "note,label\nx,y\n", "u.csv": "path,label,split\nx,y,holdout\n"])
        #expect(throws: DatasetError.self) { try ImageDataset(bad.path + "/t.csv") }
        #expect(throws: DatasetError.self) { try ImageDataset(bad.path + "/u.csv") }
    }

    @Test("of IDX files has the pixels and labels that stand in them")
    func idx() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        func write(_ bytes: [UInt8], _ name: String) throws {
            var file = try AtomicFile(Path.join(folder, name))
            try file.write(bytes)
            try file.commit()
        }
        try write([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2] + [1, 2, 3, 4], "train-images-idx3-ubyte")
        try write([0, 0, 8, 1, 0, 0, 0, 2, 1, 0], "train-labels-idx1-ubyte")
        try write([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2] + [9, 8], "t10k-images-idx3-ubyte")
        try write([0, 0, 8, 1, 0, 0, 0, 1, 1], "t10k-labels-idx1-ubyte")
        let dataset = try ImageDataset(folder)
        #expect(dataset.classes == ["0", "1"] && dataset.items.map(\.label) == [1, 0, 1])
        #expect(dataset.items.map(\.part) == [.train, .train, .test])
        guard case .picture(let picture) = try dataset.content(of: 1) else { return #expect(Bool(false), "no picture") }
        #expect(picture.bytes == [3, 4] && picture.channels == 1)
        #expect(
            dataset.limited(to: .init(count: 1, isStratified: false), seed: 0).items.map(\.part) == [.train, .test])
        try write([0, 0, 8, 3, 0, 0, 0, 2, 255, 255, 255, 255, 255, 255, 255, 255], "train-images-idx3-ubyte")
        #expect(throws: DatasetError.self) { try ImageDataset(folder) }
    }

    @Test("matches another model's classes by name")
    func relabelling() throws {
        let folder = try Folder(["a/1.jpg": "x", "b/2.jpg": "x"])
        let dataset = try ImageDataset(folder.path)
        #expect(try dataset.relabelled(classes: ["b", "c", "a"]).items.map(\.label) == [2, 0])
        #expect(throws: DatasetError.self) { try dataset.relabelled(classes: ["a", "c"]) }
    }

    @Test("adds another's images with the names that they have there, and reads them there")
    func adds() throws {
        let (folder, other) = (try Folder(["a/1.jpg": "x"]), try Folder(["a/1.jpg": "y", "a/2.jpg": "z"]))
        let dataset = try ImageDataset(folder.path).adding(ImageDataset(other.path), as: .test)
        #expect(dataset.items.map(\.name) == ["a/1.jpg", "a/1.jpg", "a/2.jpg"])
        #expect(dataset.items.map(\.part) == [.train, .test, .test])
        let contents = try dataset.items.indices.map { index in
            if case .encoded(let bytes) = try dataset.content(of: index) { bytes } else { [UInt8]() }
        }
        #expect(contents == ["x", "y", "z"].map { Array($0.utf8) })
    }

    @Test("takes groups from a part of the path, and names a path that has none")
    func groups() throws {
        let folder = try Folder(["a/dog1-x.jpg": "x", "b/dog2-y.jpg": "x"])
        let dataset = try ImageDataset(folder.path)
        #expect(try dataset.grouped(by: "(dog[0-9]+)-").items.map(\.group) == ["dog1", "dog2"])
        #expect(throws: DatasetError.self) { try dataset.grouped(by: "cat") }
        #expect(throws: DatasetError.self) { try dataset.grouped(by: "(") }
    }

    @Test("takes 32 bytes for an image, of which there may be millions")
    func size() { #expect(MemoryLayout<ImageDataset.Item>.stride == 32) }

    @Test("keeps a stratified sample stratified")
    func stratified() throws {
        let origin = ImageDataset.Origin(.files(FolderTree(""), folder: ""))
        let items = (0..<100).map { ImageDataset.Item("\($0)", of: origin, label: $0 < 80 ? 0 : 1) }
        let dataset = ImageDataset(path: "", classes: ["a", "b"], items: items)
        let sample = dataset.limited(to: .init(count: 20, isStratified: true), seed: 3)
        #expect(sample.items.count == 20 && sample.items.count { $0.label == 1 } == 4)
        #expect(
            sample.items.map(\.name)
                == dataset.limited(to: .init(count: 20, isStratified: true), seed: 3).items.map(\.name))
    }
}

@Suite("A split") struct SplitTests {
    private func members(_ count: Int, classes: Int = 3, group: (Int) -> String? = { _ in nil }) -> [Split.Member] {
        (0..<count).map { Split.Member(label: $0 % classes, hash: ContentHash(of: "image \($0)"), group: group($0)) }
    }

    /// How many units of each class stand in a split.
    private func counts(_ members: [Split.Member], _ parts: [Split.Part], _ part: Split.Part) -> [Int: Int] {
        let units = Split.units(members)
        var seen: [Int: Set<String>] = [:]
        for index in members.indices where parts[index] == part {
            seen[members[index].label, default: []].insert(units[index])
        }
        return seen.mapValues(\.count)
    }

    @Test(
        "takes the fraction of each class to the nearest unit, and leaves one on each side",
        arguments: [0.01, 0.2, 0.5, 0.99])
    func fraction(_ fraction: Double) {
        for size in [2, 3, 5, 12, 123, 400] {
            for seed in 0..<4 {
                for grouped in [false, true] {
                    let members = (0..<size).flatMap { unit in
                        (0..<(grouped ? 1 + unit % 4 : 1)).map {
                            Split.Member(
                                label: 0, hash: ContentHash(of: "\(unit) \($0)"), group: grouped ? "\(unit)" : nil)
                        }
                    }
                    let parts = Split.assign(members, validation: fraction, test: 0, seed: UInt64(seed))
                    let expected = min(max(Int((fraction * Double(size)).rounded()), 1), size - 1)
                    #expect(counts(members, parts, .validation)[0] == expected, "\(size) units")
                    #expect(counts(members, parts, .train)[0] == size - expected)
                }
            }
        }
    }

    @Test("takes both fractions of the whole, and the test images when neither fits")
    func bothFractions() {
        func counts(_ size: Int, _ validation: Double, _ test: Double) -> [Int?] {
            let members = self.members(size, classes: 1)
            let parts = Split.assign(members, validation: validation, test: test, seed: 4)
            return Split.Part.allCases.map { self.counts(members, parts, $0)[0] }
        }
        #expect(counts(100, 0.2, 0.1) == [70, 20, 10])
        #expect(counts(10, 0.2, 0.2) == [6, 2, 2])
        #expect(counts(3, 0.2, 0.2) == [1, 1, 1])
        #expect(counts(2, 0.2, 0.2) == [1, nil, 1])
        #expect(counts(1, 0.2, 0.2) == [1, nil, nil])
        #expect(counts(10, 0.9, 0.9) == [1, nil, 9])
        // The validation images stay when test images are asked for as well.
        let members = members(90)
        let (alone, both) = (
            Split.assign(members, validation: 0.2, test: 0, seed: 1),
            Split.assign(members, validation: 0.2, test: 0.3, seed: 1)
        )
        #expect(members.indices.allSatisfy { (alone[$0] == .validation) == (both[$0] == .validation) })
    }

    @Test("moves at most as many units as files are added, and none of other classes", arguments: [1, 10, 100])
    func stable(_ added: Int) {
        for size in [1, 2, 7, 50, 300] {
            for seed in 0..<8 {
                for grouped in [false, true] {
                    func member(_ index: Int, label: Int) -> Split.Member {
                        Split.Member(
                            label: label, hash: ContentHash(of: "\(label) \(index)"),
                            group: grouped ? "\(label) \(index / 3)" : nil)
                    }
                    let before = (0..<size).map { member($0, label: 0) } + (0..<40).map { member($0, label: 1) }
                    let new = (size..<size + added).map { member($0, label: 0) }
                    for (test, bound) in [(0.0, added), (0.15, 2 * added)] {
                        let first = Split.assign(before, validation: 0.2, test: test, seed: UInt64(seed))
                        let second = Split.assign(before + new, validation: 0.2, test: test, seed: UInt64(seed))
                        let units = Split.units(before)
                        let moved = Set(before.indices.filter { first[$0] != second[$0] }.map { units[$0] })
                        #expect(moved.count <= bound, "\(size) images, \(added) added")
                        #expect(first[size...] == second[size..<size + 40])
                    }
                }
            }
        }
    }

    @Test("leaves no class of patients out of a split that has enough of them")
    func spanning() {
        // Every patient has images of the common class, some of the rare one, which no patient has most of.
        let members = (0..<20).flatMap { patient in
            (0..<6).map { image in
                Split.Member(
                    label: image == 0 && patient % 5 == 0 ? 1 : 0, hash: ContentHash(of: "\(patient) \(image)"),
                    group: "patient \(patient)")
            }
        }
        for seed in 0..<40 {
            let parts = Split.assign(members, validation: 0.2, test: 0.2, seed: UInt64(seed))
            for part in Split.Part.allCases {
                #expect(counts(members, parts, part)[1, default: 0] >= 1, "seed \(seed), \(part)")
            }
            for (_, own) in Dictionary(grouping: members.indices, by: { members[$0].group }) {
                #expect(Set(own.map { parts[$0] }).count == 1)
            }
            // A patient who is moved for the rare class costs the common one.
            #expect((3...5).contains(counts(members, parts, .validation)[0, default: 0]))
        }
    }

    @Test("never tears a group apart") func groups() {
        let members = members(120) { "group \($0 / 7)" }
        let parts = Split.assign(members, validation: 0.3, test: 0.2, seed: 2)
        for (_, own) in Dictionary(grouping: members.indices, by: { members[$0].group }) {
            #expect(Set(own.map { parts[$0] }).count == 1)
        }
        #expect(Set(parts).count == 3)
    }

    @Test("keeps copies on one side, with the groups that they hang together by")
    func copies() {
        var members = members(90) { $0 < 30 ? "group \($0 / 3)" : nil }
        // A picture of the first group has a copy in the second one and one that stands alone.
        for index in [0, 3, 89] { members[index].copies = 7 }
        let units = Split.units(members)
        #expect(Set([0, 1, 2, 3, 4, 5, 89].map { units[$0] }) == ["group:group 0"])
        #expect(Set(units).count == 9 + 59)
        for seed in 0..<30 {
            let parts = Split.assign(members, validation: 0.4, test: 0.1, seed: UInt64(seed))
            #expect(Set([0, 1, 2, 3, 4, 5, 89].map { parts[$0] }).count == 1)
        }
    }

    @Test("keeps equal images together, a single image in training, and the data set's own parts")
    func exceptions() {
        let hash = ContentHash(of: "same")
        let parts = Split.assign(
            [
                Split.Member(label: 0, hash: hash), Split.Member(label: 0, hash: hash),
                Split.Member(label: 1, hash: ContentHash(of: "x")),
            ],
            validation: 0.9, test: 0, seed: 0)
        #expect(parts[0] == parts[1])
        for seed in 0..<20 {
            let single = [Split.Member(label: 0, hash: ContentHash(of: "only"))]
            #expect(Split.assign(single, validation: 0.9, test: 0.5, seed: UInt64(seed)) == [.train])
        }
        let own = Split.assign(
            [Split.Member(label: 0, hash: hash, part: .validation), Split.Member(label: 0, hash: hash, part: .train)],
            validation: 0.9, test: 0, seed: 0)
        #expect(own == [.validation, .train])
    }
}
