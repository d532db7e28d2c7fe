// A decoded photograph: 8-bit RGB, whatever the file was.

package import FinetuneModels

/// Pixels of an image in memory.
package struct Picture: Sendable, Equatable {
    package let width: Int
    package let height: Int
    /// Red, green and blue of each pixel, row by row; `3 · width · height` bytes.
    package let bytes: [UInt8]

    package init(width: Int, height: Int, bytes: [UInt8]) {
        precondition(bytes.count == 3 * width * height, "a picture of \(width)×\(height) got \(bytes.count) bytes")
        self.width = width
        self.height = height
        self.bytes = bytes
    }

    /// A gray picture, its values repeated in the three channels.
    package init(width: Int, height: Int, gray: some Collection<UInt8>) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(3 * gray.count)
        for value in gray { bytes.append(contentsOf: repeatElement(value, count: 3)) }
        self.init(width: width, height: height, bytes: bytes)
    }

    /// The most pixels that are decoded, twice Pillow's warning limit: more is taken for a bomb.
    static let maximumPixels = 178_956_970

    /// Decodes a JPEG, PNG, WebP, TIFF or BMP file, recognised by its content.
    ///
    /// The pixels are those of Pillow's `Image.open(file).convert('RGB')`: full-quality JPEG decoding, alpha dropped,
    /// palettes resolved, gray repeated; 16-bit samples are scaled to 8 bits.
    /// - Parameter exif: Whether the orientation in the file's EXIF data is applied (`ImageOps.exif_transpose`).
    /// - Throws: `PictureError` that says what the bytes are, or what is wrong with them.
    package init(decoding bytes: [UInt8], exif: InputRecipe.Exif) throws {
        let (picture, orientation) = try PictureFormat.decode(bytes)
        self = exif == .upright ? picture.turned(orientation) : picture
    }

    /// The picture turned upright, for an EXIF orientation of 1 to 8; others change nothing.
    func turned(_ orientation: Int) -> Picture {
        guard (2...8).contains(orientation) else { return self }
        let isTransposed = orientation >= 5
        let (newWidth, newHeight) = isTransposed ? (height, width) : (width, height)
        let bytes = [UInt8](unsafeUninitializedCapacity: bytes.count) { buffer, count in
            for y in 0..<newHeight {
                for x in 0..<newWidth {
                    let (fromX, fromY) =
                        switch orientation {
                        case 2: (width - 1 - x, y)
                        case 3: (width - 1 - x, height - 1 - y)
                        case 4: (x, height - 1 - y)
                        case 5: (y, x)
                        case 6: (y, height - 1 - x)
                        case 7: (width - 1 - y, height - 1 - x)
                        default: (width - 1 - y, x)
                        }
                    let (from, to) = (3 * (fromY * width + fromX), 3 * (y * newWidth + x))
                    for channel in 0..<3 { buffer[to + channel] = self.bytes[from + channel] }
                }
            }
            count = 3 * newWidth * newHeight
        }
        return Picture(width: newWidth, height: newHeight, bytes: bytes)
    }
}
