// What a file is, from its first bytes. Names and extensions are never asked.

/// A kind of picture that this room reads.
package enum PictureFormat: Int, Sendable, CaseIterable {
    case jpeg = 1
    case png, webP, tiff, bmp

    /// As people write it.
    package var name: String {
        switch self {
        case .jpeg: "JPEG"
        case .png: "PNG"
        case .webP: "WebP"
        case .tiff: "TIFF"
        case .bmp: "BMP"
        }
    }

    /// What the ending of a file's name claims that it is, in small letters; nil where it claims nothing.
    init?(ending: String) {
        switch ending {
        case "jpg", "jpeg", "jpe", "jfif": self = .jpeg
        case "png": self = .png
        case "webp": self = .webP
        case "tif", "tiff": self = .tiff
        case "bmp", "dib": self = .bmp
        default: return nil
        }
    }

    /// What a whole file is; nil where it is no picture that is read.
    package init?(of bytes: [UInt8]) {
        guard let format = try? bytes.withUnsafeBytes({ try PictureFormat(recognising: PictureBytes($0)) }) else {
            return nil
        }
        self = format
    }

    /// - Throws: `PictureError` that names what the bytes are instead.
    init(recognising bytes: PictureBytes) throws {
        if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
            self = .jpeg
        } else if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
            self = .png
        } else if bytes.starts(with: "RIFF"), bytes.starts(with: "WEBP", at: 8) {
            self = .webP
        } else if Self.tiffMarks.contains(where: bytes.starts(with:)) {
            self = .tiff
        } else if bytes.starts(with: "BM") {
            self = .bmp
        } else {
            throw Self.refusal(of: bytes)
        }
    }

    /// Both byte orders, for files up to and over 4 GiB.
    private static let tiffMarks: [[UInt8]] = [
        [0x49, 0x49, 42, 0], [0x4D, 0x4D, 0, 42], [0x49, 0x49, 43, 0], [0x4D, 0x4D, 0, 43],
    ]

    private static let otherPictures: [(mark: StaticString, offset: Int, kind: String)] = [
        ("GIF8", 0, "a GIF"), ("8BPS", 0, "a Photoshop document"), ("jP  ", 4, "a JPEG 2000"),
        ("JXL ", 4, "a JPEG XL"), ("ftypavif", 4, "an AVIF"), ("ftypavis", 4, "an AVIF"),
        ("ftyphei", 4, "a HEIC"), ("ftyphev", 4, "a HEIC"), ("ftypmif1", 4, "a HEIC or AVIF"),
        ("ftypmsf1", 4, "a HEIC or AVIF"), ("DDS ", 0, "a DirectDraw surface"), ("qoif", 0, "a QOI"),
        ("DICM", 128, "a DICOM"), ("SIMPLE  =", 0, "a FITS"),
    ]

    private static let otherFiles: [(mark: StaticString, kind: String)] = [
        ("%PDF", "a PDF"), ("PK\u{3}\u{4}", "a zip archive"), ("Rar!", "a RAR archive"),
        ("RIFF", "a sound or a film"), ("OggS", "a sound or a film"), ("{", "JSON or other text"),
    ]

    private static func refusal(of bytes: PictureBytes) -> PictureError {
        guard bytes.count > 0 else { return .empty }
        if bytes.starts(with: "version https://git-lfs") { return .gitPointer }
        for (mark, offset, kind) in otherPictures where bytes.starts(with: mark, at: offset) {
            return .otherPicture(kind)
        }
        if bytes.starts(with: [0xFF, 0x0A]) { return .otherPicture("a JPEG XL") }
        if bytes.starts(with: [0, 0, 1, 0]) { return .otherPicture("a Windows icon") }
        if bytes.starts(with: [0x1F, 0x8B]) { return .notAPicture("gzip-compressed data") }
        if bytes.starts(with: [0x89, 0x48, 0x44, 0x46]) { return .notAPicture("an HDF5 file") }
        if bytes.starts(with: [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]) { return .notAPicture("a NumPy array") }
        if bytes.starts(with: "ftyp", at: 4) { return .notAPicture("a film") }
        for (mark, kind) in otherFiles where bytes.starts(with: mark) { return .notAPicture(kind) }
        return markup(bytes) ?? rest(bytes)
    }

    /// SVG and web pages begin with any of several tags, after any white space.
    private static func markup(_ bytes: PictureBytes) -> PictureError? {
        let head = String(decoding: bytes.buffer.prefix(512), as: UTF8.self).lowercased()
        guard let first = head.first(where: { !$0.isWhitespace && $0 != "\u{FEFF}" }), first == "<" else { return nil }
        if occurs("<svg", in: head) { return .otherPicture("an SVG, a drawing without pixels") }
        if occurs("<!doctype html", in: head) || occurs("<html", in: head) { return .notAPicture("a web page (HTML)") }
        return .notAPicture("XML or other markup")
    }

    private static func occurs(_ word: String, in text: String) -> Bool {
        var rest = text.utf8[...]
        while rest.count >= word.utf8.count {
            if rest.starts(with: word.utf8) { return true }
            rest.removeFirst()
        }
        return false
    }

    private static func rest(_ bytes: PictureBytes) -> PictureError {
        let head = bytes.buffer.prefix(64)
        if bytes.buffer.prefix(4096).allSatisfy({ $0 == 0 }) { return .notAPicture("nothing but zeros") }
        if head.allSatisfy({ $0 == 9 || $0 == 10 || $0 == 13 || (0x20..<0x7F).contains($0) }) {
            return .notAPicture("plain text")
        }
        let digits = head.prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        return .unknown(firstBytes: digits.joined(separator: " "))
    }
}
