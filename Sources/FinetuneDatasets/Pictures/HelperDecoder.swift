// HEIC, AVIF and JPEG XL: what the helper's answer is to the rest of this room.

/// Pictures that a process of their own decodes.
enum HelperDecoder {
    /// - Parameters:
    ///   - reduction: See `JPEGDecoder.decode`; a JPEG XL may be a JPEG without loss, which comes back as one.
    static func decode(
        _ bytes: PictureBytes, _ format: PictureFormat, pixelLimit: Int, _ depth: PictureDepth, isTurned: Bool,
        helpers: PictureHelpers = .shared, reduction: (_ width: Int, _ height: Int) -> Int
    ) throws -> DecodedPicture {
        switch try helpers.decode(bytes, format, pixelLimit: pixelLimit) {
        case .pixels(let samples, let orientation):
            // The container's turn is a part of the picture, not a note of the camera: it is always made.
            var decoded = samples.picture(depth)
            decoded.picture = decoded.picture.turned(from: orientation)
            return decoded
        case .jpeg(let jpeg):
            return try jpeg.withUnsafeBytes {
                try JPEGDecoder.decode(
                    PictureBytes($0), pixelLimit: pixelLimit, isTurned: isTurned, reduction: reduction)
            }
        case .refusal(let kind, let detail):
            throw PictureError.refused(format.name, kind: kind, detail: detail)
        }
    }
}
