// AVIF (AOMedia's AV1 Image File Format) through libavif, the library that Pillow uses, with its settings.

internal import CFinetuneAVIF

/// The first picture of an AVIF.
enum AVIFDecoder {
    static func decode(_ bytes: UnsafeRawBufferPointer, _ limits: CodecLimits) throws -> CodecOutput {
        guard let decoder = avifDecoderCreate() else { throw CodecFailure(.noMemory) }
        defer { avifDecoderDestroy(decoder) }
        decoder.pointee.strictFlags = 0
        decoder.pointee.maxThreads = 1
        decoder.pointee.imageSizeLimit = UInt32(clamping: limits.pixelLimit)
        try check(avifDecoderSetIOMemory(decoder, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count))
        try check(avifDecoderParse(decoder))
        guard let claimed = decoder.pointee.image?.pointee else { throw CodecFailure(.damaged, "no picture") }
        try limits.check(width: Int(claimed.width), height: Int(claimed.height))
        try limits.willDecode(Int(claimed.width) * Int(claimed.height))
        try check(avifDecoderNextImage(decoder))
        guard let image = decoder.pointee.image else { throw CodecFailure(.damaged, "no picture") }
        let (width, height) = (Int(image.pointee.width), Int(image.pointee.height))
        guard width == claimed.width, height == claimed.height else { throw CodecFailure(.damaged, "two sizes") }
        var result = CodecPixels(
            width: width, height: height, orientation: Int(finetune_avif_orientation(image)),
            bytes: try pixels(image, count: width * height))
        if result.orientation == 1 { result.notes = (notes(image.pointee.exif), notes(image.pointee.xmp)) }
        return .pixels(result)
    }

    /// Notes of a usual length; longer ones say nothing of an orientation.
    private static func notes(_ data: avifRWData) -> [UInt8] {
        data.size <= 1 << 20 ? Array(UnsafeBufferPointer(start: data.data, count: data.size)) : []
    }

    /// Red, green and blue. Of more than 8 bits the upper 8 count, as libavif has it from release 1 on.
    private static func pixels(_ image: UnsafePointer<avifImage>, count: Int) throws -> [UInt8] {
        guard image.pointee.depth > 8 else { return try converted(image, count: count) }
        guard let narrowed = finetune_avif_narrowed(image) else { throw CodecFailure(.noMemory) }
        defer { avifImageDestroy(narrowed) }
        return try converted(narrowed, count: count)
    }

    /// Colors that were multiplied by their alpha are divided by it; then alpha is dropped.
    private static func converted(_ image: UnsafePointer<avifImage>, count: Int) throws -> [UInt8] {
        let hasAlpha = image.pointee.alphaPlane != nil
        let channels = hasAlpha ? 4 : 3
        var pixels = try [UInt8](unsafeUninitializedCapacity: count * channels) { out, written in
            try check(finetune_avif_convert(image, hasAlpha ? 1 : 0, out.baseAddress))
            written = count * channels
        }
        guard hasAlpha else { return pixels }
        for pixel in 0..<count {
            for channel in 0..<3 { pixels[3 * pixel + channel] = pixels[4 * pixel + channel] }
        }
        pixels.removeLast(count)
        return pixels
    }

    private static func check(_ result: avifResult) throws {
        switch result {
        case AVIF_RESULT_OK: return
        case AVIF_RESULT_TRUNCATED_DATA: throw CodecFailure(.truncated)
        case AVIF_RESULT_OUT_OF_MEMORY: throw CodecFailure(.noMemory)
        case AVIF_RESULT_NO_CODEC_AVAILABLE: throw CodecFailure(.noCodec, "libdav1d-dev")
        case AVIF_RESULT_NOT_IMPLEMENTED: throw CodecFailure(.unsupported, "a feature that libavif does not know")
        default: throw CodecFailure(.damaged, String(cString: avifResultToString(result)))
        }
    }
}
