// BMP, as Microsoft's "Bitmap Storage" page describes it: uncompressed, with a palette of 1, 4 or 8 bits,
// or 16, 24 or 32 bits a pixel.

/// The header of a BMP, checked.
struct BMPDecoder {
    private let bytes: PictureBytes
    private let width: Int
    private let height: Int
    private let storesTopRowFirst: Bool
    private let bitsPerPixel: Int
    private let headerSize: Int
    private let compression: Int
    private let pixelOffset: Int
    private let byteCount: Int

    static func decode(_ bytes: PictureBytes, pixelLimit: Int) throws -> DecodedPicture {
        let decoder = try BMPDecoder(bytes, pixelLimit: pixelLimit)
        return DecodedPicture(picture: try decoder.picture(), orientation: .upright)
    }

    private init(_ bytes: PictureBytes, pixelLimit: Int) throws {
        guard let pixelOffset = bytes.long(10), let headerSize = bytes.long(14), bytes.count >= 14 + headerSize else {
            throw PictureError.truncated("BMP")
        }
        self.bytes = bytes
        self.pixelOffset = pixelOffset
        self.headerSize = headerSize
        if headerSize == 12 {
            // The first version, of OS/2, has 16-bit sizes.
            guard let width = bytes.short(18), let height = bytes.short(20), let bits = bytes.short(24) else {
                throw PictureError.truncated("BMP")
            }
            (self.width, self.height, bitsPerPixel, compression) = (width, height, bits, 0)
            storesTopRowFirst = false
        } else {
            guard (40...124).contains(headerSize) else {
                throw PictureError.unsupported("BMP", "a header of \(headerSize) bytes")
            }
            guard let width = bytes.long(18), let height = bytes.long(22), let bits = bytes.short(28),
                let compression = bytes.long(30)
            else { throw PictureError.truncated("BMP") }
            let signedHeight = Int(Int32(truncatingIfNeeded: height))
            (self.width, self.height, bitsPerPixel) = (Int(Int32(truncatingIfNeeded: width)), abs(signedHeight), bits)
            self.compression = compression
            storesTopRowFirst = signedHeight < 0
        }
        byteCount = try Picture.byteCount(width: width, height: height, pixelLimit: pixelLimit)
    }

    private func picture() throws -> Picture {
        let read = try pixelReader()
        // Rows begin at multiples of four bytes.
        let stride = (width * bitsPerPixel + 31) / 32 * 4
        let rowBytes = (width * bitsPerPixel + 7) / 8
        guard let body = bytes.slice(pixelOffset, count: stride * (height - 1) + rowBytes) else {
            throw PictureError.truncated("BMP")
        }
        let pixels = [UInt8](unsafeUninitializedCapacity: byteCount) { out, written in
            var target = 0
            for y in 0..<height {
                let start = (storesTopRowFirst ? y : height - 1 - y) * stride
                let row = UnsafeRawBufferPointer(rebasing: body.buffer[start..<start + rowBytes])
                for x in 0..<width {
                    (out[target], out[target + 1], out[target + 2]) = read(row, x)
                    target += 3
                }
            }
            written = byteCount
        }
        return Picture(width: width, height: height, channels: 3, bytes: pixels)
    }

    private typealias Pixel = (UInt8, UInt8, UInt8)

    /// A function from a row and a column to red, green and blue.
    private func pixelReader() throws -> (UnsafeRawBufferPointer, Int) -> Pixel {
        switch (bitsPerPixel, compression) {
        case (1, 0), (4, 0), (8, 0):
            let palette = palette()
            let (bits, perByte) = (bitsPerPixel, 8 / bitsPerPixel)
            return { row, x in
                let shift = 8 - bits * (x % perByte + 1)
                return palette[Int(row[x / perByte] >> UInt8(shift)) & (1 << bits - 1)]
            }
        case (24, 0):
            return { row, x in (row[3 * x + 2], row[3 * x + 1], row[3 * x]) }
        case (32, 0):
            return { row, x in (row[4 * x + 2], row[4 * x + 1], row[4 * x]) }
        case (16, 0):
            return maskedReader(red: 0x7C00, green: 0x03E0, blue: 0x001F)
        case (16, 3), (32, 3), (16, 6), (32, 6):
            guard let red = bytes.long(54), let green = bytes.long(58), let blue = bytes.long(62) else {
                throw PictureError.truncated("BMP")
            }
            return maskedReader(red: UInt32(red), green: UInt32(green), blue: UInt32(blue))
        case (_, 1), (_, 2):
            throw PictureError.unsupported("BMP", "run-length compression")
        default:
            throw PictureError.unsupported("BMP", "\(bitsPerPixel) bits a pixel and compression \(compression)")
        }
    }

    /// Blue, green, red and, but in the first version, an unused byte an entry. Entries that the file lacks are black.
    private func palette() -> [Pixel] {
        let size = headerSize == 12 ? 3 : 4
        let capacity = 1 << bitsPerPixel
        let declared = headerSize == 12 ? 0 : bytes.long(46) ?? 0
        let count = declared == 0 ? capacity : min(declared, capacity)
        return (0..<capacity).map { index in
            guard index < count, let entry = bytes.slice(14 + headerSize + index * size, count: size) else {
                return (0, 0, 0)
            }
            return (entry.buffer[2], entry.buffer[1], entry.buffer[0])
        }
    }

    /// Pixels whose colors lie under bit masks, each scaled to 0…255.
    private func maskedReader(red: UInt32, green: UInt32, blue: UInt32) -> (UnsafeRawBufferPointer, Int) -> Pixel {
        func level(_ value: UInt32, _ mask: UInt32) -> UInt8 {
            guard mask != 0 else { return 0 }
            let shift = UInt32(mask.trailingZeroBitCount)
            return UInt8(truncatingIfNeeded: UInt64(value & mask) >> UInt64(shift) * 255 / UInt64(mask >> shift))
        }
        let isWide = bitsPerPixel == 32
        return { row, x in
            let value =
                isWide
                ? UInt32(littleEndian: row.loadUnaligned(fromByteOffset: 4 * x, as: UInt32.self))
                : UInt32(UInt16(littleEndian: row.loadUnaligned(fromByteOffset: 2 * x, as: UInt16.self)))
            return (level(value, red), level(value, green), level(value, blue))
        }
    }
}
