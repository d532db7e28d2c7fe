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
        self = try Self.decode(bytes, exif: exif, pixelLimit: pixelLimit) { _, _ in 1 }.picture
    }

    /// Decodes a JPEG, PNG, WebP, TIFF or BMP held in an array.
    package init(decoding bytes: [UInt8], exif: InputRecipe.Exif, pixelLimit: Int = Picture.pixelLimit) throws {
        self = try bytes.withUnsafeBytes { try Picture(decoding: $0, exif: exif, pixelLimit: pixelLimit) }
    }

    /// Decodes a picture for somebody who will shrink it: a JPEG at a half, a quarter or an eighth of its size, where
    /// `reduction` says so, in less time; others as they are.
    ///
    /// - Parameter reduction: Is given the picture's width and height, as it is shown.
    /// - Returns: Also the size that the picture has in the file, as it is shown.
    package static func decode(
        _ bytes: UnsafeRawBufferPointer, exif: InputRecipe.Exif, pixelLimit: Int = Picture.pixelLimit,
        reduction: (_ width: Int, _ height: Int) -> Int
    ) throws -> (picture: Picture, width: Int, height: Int) {
        let bytes = PictureBytes(bytes)
        let isTurned = exif == .upright
        let decoded =
            switch try PictureFormat(recognising: bytes) {
            case .jpeg:
                try JPEGDecoder.decode(bytes, pixelLimit: pixelLimit, isTurned: isTurned, reduction: reduction)
            case .png: try PNGDecoder.decode(bytes, pixelLimit: pixelLimit)
            case .webP: try WebPDecoder.decode(bytes, pixelLimit: pixelLimit)
            case .tiff: try TIFFDecoder.decode(bytes, pixelLimit: pixelLimit)
            case .bmp: try BMPDecoder.decode(bytes, pixelLimit: pixelLimit)
            }
        let size = decoded.size ?? (decoded.picture.width, decoded.picture.height)
        guard isTurned else { return (decoded.picture, size.width, size.height) }
        let isTransposed = decoded.orientation.isTransposed
        return (
            decoded.picture.turned(from: decoded.orientation), isTransposed ? size.height : size.width,
            isTransposed ? size.width : size.height
        )
    }
}

/// What a decoder hands over: the pixels as the file stores them, and how the camera was held.
struct DecodedPicture {
    var picture: Picture
    var orientation: Orientation
    /// The size of the picture in the file, where it was decoded at another.
    var size: (width: Int, height: Int)?
}
