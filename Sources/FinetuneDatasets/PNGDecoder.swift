// PNG (third edition, W3C) through libspng.

import CFinetunePNG

/// A libspng context that reads from memory.
struct PNGDecoder: ~Copyable {
    private let context: OpaquePointer

    /// The most bytes that one chunk of extra data, and all of them, may take.
    private static let chunkLimit = 64 << 20

    private init() throws {
        guard let context = spng_ctx_new(0) else { throw PictureError.noMemory("PNG") }
        self.context = context
    }

    deinit { spng_ctx_free(context) }

    static func decode(_ bytes: PictureBytes, pixelLimit: Int) throws -> DecodedPicture {
        let decoder = try PNGDecoder()
        try decoder.check(spng_set_chunk_limits(decoder.context, chunkLimit, chunkLimit))
        try decoder.check(spng_set_png_buffer(decoder.context, bytes.address, bytes.count))
        let picture = try decoder.pixels(pixelLimit: pixelLimit)
        return DecodedPicture(picture: picture, orientation: decoder.orientation())
    }

    /// Palette, gray, 16 bits and interlacing all become RGB; transparency is not asked for.
    private func pixels(pixelLimit: Int) throws -> Picture {
        var header = spng_ihdr()
        try check(spng_get_ihdr(context, &header))
        let (width, height) = (Int(header.width), Int(header.height))
        let byteCount = try Picture.byteCount(width: width, height: height, pixelLimit: pixelLimit)
        let bytes = try [UInt8](unsafeUninitializedCapacity: byteCount) { out, written in
            try check(spng_decode_image(context, out.baseAddress, byteCount, Int32(SPNG_FMT_RGB8.rawValue), 0))
            written = byteCount
        }
        return Picture(width: width, height: height, channels: 3, bytes: bytes)
    }

    private func orientation() -> Orientation {
        var exif = spng_exif()
        // EXIF data may stand behind the pixels. Damage there does not touch the picture, so it is no error.
        guard spng_decode_chunks(context) == 0, spng_get_exif(context, &exif) == 0, let data = exif.data else {
            return .upright
        }
        return Orientation(exif: PictureBytes(UnsafeRawBufferPointer(start: data, count: exif.length)))
    }

    private func check(_ status: Int32) throws {
        switch status {
        case 0: return
        case SPNG_IO_EOF.rawValue, Int32(SPNG_EIDAT_TOO_SHORT.rawValue): throw PictureError.truncated("PNG")
        case Int32(SPNG_EMEM.rawValue): throw PictureError.noMemory("PNG")
        default: throw PictureError.damaged("PNG", String(cString: spng_strerror(status)))
        }
    }
}
