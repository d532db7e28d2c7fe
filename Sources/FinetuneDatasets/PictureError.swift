// Why bytes are no picture, in words that follow "cannot decode …: ".

/// A file that cannot be decoded.
package struct PictureError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    static func damaged(_ format: String, _ reason: String) -> PictureError {
        PictureError(description: "damaged \(format): \(reason)")
    }

    static func tooLarge(_ format: String, _ width: Int, _ height: Int) -> PictureError {
        PictureError(description: "\(format) of \(width)×\(height) pixels, at most \(Picture.maximumPixels) pixels are decoded")
    }

    /// What the bytes are that are none of our formats.
    static func unknown(_ bytes: [UInt8]) -> PictureError {
        let text = String(decoding: bytes.prefix(64), as: UTF8.self).lowercased()
        let found =
            if bytes.isEmpty {
                "an empty file"
            } else if bytes.starts(with: Array("GIF8".utf8)) {
                "a GIF"
            } else if bytes.dropFirst(4).starts(with: Array("ftyp".utf8)) {
                "a HEIC or AVIF file"
            } else if text.contains("<!doctype") || text.contains("<html") {
                "a web page"
            } else if text.contains("<svg") || text.hasPrefix("<?xml") {
                "a drawing (SVG or XML)"
            } else if text.hasPrefix("version https://git-lfs") {
                "a git-lfs pointer"
            } else if bytes.starts(with: Array("%PDF".utf8)) {
                "a PDF"
            } else {
                "no picture"
            }
        return PictureError(description: "\(found), expected JPEG, PNG, WebP, TIFF or BMP")
    }
}
