// What a file is, from its first bytes. Names and extensions are never asked.

/// A kind of picture that this room reads.
package enum PictureFormat: Int, Sendable, CaseIterable {
    case jpeg = 1
    case png, webP, tiff, bmp, heic, avif, jpegXL, gif, netpbm

    /// As people write it.
    package var name: String {
        switch self {
        case .jpeg: "JPEG"
        case .png: "PNG"
        case .webP: "WebP"
        case .tiff: "TIFF"
        case .bmp: "BMP"
        case .heic: "HEIC"
        case .avif: "AVIF"
        case .jpegXL: "JPEG XL"
        case .gif: "GIF"
        case .netpbm: "PNM"
        }
    }

    /// All of them, for a sentence.
    package static let list: String = {
        let names = [jpeg, png, webP, tiff, bmp, gif, heic, avif, jpegXL, netpbm].map(\.name)
        return names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
    }()

    /// The endings of files that are pictures of these kinds, in small letters.
    package static let endings: Set<String> = [
        "jpg", "jpeg", "jpe", "jfif", "png", "webp", "tif", "tiff", "bmp", "dib", "gif", "heic", "heif", "hif", "avif",
        "jxl", "ppm", "pgm", "pbm", "pnm",
    ]

    /// The name by which finetune-read-pictures knows it; nil for a kind that this process decodes itself.
    var codec: String? {
        switch self {
        case .heic: "heic"
        case .avif: "avif"
        case .jpegXL: "jxl"
        default: nil
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
        case "gif": self = .gif
        case "heic", "heif", "hif", "heics", "heifs": self = .heic
        case "avif", "avifs": self = .avif
        case "jxl": self = .jpegXL
        case "ppm", "pgm", "pbm", "pnm": self = .netpbm
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
        } else if bytes.starts(with: "GIF87a") || bytes.starts(with: "GIF89a") {
            self = .gif
        } else if bytes.starts(with: [0xFF, 0x0A]) || bytes.starts(with: Self.jpegXLBox) {
            self = .jpegXL
        } else if Self.isNetpbm(bytes) {
            self = .netpbm
        } else if let format = Self.mediaFormat(bytes) {
            self = format
        } else {
            throw Self.refusal(of: bytes)
        }
    }

    /// Both byte orders, for files up to and over 4 GiB.
    private static let tiffMarks: [[UInt8]] = [
        [0x49, 0x49, 42, 0], [0x4D, 0x4D, 0, 42], [0x49, 0x49, 43, 0], [0x4D, 0x4D, 0, 43],
    ]

    private static let jpegXLBox: [UInt8] = [0, 0, 0, 12, 0x4A, 0x58, 0x4C, 0x20, 0x0D, 0x0A, 0x87, 0x0A]

    /// `P1` to `P6` and white space or a comment.
    private static func isNetpbm(_ bytes: PictureBytes) -> Bool {
        guard bytes[0] == 0x50, let kind = bytes[1], let next = bytes[2] else { return false }
        return (0x31...0x36).contains(kind) && (next == 0x20 || next == 0x23 || (0x09...0x0D).contains(next))
    }

    /// What the first box of an ISO base media file says: its brand, and those that it is compatible with.
    private static func mediaFormat(_ bytes: PictureBytes) -> PictureFormat? {
        guard bytes.starts(with: "ftyp", at: 4), let length = bytes.long(0, bigEndian: true) else { return nil }
        let end = min(length, bytes.count, 4096)
        // The version of the first brand stands behind it.
        let brands = ([8] + Array(stride(from: 16, to: max(16, end - 3), by: 4))).compactMap { place in
            bytes.slice(place, count: 4).map { String(decoding: $0.buffer, as: UTF8.self) }
        }
        for brand in brands {
            switch brand {
            case "avif", "avis": return .avif
            case "heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs": return .heic
            default: continue
            }
        }
        // Only the container is known; libheif tells what is in it.
        return brands.first == "mif1" || brands.first == "msf1" || brands.first == "mif2" ? .heic : nil
    }

    private static let otherPictures: [(mark: StaticString, offset: Int, kind: String)] = [
        ("8BPS", 0, "a Photoshop document"), ("jP  ", 4, "a JPEG 2000"), ("DDS ", 0, "a DirectDraw surface"),
        ("qoif", 0, "a QOI"), ("DICM", 128, "a DICOM"), ("SIMPLE  =", 0, "a FITS"), ("P7\n", 0, "a PAM"),
        ("PF\n", 0, "a PFM, with levels in floating point"), ("Pf\n", 0, "a PFM, with levels in floating point"),
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
        if bytes.starts(with: [0, 0, 1, 0]) { return .otherPicture("a Windows icon") }
        if bytes.starts(with: [0x1F, 0x8B]) { return .notAPicture("gzip-compressed data") }
        if bytes.starts(with: [0x89, 0x48, 0x44, 0x46]) { return .notAPicture("an HDF5 file") }
        if bytes.starts(with: [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]) { return .notAPicture("a NumPy array") }
        if bytes.starts(with: "ftyp", at: 4) { return .notAPicture("a film") }
        for (mark, kind) in otherFiles where bytes.starts(with: mark) { return .notAPicture(kind) }
        if isTarga(bytes) { return .otherPicture("a TGA") }
        return markup(bytes) ?? rest(bytes)
    }

    /// A TGA has a footer since its second version; before, only a header in which every number makes sense.
    private static func isTarga(_ bytes: PictureBytes) -> Bool {
        if bytes.starts(with: "TRUEVISION-XFILE", at: bytes.count - 18) { return true }
        guard let map = bytes[1], let kind = bytes[2], let mapLength = bytes.short(5), let mapBits = bytes[7],
            let width = bytes.short(12), let height = bytes.short(14), let bits = bytes[16], let flags = bytes[17],
            width > 0, height > 0, flags & 0xC0 == 0
        else { return false }
        switch kind {
        case 1, 9: return map == 1 && mapLength > 0 && [15, 16, 24, 32].contains(mapBits) && [8, 16].contains(bits)
        case 2, 10: return map <= 1 && [15, 16, 24, 32].contains(bits) && (map == 1 || mapLength == 0)
        case 3, 11: return map == 0 && mapLength == 0 && [8, 16].contains(bits)
        default: return false
        }
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
