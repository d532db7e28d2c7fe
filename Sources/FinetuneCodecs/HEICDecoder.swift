// HEIC (ISO/IEC 23008-12) through libheif: the primary picture, turned and cropped as its container asks.

internal import CFinetuneHEIF

/// The primary picture of a HEIC.
struct HEICDecoder: ~Copyable {
    private let handle: OpaquePointer

    /// Pixels on a side of the largest block that HEVC codes.
    private static let largestBlock = 64

    /// Loads the plugins that decode; from release 1.16 on they are files of their own.
    static func prepare() { _ = heif_init(nil) }

    static func decode(_ bytes: UnsafeRawBufferPointer, _ limits: CodecLimits) throws -> CodecOutput {
        guard let context = heif_context_alloc() else { throw CodecFailure(.noMemory) }
        defer { heif_context_free(context) }
        heif_context_set_max_decoding_threads(context, 0)
        try check(heif_context_read_from_memory_without_copy(context, bytes.baseAddress, bytes.count, nil))
        let decoder = try HEICDecoder(context)
        return .pixels(try decoder.pixels(limits))
    }

    private init(_ context: OpaquePointer) throws {
        var handle: OpaquePointer?
        try Self.check(heif_context_get_primary_image_handle(context, &handle))
        guard let handle else { throw CodecFailure(.damaged, "no primary picture") }
        self.handle = handle
    }

    deinit { heif_image_handle_release(handle) }

    private func pixels(_ limits: CodecLimits) throws -> CodecPixels {
        // The size in the file, which is that of whole blocks, and the one after turning and cropping.
        let stored = (heif_image_handle_get_ispe_width(handle), heif_image_handle_get_ispe_height(handle))
        let shown = (heif_image_handle_get_width(handle), heif_image_handle_get_height(handle))
        try limits.check(width: Int(stored.0), height: Int(stored.1), blocks: Self.largestBlock)
        try limits.check(width: Int(shown.0), height: Int(shown.1))
        try limits.willDecode(max(Int(stored.0) * Int(stored.1), Int(shown.0) * Int(shown.1)))
        if heif_image_handle_get_luma_bits_per_pixel(handle) <= 8 {
            let image = try DecodedImage(handle, heif_colorspace_RGB, heif_chroma_interleaved_RGB)
            return try image.interleaved(limits)
        }
        let image = try DecodedImage(handle, heif_colorspace_undefined, heif_chroma_undefined)
        return try image.narrowed(limits, ColorMatrix(image.colors(or: handle)))
    }

    fileprivate static func check(_ error: heif_error) throws {
        guard error.code != heif_error_Ok else { return }
        let words =
            error.message.map { String(cString: $0).split(whereSeparator: \.isNewline).joined(separator: " ") }
            ?? "no reason given"
        switch (error.code, error.subcode) {
        case (heif_error_Unsupported_feature, heif_suberror_Unsupported_codec):
            throw CodecFailure(.noCodec, "libheif-plugin-libde265")
        case (heif_error_Unsupported_feature, _), (heif_error_Unsupported_filetype, _):
            throw CodecFailure(.unsupported, "a feature that libheif does not know (\(words))")
        case (heif_error_Memory_allocation_error, heif_suberror_Security_limit_exceeded):
            throw CodecFailure(.damaged, words)
        case (heif_error_Memory_allocation_error, _): throw CodecFailure(.noMemory)
        case (_, heif_suberror_End_of_data): throw CodecFailure(.truncated)
        default: throw CodecFailure(.damaged, words)
        }
    }
}

/// What libheif decoded.
private struct DecodedImage: ~Copyable {
    private let image: OpaquePointer

    init(_ handle: OpaquePointer, _ space: heif_colorspace, _ chroma: heif_chroma) throws {
        guard let options = finetune_heif_options() else { throw CodecFailure(.noMemory) }
        defer { heif_decoding_options_free(options) }
        var image: OpaquePointer?
        try HEICDecoder.check(heif_decode_image(handle, &image, space, chroma, options))
        guard let image else { throw CodecFailure(.damaged, "no picture") }
        self.image = image
    }

    deinit { heif_image_release(image) }

    /// Red, green and blue of 8 bits each, as libheif made them.
    func interleaved(_ limits: CodecLimits) throws -> CodecPixels {
        let plane = try Plane(image, heif_channel_interleaved, bytesPerPixel: 3)
        try limits.check(width: plane.width, height: plane.height)
        guard heif_image_get_bits_per_pixel_range(image, heif_channel_interleaved) == 8 else {
            throw CodecFailure(.unsupported, "pixels of another size than it says")
        }
        let row = 3 * plane.width
        let bytes = [UInt8](unsafeUninitializedCapacity: row * plane.height) { out, written in
            for y in 0..<plane.height {
                for index in 0..<row { out[y &* row &+ index] = plane.start[y &* plane.stride &+ index] }
            }
            written = row * plane.height
        }
        return CodecPixels(width: plane.width, height: plane.height, bytes: bytes)
    }

