// The one way from a file's bytes to pixels: recognised by content, decoded, turned upright.

package import FinetuneModels

extension Picture {
    /// Decodes a file of a kind in `PictureFormat`.
    ///
    /// - Parameters:
    ///   - bytes: The whole file. What it is stands in its first bytes; its name is not asked.
    ///   - exif: Whether the orientation that a camera wrote is applied.
    ///   - depth: Which range of 16-bit numbers becomes 0…255.
    ///   - pixelLimit: The most pixels that a file may claim.
    /// - Throws: `PictureError` for anything that is not a whole picture of these kinds, or a larger one.
    ///
    /// Always three channels. The same numbers as Pillow's `Image.open(file).convert('RGB')`, with `exif_transpose`
    /// when upright: alpha is dropped and keeps the color under it. Two differences are meant: 16-bit gray is scaled
    /// to 8 bits, where Pillow cuts everything above 255 off; and the orientation tag of a TIFF is ignored, too, when
    /// orientation is, where Pillow always follows it. HEIC, AVIF and JPEG XL have the numbers of Pillow's plugins to one
    /// level, and are turned as their container asks whatever `exif` is.
    package init(
        decoding bytes: UnsafeRawBufferPointer, exif: InputRecipe.Exif, depth: PictureDepth = .full,
        pixelLimit: Int = Picture.pixelLimit
    ) throws {
        self = try Self.decode(bytes, exif: exif, depth: depth, pixelLimit: pixelLimit) { _, _ in 1 }.picture
    }

    /// Decodes a file held in an array.
    package init(
        decoding bytes: [UInt8], exif: InputRecipe.Exif, depth: PictureDepth = .full,
        pixelLimit: Int = Picture.pixelLimit
    ) throws {
        self = try bytes.withUnsafeBytes { try Picture(decoding: $0, exif: exif, depth: depth, pixelLimit: pixelLimit) }
    }

    /// Decodes a picture that will be shrunk: a JPEG at a half, a quarter or an eighth of its size, if `reduction` says so,
    /// in less time; others as they are.
    ///
    /// - Parameter reduction: Is given the picture's width and height, as it is shown.
    /// - Returns: Also the size that the picture has in the file, as it is shown.
    package static func decode(
        _ bytes: UnsafeRawBufferPointer, exif: InputRecipe.Exif, depth: PictureDepth = .full,
        pixelLimit: Int = Picture.pixelLimit, reduction: (_ width: Int, _ height: Int) -> Int
    ) throws -> (picture: Picture, width: Int, height: Int) {
        let bytes = PictureBytes(bytes)
        let isTurned = exif == .upright
        let format = try PictureFormat(recognising: bytes)
        let decoded =
            switch format {
            case .jpeg:
                try JPEGDecoder.decode(bytes, pixelLimit: pixelLimit, isTurned: isTurned, reduction: reduction)
            case .png: try PNGDecoder.decode(bytes, pixelLimit: pixelLimit, depth)
            case .webP: try WebPDecoder.decode(bytes, pixelLimit: pixelLimit)
            case .tiff: try TIFFDecoder.decode(bytes, pixelLimit: pixelLimit, depth)
            case .bmp: try BMPDecoder.decode(bytes, pixelLimit: pixelLimit)
            case .gif: try GIFDecoder.decode(bytes, pixelLimit: pixelLimit)
            case .netpbm: try NetpbmDecoder.decode(bytes, pixelLimit: pixelLimit, depth)
            case .heic, .avif, .jpegXL:
                try HelperDecoder.decode(
                    bytes, format, pixelLimit: pixelLimit, depth, isTurned: isTurned, reduction: reduction)
            }
        let size = decoded.size ?? (decoded.picture.width, decoded.picture.height)
        var picture = isTurned ? decoded.picture.turned(from: decoded.orientation) : decoded.picture
        picture.highest = decoded.highest
        let isTransposed = isTurned && decoded.orientation.isTransposed
        return (picture, isTransposed ? size.height : size.width, isTransposed ? size.width : size.height)
    }
}

/// What a decoder hands over: the pixels as the file stores them, and how the camera was held.
struct DecodedPicture {
    var picture: Picture
    var orientation: Orientation
    /// The size of the picture in the file, where it was decoded at another.
    var size: (width: Int, height: Int)?
    /// The highest number of a picture of 16 bits; nil for others.
    var highest: Int?
}
