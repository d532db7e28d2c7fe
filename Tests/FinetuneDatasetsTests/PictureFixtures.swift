// Reads what scripts/fixtures/images.py made: pictures, the pixels that Pillow found in them, and the manifest.

import FinetuneFiles
import Glibc
import Testing

@testable import FinetuneDatasets

enum PictureFixtures {
    static let folder = Paths.tests + "/Fixtures/pictures/"

    static func bytes(_ name: String) throws -> [UInt8] { try readFile(folder + name) }

    static func manifest() throws -> JSON { try JSON(parsing: bytes("manifest.json")) }

    /// The entries of the manifest under `key`.
    static func cases(_ key: String) throws -> [JSON] { try #require(manifest()[key]?.arrayValue) }

    /// The picture that an entry expects.
    static func expected(_ entry: JSON) throws -> Picture {
        try stored(try entry.text("pixels"), entry.number("width"), entry.number("height"), entry.number("channels"))
    }

    /// Raw pixels as a picture.
    static func stored(_ name: String, _ width: Int, _ height: Int, _ channels: Int = 3) throws -> Picture {
        let bytes = try bytes(name)
        try #require(bytes.count == width * height * channels)
        return Picture(width: width, height: height, channels: channels, bytes: bytes)
    }
}

/// What scripts/fixtures/geometry.py made: pictures that libraries brought to a network's input.
enum GeometryFixtures {
    static let folder = Paths.tests + "/Fixtures/geometry/"

    static let manifest = Result { try JSON(parsing: readFile(folder + "manifest.json")) }
    static let pixels = Result { try readFile(folder + "pixels.bin") }

    static func cases() throws -> [JSON] { try #require(manifest.get()["cases"]?.arrayValue) }

    static func source(_ entry: JSON) throws -> Picture {
        let name = try entry.text("source")
        let size = try #require(manifest.get()["sources"]?[name])
        return Picture(
            width: try size.number("width"), height: try size.number("height"), channels: 3,
            bytes: try readFile(folder + name + ".bin"))
    }

    static func expected(_ entry: JSON) throws -> Picture {
        let (width, height) = (try entry.number("width"), try entry.number("height"))
        let (channels, start) = (try entry.number("channels"), try entry.number("at"))
        let bytes = Array(try pixels.get()[start..<start + width * height * channels])
        return Picture(width: width, height: height, channels: channels, bytes: bytes)
    }
}

enum Paths {
    static let tests = String(#filePath[..<(#filePath.lastIndex(of: "/") ?? #filePath.startIndex)])
    /// Fixtures that are not part of the project, where they happen to be there.
    static let shared = tests + "/../../../shared/fixtures/"

    static var hasShared: Bool { access(shared + "preprocess/manifest.json", R_OK) == 0 }
}

func readFile(_ path: String) throws -> [UInt8] { try FileSystem.read(path) }

extension JSON {
    func text(_ key: String) throws -> String { try #require(self[key]?.stringValue) }
    func number(_ key: String) throws -> Int { try #require(self[key]?.intValue) }
}

extension Picture {
    /// The largest difference between two pictures' levels; 256 where their shapes differ.
    func distance(to other: Picture) -> Int {
        guard width == other.width, height == other.height, channels == other.channels else { return 256 }
        return zip(bytes, other.bytes).map { abs(Int($0) - Int($1)) }.max() ?? 0
    }
}
