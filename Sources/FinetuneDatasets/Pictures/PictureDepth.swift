// From 16 bits to 8: which range of a picture's numbers becomes 0…255.

/// How many of 16 bits a camera used.
package struct PictureDepth: Sendable, Equatable {
    /// 1…16. Numbers of so many bits fill the range of 8; larger ones become 255.
    package let bits: Int

    package init(bits: Int) { self.bits = min(max(bits, 1), 16) }

    /// All 16 bits.
    package static let full = PictureDepth(bits: 16)

    /// The least that holds a number, and no less than 8: pictures that are dark stay dark.
    package init(holding highest: Int) { self.init(bits: max(8, Int.bitWidth - highest.leadingZeroBitCount)) }

    /// The largest number that it holds.
    package var largest: Int { 1 << bits - 1 }

    /// A number as 8 bits: the upper 8 of `bits`, or, of fewer than 8, `⌊255 · number / (2^bits − 1)⌋`.
    @inline(__always)
    func level(_ number: UInt16) -> UInt8 {
        bits >= 8
            ? UInt8(clamping: number >> UInt16(truncatingIfNeeded: bits &- 8))
            : UInt8(clamping: Int(number) &* 255 / (1 << bits - 1))
    }
}

/// Pixels of 8 bits, or of 16 before it is known what range they use.
struct PictureSamples {
    let width: Int
    let height: Int
    /// 1 or 3 and, where alpha follows each pixel, one more.
    let channels: Int
    /// 8, or 16 in the machine's byte order.
    let bits: Int
    /// Shape `[height, width, channels]`, row-major.
    let bytes: [UInt8]

    /// The picture in three channels, and the highest number of one of 16 bits. Alpha is dropped.
    func picture(_ depth: PictureDepth) -> DecodedPicture {
        let (step, colors) = (channels, channels < 3 ? 1 : 3)
        guard bits == 16 else {
            return DecodedPicture(
                picture: Picture(width: width, height: height, channels: channels, bytes: bytes).color,
                orientation: .upright)
        }
        var highest: UInt16 = 0
        let levels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { out, written in
            bytes.withUnsafeBytes { bytes in
                var source = 0
                for pixel in 0..<width * height {
                    for channel in 0..<3 {
                        let place = source &+ (colors == 3 ? channel : 0)
                        let number = bytes.loadUnaligned(fromByteOffset: 2 &* place, as: UInt16.self)
                        highest = max(highest, number)
                        out[3 &* pixel &+ channel] = depth.level(number)
                    }
                    source &+= step
                }
            }
            written = width * height * 3
        }
        return DecodedPicture(
            picture: Picture(width: width, height: height, channels: 3, bytes: levels), orientation: .upright,
            highest: Int(highest))
    }
}
