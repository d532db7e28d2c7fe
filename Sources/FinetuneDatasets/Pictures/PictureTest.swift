// One small picture of each kind that the helper decodes: whether its libraries are there and decode as they should.

internal import FinetuneModels

/// A picture of two colors, red at the left and blue at the right, and whether it is decoded.
package struct PictureTest: Sendable {
    /// The kind of picture.
    package let name: String
    /// What decodes it.
    package let decoder: String
    private let file: String

    /// What lossy compression may change.
    private static let tolerance = 12
    private static let colors: [(column: Int, color: [UInt8])] = [(2, [200, 60, 30]), (13, [20, 90, 220])]

    /// Why the picture is not decoded as it should be; nil if it is.
    package var failure: PictureError? {
        do {
            let picture = try Picture(decoding: bytes, exif: .upright)
            guard picture.width == 16, picture.height == 8 else { return .wrongPixels(name) }
            for (column, color) in Self.colors {
                let start = (4 * picture.width + column) * 3
                let isNear = zip(picture.bytes[start..<start + 3], color).allSatisfy {
                    abs(Int($0) - Int($1)) <= Self.tolerance
                }
                guard isNear else { return .wrongPixels(name) }
            }
            return nil
        } catch {
            return error as? PictureError ?? .damaged(name, "\(error)")
        }
    }

    /// The file, which is base 64.
    var bytes: [UInt8] {
        var (held, count): (UInt32, UInt32) = (0, 0)
        var bytes: [UInt8] = []
        for letter in file.utf8 where letter != 0x3D {
            guard let value = Self.letters.firstIndex(of: letter) else { continue }
            held = held << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: held >> count))
            }
        }
        return bytes
    }

    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// By Pillow, pillow-heif and pillow-jxl-plugin.
    package static let all = [
        PictureTest(
            name: "HEIC", decoder: "libheif",
            file: "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
                + "ACJpbG9jAAAAAERAAAEAAQAAAAABoAABAAAAAAAAAEAAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRt"
                + "AAAAAAABAAAA/GlwcnAAAADcaXBjbwAAAHVodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMA"
                + "AAMAHroCQGEAAQApQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqrprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybmNs"
                + "eAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFwAAAAEAAAAAEAAAAIAAAAAf///9AAAAAC////yAAAAAIAAAAQcGl4"
                + "aQAAAAADCAgIAAAAGGlwbWEAAAAAAAAAAQABBYECAwWEAAAASG1kYXQAAAA8KAGvCcheoNAjmJb/I//2/yEgmP8qRXFXH3+Gn3bQ"
                + "Xr6u1TJvzfTzUxq72cQGD6DqI0Vy1U6A4yhiq9p8"),
        PictureTest(
            name: "AVIF", decoder: "libavif",
            file: "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUIAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAA"
                + "AAAAAAAOcGl0bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAETAAAAMQAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAAEA"
                + "AGF2MDFDb2xvcgAAAABqaXBycAAAAEtpcGNvAAAAFGlzcGUAAAAAAAAAEAAAAAgAAAAQcGl4aQAAAAADCAgIAAAADGF2MUOBAAwA"
                + "AAAAE2NvbHJuY2x4AAEADQAGgAAAABdpcG1hAAAAAAAAAAEAAQQBAoMEAAAAOW1kYXQSAAoIGAy/tEBDQaEyIxeHh4YhhJJJJlAA"
                + "AADLqPQawNIpGXoRwsNaN4p6t7k8j8wg"),
        PictureTest(
            name: "JPEG XL", decoder: "libjxl",
            file: "/wrBQSQIAAEAfABLGIsVANSIjDFGshcIAQCXEhcA0pPwLIExTBxQgVwC"),
    ]
}
