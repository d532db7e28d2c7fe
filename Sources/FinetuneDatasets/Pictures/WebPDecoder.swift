// WebP (RFC 9649) through libwebp.

import CFinetuneWebP

/// Still WebP pictures, lossy and lossless.
enum WebPDecoder {
    static func decode(_ bytes: PictureBytes, pixelLimit: Int) throws -> DecodedPicture {
        var features = WebPBitstreamFeatures()
        let status = WebPGetFeatures(bytes.address, bytes.count, &features)
        guard status == VP8_STATUS_OK else { throw failure(status) }
        guard features.has_animation == 0 else { throw PictureError.unsupported("WebP", "several frames") }
        let (width, height) = (Int(features.width), Int(features.height))
        let byteCount = try Picture.byteCount(width: width, height: height, pixelLimit: pixelLimit)
        let pixels = try [UInt8](unsafeUninitializedCapacity: byteCount) { out, written in
            guard
                WebPDecodeRGBInto(bytes.address, bytes.count, out.baseAddress, byteCount, features.width * 3) != nil
            else { throw isWhole(bytes) ? failure(VP8_STATUS_BITSTREAM_ERROR) : PictureError.truncated("WebP") }
            written = byteCount
        }
        return DecodedPicture(
            picture: Picture(width: width, height: height, channels: 3, bytes: pixels),
            orientation: Orientation(exif: chunk("EXIF", in: bytes), xmp: chunk("XMP ", in: bytes)))
    }

    private static func failure(_ status: VP8StatusCode) -> PictureError {
        switch status {
        case VP8_STATUS_NOT_ENOUGH_DATA: .truncated("WebP")
        case VP8_STATUS_OUT_OF_MEMORY: .noMemory("WebP")
        case VP8_STATUS_UNSUPPORTED_FEATURE: .unsupported("WebP", "a feature that libwebp does not know")
        default: .damaged("WebP", "its compressed data cannot be followed")
        }
    }

    /// Whether as many bytes are there as the container says.
    private static func isWhole(_ bytes: PictureBytes) -> Bool {
        bytes.long(4).map { bytes.count >= $0 + 8 } ?? false
    }

    /// The payload of the container's first chunk of a kind. Chunks begin at even offsets.
    private static func chunk(_ name: StaticString, in bytes: PictureBytes) -> PictureBytes? {
        var position = 12
        while let length = bytes.long(position + 4) {
            if bytes.starts(with: name, at: position) { return bytes.slice(position + 8, count: length) }
            position += 8 + length + length % 2
        }
        return nil
    }
}
