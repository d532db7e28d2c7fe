// The formats that pictures come in, each decoded by its library: bytes in, pixels and EXIF orientation out.

internal import CFinetuneJPEG
internal import CFinetunePNG
internal import CFinetuneTIFF
internal import CFinetuneWebP

enum PictureFormat {
    /// Decodes a file of any known format.
    static func decode(_ bytes: [UInt8]) throws -> (Picture, orientation: Int) {
        if bytes.starts(with: [0xFF, 0xD8, 0xFF]) { return try jpeg(bytes) }
        if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return try png(bytes) }
        if bytes.starts(with: Array("RIFF".utf8)), bytes.dropFirst(8).starts(with: Array("WEBP".utf8)) { return try webp(bytes) }
        if bytes.starts(with: [0x49, 0x49, 42, 0]) || bytes.starts(with: [0x4D, 0x4D, 0, 42]) { return try tiff(bytes) }
        if bytes.starts(with: Array("BM".utf8)) { return (try BMP.decode(bytes), 1) }
        throw PictureError.unknown(bytes)
    }

    /// Checks the size that a header declares before anything is allocated for it.
    private static func check(_ format: String, _ width: Int, _ height: Int) throws {
        guard width > 0, height > 0 else { throw PictureError.damaged(format, "it has no pixels") }
        guard width <= Picture.maximumPixels / height else { throw PictureError.tooLarge(format, width, height) }
    }

    // MARK: JPEG (libjpeg-turbo)

    private static func jpeg(_ bytes: [UInt8]) throws -> (Picture, Int) {
        guard let handle = tjInitDecompress() else { throw PictureError.damaged("JPEG", "no decoder") }
        defer { tjDestroy(handle) }
        func message() -> String { String(cString: tjGetErrorStr2(handle)).lowercasedFirst }
        var (width, height, subsampling, space): (Int32, Int32, Int32, Int32) = (0, 0, 0, 0)
        guard tjDecompressHeader3(handle, bytes, UInt(bytes.count), &width, &height, &subsampling, &space) == 0 else {
            throw PictureError.damaged("JPEG", message())
        }
        try check("JPEG", Int(width), Int(height))
        let isCMYK = space == Int32(TJCS_CMYK.rawValue) || space == Int32(TJCS_YCCK.rawValue)
        let format = isCMYK ? TJPF_CMYK : TJPF_RGB
        let samples = isCMYK ? 4 : 3
        var failure: PictureError?
        let pixels = [UInt8](unsafeUninitializedCapacity: Int(width) * Int(height) * samples) { buffer, count in
            let status = tjDecompress2(
                handle, bytes, UInt(bytes.count), buffer.baseAddress, width, 0, height, Int32(format.rawValue), 0)
            if status != 0 {
                // A warning leaves a picture; one of missing data leaves half of one, which nobody should train on.
                let isFatal = tjGetErrorCode(handle) == Int32(TJERR_FATAL.rawValue)
                let text = message()
                if isFatal || text.contains("premature end") { failure = .damaged("JPEG", text) }
            }
            count = buffer.count
        }
        if let failure { throw failure }
        let segments = JPEGSegments(bytes)
        let rgb = isCMYK ? rgb(cmyk: pixels, isInverted: segments.isAdobe) : pixels
        return (Picture(width: Int(width), height: Int(height), bytes: rgb), segments.orientation)
    }

    /// Pillow's conversion, with its rounding. Adobe's programs store the inks inverted.
    private static func rgb(cmyk: [UInt8], isInverted: Bool) -> [UInt8] {
        var rgb: [UInt8] = []
        rgb.reserveCapacity(cmyk.count / 4 * 3)
        for start in stride(from: 0, to: cmyk.count, by: 4) {
            let black = isInverted ? Int(cmyk[start + 3]) : 255 - Int(cmyk[start + 3])
            for channel in 0..<3 {
                let ink = isInverted ? 255 - Int(cmyk[start + channel]) : Int(cmyk[start + channel])
                let product = ink * black + 128
                rgb.append(UInt8(clamping: black - ((product >> 8) + product) >> 8))
            }
        }
        return rgb
    }

    // MARK: PNG (libspng)

    private static func png(_ bytes: [UInt8]) throws -> (Picture, Int) {
        guard let context = spng_ctx_new(0) else { throw PictureError.damaged("PNG", "no decoder") }
        defer { spng_ctx_free(context) }
        func check(_ status: Int32) throws {
            guard status == 0 else { throw PictureError.damaged("PNG", String(cString: spng_strerror(status))) }
        }
        return try bytes.withUnsafeBytes { file in
            try check(spng_set_crc_action(context, Int32(SPNG_CRC_USE.rawValue), Int32(SPNG_CRC_USE.rawValue)))
            try check(spng_set_chunk_limits(context, 64 << 20, 128 << 20))
            try check(spng_set_png_buffer(context, file.baseAddress, file.count))
            var header = spng_ihdr()
            try check(spng_get_ihdr(context, &header))
            try self.check("PNG", Int(header.width), Int(header.height))
            let size = Int(header.width) * Int(header.height) * 3
            var status: Int32 = 0
            let pixels = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                status = spng_decode_image(context, buffer.baseAddress, size, Int32(SPNG_FMT_RGB8.rawValue), 0)
                count = size
            }
            try check(status)
            var exif = spng_exif()
            var orientation = 1
            if spng_get_exif(context, &exif) == 0, let data = exif.data {
                orientation = ExifOrientation.read(Array(UnsafeRawBufferPointer(start: data, count: exif.length)))
            }
            return (Picture(width: Int(header.width), height: Int(header.height), bytes: pixels), orientation)
        }
    }

    // MARK: WebP (libwebp)

    private static func webp(_ bytes: [UInt8]) throws -> (Picture, Int) {
        var (width, height): (Int32, Int32) = (0, 0)
        guard WebPGetInfo(bytes, bytes.count, &width, &height) != 0 else {
            throw PictureError.damaged("WebP", "its header makes no sense")
        }
        try check("WebP", Int(width), Int(height))
        let size = Int(width) * Int(height) * 3
        var isDecoded = false
        let pixels = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            isDecoded = WebPDecodeRGBInto(bytes, bytes.count, buffer.baseAddress, size, width * 3) != nil
            count = size
        }
        guard isDecoded else { throw PictureError.damaged("WebP", "it is cut short, animated or corrupt") }
        return (Picture(width: Int(width), height: Int(height), bytes: pixels), webpOrientation(bytes))
    }

    private static func webpOrientation(_ bytes: [UInt8]) -> Int {
        var position = 12
        while position + 8 <= bytes.count {
            let size = (0..<4).reduce(0) { $0 | Int(bytes[position + 4 + $1]) << (8 * $1) }
            let content = position + 8
            guard size <= bytes.count - content else { return 1 }
            if bytes[position...].starts(with: Array("EXIF".utf8)) {
                return ExifOrientation.read(Array(bytes[content..<content + size]))
            }
            position = content + size + size % 2
        }
        return 1
    }

    // MARK: TIFF (libtiff)

    private static func tiff(_ bytes: [UInt8]) throws -> (Picture, Int) {
        try bytes.withUnsafeBufferPointer { buffer in
            var memory = finetune_tiff_memory(bytes: buffer.baseAddress, count: UInt64(buffer.count), position: 0)
            return try withUnsafeMutablePointer(to: &memory) { memory in
                guard let file = finetune_tiff_open(memory) else {
                    throw PictureError.damaged("TIFF", "its directory makes no sense")
                }
                defer { TIFFClose(file) }
                var (width, height, orientation): (UInt32, UInt32, UInt16) = (0, 0, 1)
                guard finetune_tiff_header(file, &width, &height, &orientation) != 0 else {
                    throw PictureError.damaged("TIFF", "it does not say its size")
                }
                try check("TIFF", Int(width), Int(height))
                let count = Int(width) * Int(height)
                var raster = [UInt32](repeating: 0, count: count)
                // Asked for in the file's own orientation, rows come as they are stored.
                guard TIFFReadRGBAImageOriented(file, width, height, &raster, Int32(orientation), 1) != 0 else {
                    throw PictureError.damaged("TIFF", "it is cut short, corrupt or of a kind that libtiff does not show")
                }
                let pixels = [UInt8](unsafeUninitializedCapacity: 3 * count) { buffer, initialized in
                    for (index, pixel) in raster.enumerated() {
                        buffer[3 * index] = UInt8(truncatingIfNeeded: pixel)
                        buffer[3 * index + 1] = UInt8(truncatingIfNeeded: pixel >> 8)
                        buffer[3 * index + 2] = UInt8(truncatingIfNeeded: pixel >> 16)
                    }
                    initialized = 3 * count
                }
                return (Picture(width: Int(width), height: Int(height), bytes: pixels), Int(orientation))
            }
        }
    }
}

extension String {
    fileprivate var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}
