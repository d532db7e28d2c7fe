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

    static func decode(_ bytes: PictureBytes, pixelLimit: Int, _ depth: PictureDepth) throws -> DecodedPicture {
        let decoder = try PNGDecoder()
        try decoder.check(spng_set_chunk_limits(decoder.context, chunkLimit, chunkLimit))
        try decoder.check(spng_set_png_buffer(decoder.context, bytes.address, bytes.count))
        var decoded = try decoder.pixels(pixelLimit: pixelLimit, depth)
        decoded.orientation = decoder.orientation()
        return decoded
    }

    /// Palette, gray and interlacing all become RGB; transparency is not asked for.
    private func pixels(pixelLimit: Int, _ depth: PictureDepth) throws -> DecodedPicture {
        var header = spng_ihdr()
        try check(spng_get_ihdr(context, &header))
        let (width, height) = (Int(header.width), Int(header.height))
        let byteCount = try Picture.byteCount(width: width, height: height, pixelLimit: pixelLimit)
        if header.bit_depth == 16 { return try deepPixels(width, height).picture(depth) }
        let bytes = try [UInt8](unsafeUninitializedCapacity: byteCount) { out, written in
            try check(spng_decode_image(context, out.baseAddress, byteCount, Int32(SPNG_FMT_RGB8.rawValue), 0))
            written = byteCount
        }
        return DecodedPicture(
            picture: Picture(width: width, height: height, channels: 3, bytes: bytes), orientation: .upright)
    }

    /// The numbers of a file of 16 bits, in the channels that it has.
    private func deepPixels(_ width: Int, _ height: Int) throws -> PictureSamples {
        var count = 0
        try check(spng_decoded_image_size(context, Int32(SPNG_FMT_PNG.rawValue), &count))
        guard count % (2 * width * height) == 0, count > 0 else { throw PictureError.damaged("PNG", "its size") }
        let bytes = try [UInt8](unsafeUninitializedCapacity: count) { out, written in
            try check(spng_decode_image(context, out.baseAddress, count, Int32(SPNG_FMT_PNG.rawValue), 0))
            written = count
        }
        return PictureSamples(
            width: width, height: height, channels: count / (2 * width * height), bits: 16, bytes: bytes)
    }

    private func orientation() -> Orientation {
        // Such data may stand behind the pixels. Damage there does not touch the picture, so it is no error.
        guard spng_decode_chunks(context) == 0 else { return .upright }
        var exif = spng_exif()
        let hasExif = spng_get_exif(context, &exif) == 0 && exif.data != nil
        return withText("XML:com.adobe.xmp") { xmp in
            Orientation(
                exif: hasExif ? PictureBytes(UnsafeRawBufferPointer(start: exif.data, count: exif.length)) : nil,
                xmp: xmp)
        }
    }

    /// Hands over the last text under a keyword, unpacked; nil if there is none.
    private func withText<Result>(_ keyword: String, _ body: (PictureBytes?) -> Result) -> Result {
        var count: UInt32 = 0
        guard spng_get_text(context, nil, &count) == 0, count > 0 else { return body(nil) }
        var texts = [spng_text](repeating: spng_text(), count: Int(count))
        guard spng_get_text(context, &texts, &count) == 0 else { return body(nil) }
        let found = texts.last { text in
            withUnsafeBytes(of: text.keyword) { $0.starts(with: Array(keyword.utf8) + [0]) }
        }
        guard let found, let start = found.text else { return body(nil) }
        return body(PictureBytes(UnsafeRawBufferPointer(start: start, count: found.length)))
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
