// HEIC, AVIF, JPEG XL, GIF, PNM, XMP and pictures of 16 bits against Pillow and its plugins.

import FinetuneFiles
import FinetuneModels
import Testing

@testable import FinetuneDatasets

/// What scripts/fixtures/phone_pictures.py made.
enum PhoneFixtures {
    static let folder = Paths.tests + "/Fixtures/phones/"

    static func bytes(_ name: String) throws -> [UInt8] { try readFile(folder + name) }

    static func cases(_ key: String) throws -> [JSON] {
        try #require(JSON(parsing: bytes("manifest.json"))[key]?.arrayValue)
    }
}

@Suite("Pictures of phones and instruments")
struct PhonePictureTests {
    @Test("A picture has the pixels that Pillow finds", arguments: try PhoneFixtures.cases("decoded"))
    func decodes(entry: JSON) throws {
        let exif = try #require(InputRecipe.Exif(rawValue: entry.text("exif")))
        let picture = try Picture(
            decoding: PhoneFixtures.bytes(entry.text("file")), exif: exif,
            depth: PictureDepth(bits: entry.number("depth")))
        let expected = Picture(
            width: try entry.number("width"), height: try entry.number("height"),
            channels: try entry.number("channels"), bytes: try PhoneFixtures.bytes(entry.text("pixels")))
        #expect(picture.distance(to: expected) <= (try entry.number("tolerance")))
    }

    @Test("What is no whole picture is refused by name", arguments: try PhoneFixtures.cases("refused"))
    func refuses(entry: JSON) throws {
        let bytes = try PhoneFixtures.bytes(entry.text("file"))
        let error = #expect(throws: PictureError.self) { try Picture(decoding: bytes, exif: .upright) }
        let message = try #require(error).message(path: "a.jpg")
        #expect(message.contains(try entry.text("says")), "\(message)")
    }

    @Test(
        "A file may not claim more pixels than the limit",
        arguments: ["420.heic", "420-full.avif", "lossless.jxl", "plain.gif", "raw.ppm"])
    func limit(name: String) throws {
        let bytes = try PhoneFixtures.bytes(name)
        #expect(throws: PictureError.self) { try Picture(decoding: bytes, exif: .upright, pixelLimit: 23 * 17 - 1) }
        #expect(throws: Never.self) { try Picture(decoding: bytes, exif: .upright, pixelLimit: 23 * 17) }
    }

    @Test("The kind is told by content, and each kind's endings are listed")
    func kinds() throws {
        let kinds: [(String, PictureFormat)] = [
            ("420.heic", .heic), ("grid.heic", .heic), ("420-full.avif", .avif), ("film.avif", .avif),
            ("lossy.jxl", .jpegXL), ("container.jxl", .jpegXL), ("plain.gif", .gif), ("plain.pbm", .netpbm),
        ]
        for (name, kind) in kinds {
            let bytes = try PhoneFixtures.bytes(name)
            #expect(PictureFormat(of: bytes) == kind, "\(name)")
            #expect(PictureFormat(ending: Path.fileExtension(of: name)) == kind)
        }
        for kind in PictureFormat.allCases { #expect(PictureFormat.list.contains(kind.name)) }
        for ending in PictureFormat.endings { #expect(PictureFormat(ending: ending) != nil, "\(ending)") }
    }

    @Test("Each number of bits fills 0 to 255, and larger numbers are white", arguments: 1...16)
    func depth(bits: Int) {
        let depth = PictureDepth(bits: bits)
        let largest = 1 << bits - 1
        #expect(depth.level(0) == 0)
        #expect(depth.level(UInt16(largest)) == 255)
        #expect(depth.level(.max) == 255)
        for number in stride(from: 0, through: largest, by: 37) {
            let expected = bits >= 8 ? number >> (bits - 8) : number * 255 / largest
            #expect(Int(depth.level(UInt16(number))) == expected)
        }
        #expect(PictureDepth(holding: largest).bits == max(8, bits))
    }

    @Test("The highest number of 16 bits is kept, and none of alpha")
    func highest() throws {
        let files = [
            ("gray-12-of-16.png", 12), ("gray-10-of-16.tif", 10), ("rgba-9-of-16.png", 9), ("gray-12-of-16.jxl", 12),
            ("gray-65535.pgm", 12),
        ]
        for (name, bits) in files {
            let highest = try #require(Picture(decoding: PhoneFixtures.bytes(name), exif: .upright).highest)
            #expect(PictureDepth(holding: highest).bits == bits, "\(name)")
        }
        #expect(try Picture(decoding: PhoneFixtures.bytes("plain.gif"), exif: .upright).highest == nil)
    }

    @Test("The samples that doctor decodes are right", arguments: PictureTest.all.map(\.name))
    func samples(name: String) throws {
        #expect(try #require(PictureTest.all.first { $0.name == name }).failure == nil)
    }
}
