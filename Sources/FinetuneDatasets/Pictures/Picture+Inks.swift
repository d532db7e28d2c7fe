// Printing inks to light, with the numbers of Pillow's `convert('RGB')` of a CMYK picture.

extension Picture {
    /// Makes a picture of cyan, magenta, yellow and black.
    ///
    /// - Parameters:
    ///   - inks: Shape `[height, width, 4]`.
    ///   - areInverted: Whether 0 is full ink, as Adobe writes JPEG.
    init(width: Int, height: Int, inks: [UInt8], areInverted: Bool) {
        let flip: UInt8 = areInverted ? 0xFF : 0
        let count = width * height
        let bytes = [UInt8](unsafeUninitializedCapacity: count * 3) { out, written in
            inks.withUnsafeBufferPointer { inks in
                for pixel in 0..<count {
                    let paper = Int32(255 - (inks[4 &* pixel &+ 3] ^ flip))
                    for channel in 0..<3 {
                        // ink · paper / 255, rounded, without a division.
                        let product = Int32(inks[4 &* pixel &+ channel] ^ flip) &* paper &+ 128
                        let covered = ((product >> 8) &+ product) >> 8
                        out[3 &* pixel &+ channel] = UInt8(truncatingIfNeeded: max(0, paper &- covered))
                    }
                }
            }
            written = count * 3
        }
        self.init(width: width, height: height, channels: 3, bytes: bytes)
    }
}
