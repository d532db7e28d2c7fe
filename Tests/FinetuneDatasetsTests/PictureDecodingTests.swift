// Every format and oddity against the pixels that Pillow finds, and every refusal against its sentence.

import FinetuneFiles
import FinetuneModels
import Testing

@testable import FinetuneDatasets

@Suite("Decoding pictures")
struct PictureDecodingTests {
    @Test("A picture has exactly the pixels that Pillow finds", arguments: try PictureFixtures.cases("decoded"))
    func decodes(entry: JSON) throws {
        let exif = try #require(InputRecipe.Exif(rawValue: entry.text("exif")))
        let picture = try Picture(decoding: PictureFixtures.bytes(entry.text("file")), exif: exif)
        let expected = try PictureFixtures.expected(entry)
        #expect(picture.distance(to: expected) <= (try entry.number("tolerance")))
    }

    @Test("What is no whole picture is refused by name", arguments: try PictureFixtures.cases("refused"))
    func refuses(entry: JSON) throws {
        let bytes = try PictureFixtures.bytes(entry.text("file"))
        let error = #expect(throws: PictureError.self) { try Picture(decoding: bytes, exif: .upright) }
        let message = try #require(error).message(path: "a/b.jpg")
        let says = try entry.text("says")
        #expect(message.starts(with: "cannot decode 'a/b.jpg': "))
        #expect(message.contains(says))
    }

    @Test("A file may not claim more pixels than the limit")
    func limit() throws {
        let bytes = try PictureFixtures.bytes("rgb.png")
        #expect(throws: PictureError.self) { try Picture(decoding: bytes, exif: .upright, pixelLimit: 23 * 17 - 1) }
        #expect(throws: Never.self) { try Picture(decoding: bytes, exif: .upright, pixelLimit: 23 * 17) }
    }

    @Test("Gray is Pillow's L, and gray again when it was gray")
    func gray() {
        let picture = Picture(
            width: 4, height: 1, channels: 3, bytes: [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30])
        #expect(picture.gray.bytes == [76, 150, 29, 18])
        #expect(picture.gray.color.gray == picture.gray)
        #expect(picture.gray.color.bytes == [76, 76, 76, 150, 150, 150, 29, 29, 29, 18, 18, 18])
    }
}

@Suite("Orientation")
struct PictureOrientationTests {
    /// A 3 × 2 picture of the letters a…f, turned each way.
    static let turns: [(Int, String, Int)] = [
        (1, "abcdef", 3), (2, "cbafed", 3), (3, "fedcba", 3), (4, "defabc", 3),
        (5, "adbecf", 2), (6, "daebfc", 2), (7, "fcebda", 2), (8, "cfbead", 2),
    ]

    @Test("Each of the eight orientations is undone", arguments: turns)
    func undoes(value: Int, letters: String, width: Int) throws {
        let stored = Picture(width: 3, height: 2, channels: 1, bytes: Array("abcdef".utf8))
        let turned = stored.turned(from: try #require(Orientation(rawValue: value)))
        #expect(turned == Picture(width: width, height: 6 / width, channels: 1, bytes: Array(letters.utf8)))
    }

    static func exif(bigEndian: Bool, kind: UInt8 = 3, value: UInt8) -> [UInt8] {
        bigEndian
            ? [0x4D, 0x4D, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, kind, 0, 0, 0, 1, 0, value, 0, 0]
            : [0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, kind, 0, 1, 0, 0, 0, value, 0, 0, 0]
    }

    static func read(_ bytes: [UInt8]) -> Orientation {
        bytes.withUnsafeBytes { Orientation(exif: PictureBytes($0)) }
    }

    @Test("EXIF data is read in both byte orders", arguments: [true, false])
    func byteOrders(bigEndian: Bool) {
        for value in UInt8(1)...8 {
            #expect(Self.read(Self.exif(bigEndian: bigEndian, value: value)).rawValue == Int(value))
        }
    }

    @Test("EXIF data that makes no sense leaves a picture as it is")
    func nonsense() {
        let whole = Self.exif(bigEndian: false, value: 6)
        for count in 0..<19 { #expect(Self.read(Array(whole[..<count])) == .upright) }
        for value in [UInt8(0), 9, 255] { #expect(Self.read(Self.exif(bigEndian: true, value: value)) == .upright) }
        #expect(Self.read(Self.exif(bigEndian: true, kind: 2, value: 6)) == .upright)
        #expect(Self.read([0x49, 0x49, 42, 0, 0xFF, 0xFF, 0xFF, 0xFF]) == .upright)
    }
}
