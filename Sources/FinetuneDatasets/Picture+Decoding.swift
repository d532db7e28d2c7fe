// The one way from a file's bytes to pixels: recognised by content, decoded, turned upright.

package import FinetuneModels

extension Picture {
    /// Decodes a JPEG, PNG, WebP, TIFF or BMP.
    ///
    /// - Parameters:
    ///   - bytes: The whole file. What it is stands in its first bytes; its name is not asked.
    ///   - exif: Whether the orientation that a camera wrote is applied.
    ///   - pixelLimit: The most pixels that a file may claim.
    /// - Throws: `PictureError` for anything that is not a whole picture of these kinds, or a larger one.
    ///
    /// Always three channels. The same numbers as Pillow's `Image.open(file).convert('RGB')`, with `exif_transpose`
    /// when upright: alpha is dropped and keeps the color under it. Two differences are meant: 16-bit gray is scaled
    /// to 8 bits, where Pillow cuts everything above 255 off; and the orientation tag of a TIFF is ignored, too, when
    /// orientation is, where Pillow always follows it.
    package init(
        decoding bytes: UnsafeRawBufferPointer, exif: InputRecipe.Exif, pixelLimit: Int = Picture.pixelLimit
    ) throws {
        let bytes = PictureBytes(bytes)
        let decoded =
            switch try PictureFormat(recognising: bytes) {
            case .jpeg: try JPEGDecoder.decode(bytes, pixelLimit: pixelLimit)
            case .png: try PNGDecoder.decode(bytes, pixelLimit: pixelLimit)
            case .webP: try WebPDecoder.decode(bytes, pixelLimit: pixelLimit)
            case .tiff: try TIFFDecoder.decode(bytes, pixelLimit: pixelLimit)
            case .bmp: try BMPDecoder.decode(bytes, pixelLimit: pixelLimit)
            }
        self = exif == .upright ? decoded.picture.turned(from: decoded.orientation) : decoded.picture
    }

    /// Decodes a JPEG, PNG, WebP, TIFF or BMP held in an array.
    package init(decoding bytes: [UInt8], exif: InputRecipe.Exif, pixelLimit: Int = Picture.pixelLimit) throws {
        self = try bytes.withUnsafeBytes { try Picture(decoding: $0, exif: exif, pixelLimit: pixelLimit) }
    }
}

/// What a decoder hands over: the pixels as the file stores them, and how the camera was held.
struct DecodedPicture {
    var picture: Picture
    var orientation: Orientation
}