    /// How its numbers mean colors: what its container says, or its stream.
    func colors(or handle: OpaquePointer) -> heif_color_profile_nclx? {
        var profile: UnsafeMutablePointer<heif_color_profile_nclx>?
        if heif_image_handle_get_nclx_color_profile(handle, &profile).code != heif_error_Ok || profile == nil {
            _ = heif_image_get_nclx_color_profile(image, &profile)
        }
        defer { if let profile { heif_nclx_color_profile_free(profile) } }
        return profile?.pointee
    }

    /// Red, green and blue from numbers of 9 to 16 bits, of which the upper 8 count before colors are made of them, as
    /// libheif has it in newer releases. Releases before 1.16 give red, green and blue of all bits; these are taken back to
    /// what they were made from.
    func narrowed(_ limits: CodecLimits, _ matrix: ColorMatrix) throws -> CodecPixels {
        let space = heif_image_get_colorspace(image)
        let channels =
            switch space {
            case heif_colorspace_RGB: [heif_channel_R, heif_channel_G, heif_channel_B]
            case heif_colorspace_monochrome: [heif_channel_Y]
            default: [heif_channel_Y, heif_channel_Cb, heif_channel_Cr]
            }
        let planes = try channels.map { try Plane(image, $0, bytesPerPixel: 2) }
        let (width, height) = (planes[0].width, planes[0].height)
        try limits.check(width: width, height: height)
        let bits = Int(heif_image_get_bits_per_pixel_range(image, channels[0]))
        guard (9...16).contains(bits) else { throw CodecFailure(.unsupported, "numbers of \(bits) bits") }
        guard planes.count == 3 else {
            let shades = [UInt8](unsafeUninitializedCapacity: width * height) { out, written in
                for y in 0..<height {
                    for x in 0..<width {
                        out[y &* width &+ x] = matrix.shade(UInt8(clamping: planes[0][x, y] >> (bits - 8)))
                    }
                }
                written = width * height
            }
            return CodecPixels(width: width, height: height, channels: 1, bytes: shades)
        }
        // 0 where a number of color belongs to one pixel, 1 where it belongs to two.
        let across = planes[1].width < width ? 1 : 0
        let down = planes[1].height < height ? 1 : 0
        guard planes[1].width == (width + across) >> across, planes[1].height == (height + down) >> down,
            planes[2].width == planes[1].width, planes[2].height == planes[1].height
        else { throw CodecFailure(.damaged, "planes of different sizes") }
        let isRGB = space == heif_colorspace_RGB
        let pixels = [UInt8](unsafeUninitializedCapacity: 3 * width * height) { out, written in
            var target = 0
            for y in 0..<height {
                for x in 0..<width {
                    let (a, b, c) = (
                        planes[0][x, y], planes[1][x >> across, y >> down], planes[2][x >> across, y >> down]
                    )
                    (out[target], out[target &+ 1], out[target &+ 2]) =
                        isRGB
                        ? matrix.narrowed(red: a, green: b, blue: c, bits: bits)
                        : matrix.color(a >> (bits - 8), b >> (bits - 8), c >> (bits - 8))
                    target &+= 3
                }
            }
            written = target
        }
        return CodecPixels(width: width, height: height, bytes: pixels)
    }
}

/// One plane of an image, checked against its size.
private struct Plane {
    let width: Int
    let height: Int
    /// Bytes of a row.
    let stride: Int
    let start: UnsafePointer<UInt8>

    init(_ image: OpaquePointer, _ channel: heif_channel, bytesPerPixel: Int) throws {
        var stride: Int32 = 0
        guard let start = heif_image_get_plane_readonly(image, channel, &stride) else {
            throw CodecFailure(.damaged, "a plane is missing")
        }
        (width, height) = (Int(heif_image_get_width(image, channel)), Int(heif_image_get_height(image, channel)))
        (self.stride, self.start) = (Int(stride), start)
        let storage = Int(heif_image_get_bits_per_pixel(image, channel))
        guard width > 0, height > 0, width * bytesPerPixel <= self.stride, storage == 8 * bytesPerPixel else {
            throw CodecFailure(.damaged, "a plane of \(width) × \(height) pixels in rows of \(stride) bytes")
        }
    }

    /// The number of 16 bits at a place.
    subscript(x: Int, y: Int) -> Int {
        Int(UnsafeRawPointer(start).loadUnaligned(fromByteOffset: y &* stride &+ 2 &* x, as: UInt16.self))
    }
}
