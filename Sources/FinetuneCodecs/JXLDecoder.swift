// JPEG XL (ISO/IEC 18181) through libjxl: the first frame, upright, or the JPEG that the file was made from.

internal import CFinetuneJXL

/// A JPEG XL decoder that reads from memory.
struct JXLDecoder: ~Copyable {
    private let decoder: OpaquePointer

    private init() throws {
        guard let decoder = JxlDecoderCreate(nil) else { throw CodecFailure(.noMemory) }
        self.decoder = decoder
    }

    deinit { JxlDecoderDestroy(decoder) }

    static func decode(_ bytes: UnsafeRawBufferPointer, _ limits: CodecLimits) throws -> CodecOutput {
        let decoder = try JXLDecoder()
        return try decoder.output(of: bytes, limits)
    }

    private func output(of bytes: UnsafeRawBufferPointer, _ limits: CodecLimits) throws -> CodecOutput {
        let events = [JXL_DEC_BASIC_INFO, JXL_DEC_JPEG_RECONSTRUCTION, JXL_DEC_FULL_IMAGE].reduce(0) {
            $0 | $1.rawValue
        }
        try check(JxlDecoderSubscribeEvents(decoder, Int32(events)))
        try check(JxlDecoderSetInput(decoder, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count))
        var header = JxlBasicInfo()
        var format = JxlPixelFormat()
        // libjxl writes to these while it goes on, so they stay where they are.
        var pixels = Block(count: 0)
        var jpeg = Block(count: 0)
        var isJPEG = false
        while true {
            switch JxlDecoderProcessInput(decoder) {
            case JXL_DEC_BASIC_INFO:
                try check(JxlDecoderGetBasicInfo(decoder, &header))
                try limits.check(width: Int(header.xsize), height: Int(header.ysize))
                try limits.willDecode(Int(header.xsize) * Int(header.ysize))
                format = try self.format(header)
            case JXL_DEC_JPEG_RECONSTRUCTION:
                isJPEG = true
                jpeg = Block(count: bytes.count + bytes.count / 2 + 1 << 12)
                try check(JxlDecoderSetJPEGBuffer(decoder, jpeg.address, jpeg.count))
            case JXL_DEC_JPEG_NEED_MORE_OUTPUT:
                let used = jpeg.count - JxlDecoderReleaseJPEGBuffer(decoder)
                guard used < 8 * bytes.count + 1 << 20 else { throw CodecFailure(.damaged, "an endless JPEG") }
                jpeg = jpeg.grown(keeping: used)
                try check(JxlDecoderSetJPEGBuffer(decoder, jpeg.address + used, jpeg.count - used))
            case JXL_DEC_NEED_IMAGE_OUT_BUFFER:
                var count = 0
                try check(JxlDecoderImageOutBufferSize(decoder, &format, &count))
                pixels = Block(count: count)
                try check(JxlDecoderSetImageOutBuffer(decoder, &format, pixels.address, count))
            case JXL_DEC_FULL_IMAGE:
                if isJPEG { return .jpeg(jpeg.bytes(jpeg.count - JxlDecoderReleaseJPEGBuffer(decoder))) }
                return try self.pixels(header, format, pixels)
            case JXL_DEC_NEED_MORE_INPUT: throw CodecFailure(.truncated)
            default: throw CodecFailure(.damaged, "its compressed data cannot be followed")
            }
        }
    }

    /// Of 16 bits all are asked for; of floats and of other numbers of bits libjxl makes 8.
    private func format(_ header: JxlBasicInfo) throws -> JxlPixelFormat {
        for index in 0..<header.num_extra_channels {
            var channel = JxlExtraChannelInfo()
            try check(JxlDecoderGetExtraChannelInfo(decoder, Int(index), &channel))
            if channel.type == JXL_CHANNEL_BLACK { throw CodecFailure(.unsupported, "colors of ink (CMYK)") }
        }
        guard header.num_color_channels == 1 || header.num_color_channels == 3 else {
            throw CodecFailure(.unsupported, "\(header.num_color_channels) channels")
        }
        let isDeep = header.bits_per_sample == 16 && header.exponent_bits_per_sample == 0
        return JxlPixelFormat(
            num_channels: header.num_color_channels, data_type: isDeep ? JXL_TYPE_UINT16 : JXL_TYPE_UINT8,
            endianness: JXL_NATIVE_ENDIAN, align: 0)
    }

    private func pixels(_ header: JxlBasicInfo, _ format: JxlPixelFormat, _ pixels: borrowing Block) throws
        -> CodecOutput
    {
        // libjxl turns the picture, and its header says the size after that.
        let (width, height) = (Int(header.xsize), Int(header.ysize))
        let (channels, bits) = (Int(format.num_channels), format.data_type == JXL_TYPE_UINT16 ? 16 : 8)
        guard pixels.count == width * height * channels * bits / 8 else { throw CodecFailure(.damaged, "no pixels") }
        return .pixels(
            CodecPixels(width: width, height: height, channels: channels, bits: bits, bytes: pixels.bytes(pixels.count))
        )
    }

    private func check(_ status: JxlDecoderStatus) throws {
        guard status == JXL_DEC_SUCCESS else { throw CodecFailure(.damaged, "its header makes no sense") }
    }
}

/// Memory that stays where it is.
private struct Block: ~Copyable {
    let address: UnsafeMutablePointer<UInt8>
    let count: Int

    init(count: Int) {
        address = .allocate(capacity: max(count, 1))
        self.count = count
    }

    deinit { address.deallocate() }

    /// One twice as large that begins with the same bytes.
    func grown(keeping used: Int) -> Block {
        let larger = Block(count: 2 * count)
        larger.address.update(from: address, count: min(used, count))
        return larger
    }

    func bytes(_ used: Int) -> [UInt8] { Array(UnsafeBufferPointer(start: address, count: min(used, count))) }
}
