// Listing images: links that lead round in circles, names of any bytes, and numbers that are no images.

import FinetuneFiles
import FinetuneModels
import Glibc
import TestSupport
import Testing

@testable import FinetuneDatasets

@Suite("Listing images") struct ListingTests {
    /// A folder with two classes of pictures that nobody decodes.
    private func makeFolder() throws -> String {
        let folder = try Fixtures.temporaryFolder()
        for name in ["a/1.jpg", "a/2.jpg", "b/3.jpg"] {
            try FileSystem.makeDirectory(Path.parent(of: Path.join(folder, name)))
            try AtomicFile.write("x", to: Path.join(folder, name))
        }
        return folder
    }

    @Test("enters each folder once, however many links lead to it, and says what it passes over")
    func loops() throws {
        let folder = try makeFolder()
        defer { Fixtures.remove(folder) }
        for name in ["a/x", "a/y"] { #expect(symlink(".", Path.join(folder, name)) == 0) }
        #expect(symlink("..", Path.join(folder, "b/up")) == 0)
        #expect(symlink(".", Path.join(folder, "self")) == 0)
        #expect(symlink("a", Path.join(folder, "z")) == 0)
        let dataset = try ImageDataset(folder)
        #expect(dataset.items.map(\.name) == ["a/1.jpg", "a/2.jpg", "b/3.jpg"])
        #expect(dataset.classes == ["a", "b"])
        let repeated = dataset.remarks.filter { $0.kind == .repeatedFolder }.flatMap(\.paths)
        #expect(Set(repeated) == ["a/x", "a/y", "b/up", "self", "z"])
        for link in ["a/x", "a/y", "b/up", "self", "z"] { FileSystem.remove(Path.join(folder, link)) }
    }

    @Test("knows names that are not UTF-8 by their bytes")
    func bytes() throws {
        let folder = try makeFolder()
        defer { Fixtures.remove(folder) }
        let name = Path.text(of: [0x63, 0x61, 0x66, 0xE9])
        try FileSystem.makeDirectory(Path.join(folder, name))
        try AtomicFile.write("content", to: Path.join(folder, name + "/" + name + ".jpg"))
        let dataset = try ImageDataset(folder)
        #expect(dataset.classes == ["a", "b", "caf\\xE9"])
        let place = try #require(dataset.items.firstIndex { $0.name == "caf\\xE9/caf\\xE9.jpg" })
        guard case .encoded(let content) = try dataset.content(of: place) else { return #expect(Bool(false)) }
        #expect(content == Array("content".utf8))
    }

    /// An archive with one array of each name.
    private func archive(_ arrays: [(name: String, bytes: [UInt8])]) throws -> (folder: String, path: String) {
        let folder = try Fixtures.temporaryFolder()
        let path = Path.join(folder, "set.npz")
        var writer = try ZipWriter(path)
        for (name, bytes) in arrays {
            try writer.begin(name + ".npy")
            try writer.write(bytes)
        }
        try writer.commit()
        return (folder, path)
    }

    private func floats(_ values: [Float], _ shape: [Int]) -> [UInt8] {
        NumpyArray.header("<f4", shape: shape) + values.flatMap { $0.bitPattern.littleEndianBytes }
    }

    @Test("refuses inputs that are not finite, by the image", arguments: [Float.nan, .infinity, -.infinity])
    func notFinite(_ value: Float) throws {
        var values = [Float](repeating: 0.5, count: 4 * 3 * 3 * 3)
        values[2 * 27 + 5] = value
        let (folder, path) = try archive([
            ("inputs", floats(values, [4, 3, 3, 3])), ("labels", NumpyArray.file(integers: [0, 1, 0, 1])),
        ])
        defer { Fixtures.remove(folder) }
        let error = #expect(throws: DatasetError.self) { try ImageDataset(path) }
        #expect(error?.description.contains("'inputs[2]'") == true)
    }

    @Test("refuses labels that are no classes' numbers", arguments: [0.5, 1.5, .nan, 1e30] as [Float])
    func labels(_ value: Float) throws {
        let values = [Float](repeating: 0.5, count: 4 * 3 * 3 * 3)
        let (folder, path) = try archive([
            ("inputs", floats(values, [4, 3, 3, 3])), ("labels", floats([0, 1, value, 1], [4])),
        ])
        defer { Fixtures.remove(folder) }
        let error = #expect(throws: DatasetError.self) { try ImageDataset(path) }
        #expect(error?.description.contains("'labels[2]'") == true)
    }

    /// A gzip file that stores its content as it is.
    private func gzip(_ content: [UInt8]) -> [UInt8] {
        let count = UInt16(content.count)
        let checksum = ZipWriter.checksum(content.span.bytes, continuing: 0)
        return [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 1] + count.littleEndianBytes + (~count).littleEndianBytes + content
            + checksum.littleEndianBytes + UInt32(content.count).littleEndianBytes
    }

    @Test(
        "refuses compressed IDX files whose header promises other sizes than they have",
        arguments: [[.max, .max, .max], [1 << 31, 1 << 31, 1], [0, 3, 3], [2, 3, 3], [4, 3, 3]] as [[UInt32]])
    func compressedSizes(_ sizes: [UInt32]) throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        func write(_ name: String, _ header: [UInt8], _ count: Int) throws {
            var file = try AtomicFile(Path.join(folder, name))
            try file.write(gzip(header + [UInt8](repeating: 1, count: count)))
            try file.commit()
        }
        let shape = sizes.flatMap { $0.littleEndianBytes.reversed() }
        try write("train-images-idx3-ubyte.gz", [0, 0, 8, 3] + shape, 27)
        try write("train-labels-idx1-ubyte.gz", [0, 0, 8, 1, 0, 0, 0, 3], 3)
        #expect(throws: (any Error).self) { try ImageDataset(folder) }
        try write("train-images-idx3-ubyte.gz", [0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 3], 27)
        #expect(try ImageDataset(folder).items.count == 3)
    }

    @Test("takes whole numbers for labels, whatever their type")
    func wholeLabels() throws {
        let values = [Float](repeating: 0.5, count: 2 * 3 * 3 * 3)
        let (folder, path) = try archive([("inputs", floats(values, [2, 3, 3, 3])), ("labels", floats([1, 0], [2]))])
        defer { Fixtures.remove(folder) }
        #expect(try ImageDataset(path).items.map(\.label) == [1, 0])
    }
}

@Suite("A JPEG of many scans") struct ScanTests {
    /// A progressive JPEG that claims more pixels and repeats its last scan.
    private func jpeg(scans: Int, side: Int) throws -> [UInt8] {
        var bytes = try PictureFixtures.bytes("cut-progressive.jpg")
        let frame = try #require((0..<bytes.count - 1).first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xC2 })
        for (offset, value) in [(5, side >> 8), (6, side & 0xFF), (7, side >> 8), (8, side & 0xFF)] {
            bytes[frame + offset] = UInt8(value)
        }
        let first = try #require((frame..<bytes.count - 1).first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xDA })
        let length = Int(bytes[first + 2]) << 8 | Int(bytes[first + 3])
        let scan = Array(bytes[first..<first + 2 + length]) + [0, 0]
        return Array(bytes[..<first]) + (0..<scans).flatMap { _ in scan } + [0xFF, 0xD9]
    }

    @Test("is refused before it is decoded where all its scans together are too long")
    func refused() throws {
        let bytes = try jpeg(scans: 501, side: 8000)
        let error = #expect(throws: PictureError.self) { try Picture(decoding: bytes, exif: .upright) }
        #expect(error?.reason.contains("501 scans") == true, "\(error?.reason ?? "")")
        // The same scans of a small picture are soon done.
        let small = #expect(throws: PictureError.self) {
            try Picture(decoding: jpeg(scans: 600, side: 16), exif: .upright)
        }
        #expect(small?.reason.contains("scans of") == false, "\(small?.reason ?? "")")
    }
}
