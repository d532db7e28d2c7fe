// Pixels in memory, 8 bits a channel: what decoders make and geometry works on.

/// A picture of 8-bit pixels.
package struct Picture: Sendable, Equatable {
    /// Pixels of a row.
    package let width: Int
    /// Rows.
    package let height: Int
    /// 3 (red, green, blue) or 1 (gray).
    package let channels: Int
    /// The pixels, shape `[height, width, channels]`, row-major.
    package let bytes: [UInt8]
    /// The highest number in a file of 16 bits, before they became 8; nil for other files.
    package var highest: Int?

    /// - Precondition: `bytes` holds exactly `height · width · channels` numbers, and `channels` is 1 or 3.
    package init(width: Int, height: Int, channels: Int, bytes: [UInt8]) {
        precondition(channels == 1 || channels == 3, "a picture of \(channels) channels")
        precondition(
            bytes.count == width * height * channels,
            "a picture of \(width) × \(height) × \(channels) got \(bytes.count) bytes")
        self.width = width
        self.height = height
        self.channels = channels
        self.bytes = bytes
    }

    /// The most pixels a picture may have: twice Pillow's `MAX_IMAGE_PIXELS`, where Pillow refuses, too.
    package static let pixelLimit = 178_956_970
    /// The most bytes that a picture's file may have.
    static let byteLimit = 1 << 30
    /// The most pixels a side may have.
    package static let sideLimit = 1_000_000

    /// Checks a size that a file claims, before anything is allocated for it.
    ///
    /// - Returns: The bytes that such a picture needs.
    /// - Throws: `PictureError` for a side of 0, one over `sideLimit`, or more than `pixelLimit` pixels.
    static func byteCount(width: Int, height: Int, channels: Int = 3, pixelLimit: Int) throws -> Int {
        guard width > 0, height > 0 else { throw PictureError.noPixels(width: width, height: height) }
        let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
        guard width <= sideLimit, height <= sideLimit, !overflow, pixels <= pixelLimit else {
            throw PictureError.tooLarge(width: width, height: height, pixelLimit: pixelLimit)
        }
        return pixels * channels
    }
}

// MARK: - Gray and color

extension Picture {
    /// The picture in shades of gray, with the weights of ITU-R 601-2 in fixed point: Pillow's `convert('L')`.
    package var gray: Picture {
        guard channels == 3 else { return self }
        let count = width * height
        let shades = [UInt8](unsafeUninitializedCapacity: count) { out, written in
            bytes.withUnsafeBufferPointer { pixels in
                for index in 0..<count {
                    let red = UInt32(pixels[3 &* index])
                    let green = UInt32(pixels[3 &* index &+ 1])
                    let blue = UInt32(pixels[3 &* index &+ 2])
                    let sum = red &* 19595 &+ green &* 38470 &+ blue &* 7471 &+ 0x8000
                    out[index] = UInt8(truncatingIfNeeded: sum >> 16)
                }
            }
            written = count
        }
        return Picture(width: width, height: height, channels: 1, bytes: shades)
    }

    /// The picture in three channels: gray is repeated, as in Pillow's `convert('RGB')`.
    package var color: Picture {
        guard channels == 1 else { return self }
        let pixels = [UInt8](unsafeUninitializedCapacity: bytes.count * 3) { out, written in
            for (index, shade) in bytes.enumerated() {
                out[3 &* index] = shade
                out[3 &* index &+ 1] = shade
                out[3 &* index &+ 2] = shade
            }
            written = bytes.count * 3
        }
        return Picture(width: width, height: height, channels: 3, bytes: pixels)
    }
}
