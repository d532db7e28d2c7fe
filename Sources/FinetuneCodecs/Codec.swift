// The kinds of pictures whose libraries have failed on hostile files before: they are decoded in a process of their own.

/// A kind of picture that this room decodes.
package enum Codec: String, Sendable, CaseIterable {
    case heic, avif, jxl

    /// Decodes a whole file.
    ///
    /// - Throws: `CodecFailure` for anything that is not a whole picture of this kind within the limits.
    package func decode(_ bytes: UnsafeRawBufferPointer, _ limits: CodecLimits) throws -> CodecOutput {
        switch self {
        case .heic: try HEICDecoder.decode(bytes, limits)
        case .avif: try AVIFDecoder.decode(bytes, limits)
        case .jxl: try JXLDecoder.decode(bytes, limits)
        }
    }

    /// Loads what the libraries load at their first use: a process that is confined cannot.
    package static func prepare() { HEICDecoder.prepare() }
}

/// What a decoder makes of a file.
package enum CodecOutput {
    case pixels(CodecPixels)
    /// The JPEG that a JPEG XL was made from.
    case jpeg([UInt8])
}

/// Pixels without alpha.
package struct CodecPixels {
    package let width: Int
    package let height: Int
    /// 3 (red, green, blue) or 1 (gray).
    package let channels: Int
    /// 8, or 16 in the machine's byte order.
    package let bits: Int
    /// The EXIF number of the turn that the container asks for and that is not yet made: 1…8.
    package let orientation: Int
    /// Shape `[height, width, channels]`, row-major.
    package let bytes: [UInt8]
    /// EXIF data and an XMP packet, which may say an orientation if the container does not; empty otherwise.
    package var notes: (exif: [UInt8], xmp: [UInt8]) = ([], [])

    init(width: Int, height: Int, channels: Int = 3, bits: Int = 8, orientation: Int = 1, bytes: [UInt8]) {
        (self.width, self.height, self.channels, self.bits) = (width, height, channels, bits)
        (self.orientation, self.bytes) = (orientation, bytes)
    }
}

/// What a picture may claim.
package struct CodecLimits {
    package let pixelLimit: Int
    package let sideLimit: Int
    /// Is called with the number of pixels once it is known, before they are decoded.
    package let willDecode: (_ pixels: Int) throws -> Void

    package init(pixelLimit: Int, sideLimit: Int, willDecode: @escaping (_ pixels: Int) throws -> Void = { _ in }) {
        (self.pixelLimit, self.sideLimit, self.willDecode) = (pixelLimit, sideLimit, willDecode)
    }

    /// Checks a size that a file claims.
    ///
    /// - Parameter blocks: A side may be longer than the picture's by less than so many pixels.
    func check(width: Int, height: Int, blocks: Int = 1) throws {
        guard width > 0, height > 0 else { throw CodecFailure(.noPixels, "\(width) × \(height)") }
        let most = pixelLimit + (blocks - 1) * (min(width, sideLimit) + min(height, sideLimit) + blocks)
        let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
        guard width <= sideLimit, height <= sideLimit, !overflow, pixels <= most else {
            throw CodecFailure(.tooLarge, "\(width) × \(height)")
        }
    }
}

/// Why a file was refused.
package struct CodecFailure: Error, CustomStringConvertible {
    package enum Kind: String, Sendable {
        case damaged, truncated, unsupported, noMemory
        /// The library lacks the codec; the detail is the Debian package that has it.
        case noCodec
        /// The detail is the size.
        case noPixels, tooLarge
    }

    package let kind: Kind
    /// The library's own words, or a size.
    package let detail: String

    init(_ kind: Kind, _ detail: String = "") { (self.kind, self.detail) = (kind, detail) }

    package var description: String { "\(kind.rawValue) \(detail)" }
}
