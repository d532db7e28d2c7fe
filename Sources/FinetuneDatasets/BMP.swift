// Windows bitmaps (BITMAPINFOHEADER and its successors): 1, 4 and 8 bits with a palette, 16, 24 and 32 bits.

enum BMP {
    static func decode(_ bytes: [UInt8]) throws -> Picture {
        func fail(_ reason: String) -> PictureError { .damaged("BMP", reason) }
        func number(_ offset: Int, _ count: Int) throws -> Int {
            guard offset >= 0, offset <= bytes.count - count else { throw fail("it is cut short") }
            return (0..<count).reversed().reduce(0) { $0 << 8 | Int(bytes[offset + $1]) }
        }
        let pixelOffset = try number(10, 4)
        let headerSize = try number(14, 4)
        guard headerSize >= 40, headerSize <= 1024 else { throw fail("its header of \(headerSize) bytes is of an unknown kind") }
        let width = Int(Int32(truncatingIfNeeded: try number(18, 4)))
        let signedHeight = Int(Int32(truncatingIfNeeded: try number(22, 4)))
        let (height, isTopDown) = (abs(signedHeight), signedHeight < 0)
        let depth = try number(28, 2)
        let compression = try number(30, 4)
        guard width > 0, height > 0 else { throw fail("it has no pixels") }
        guard width <= Picture.maximumPixels / height else { throw PictureError.tooLarge("BMP", width, height) }
        guard compression == 0 || compression == 3 || compression == 6 else {
            throw fail("it is compressed by method \(compression), which is not read")
        }
        guard [1, 4, 8, 16, 24, 32].contains(depth) else { throw fail("it has \(depth) bits a pixel") }
        let stride = (width * depth + 31) / 32 * 4
        guard pixelOffset >= 0, pixelOffset <= bytes.count, stride * height <= bytes.count - pixelOffset else { throw fail("it is cut short") }

        var palette: [[UInt8]] = []
        if depth <= 8 {
            let used = try number(46, 4)
            let colors = used == 0 || used > 1 << depth ? 1 << depth : used
            for index in 0..<colors {
                let entry = 14 + headerSize + 4 * index
                palette.append([UInt8(try number(entry + 2, 1)), UInt8(try number(entry + 1, 1)), UInt8(try number(entry, 1))])
            }
        }
        var fields = depth == 16 ? [0x7C00, 0x03E0, 0x001F] : [0xFF0000, 0x00FF00, 0x0000FF]
        if compression != 0 { fields = try [54, 58, 62].map { try number($0, 4) } }
        guard fields.allSatisfy({ $0 > 0 }) else { throw fail("it has no place for a colour") }

        var pixels: [UInt8] = []
        pixels.reserveCapacity(3 * width * height)
        for y in 0..<height {
            let row = pixelOffset + (isTopDown ? y : height - 1 - y) * stride
            for x in 0..<width {
                switch depth {
                case 24: pixels += [bytes[row + 3 * x + 2], bytes[row + 3 * x + 1], bytes[row + 3 * x]]
                case 16, 32:
                    let value = try number(row + depth / 8 * x, depth / 8)
                    for field in fields {
                        let largest = field >> field.trailingZeroBitCount
                        pixels.append(UInt8(clamping: ((value & field) >> field.trailingZeroBitCount) * 255 / largest))
                    }
                default:
                    let bit = x * depth
                    let index = Int(bytes[row + bit / 8]) >> (8 - depth - bit % 8) & (1 << depth - 1)
                    guard index < palette.count else { throw fail("a pixel is of colour \(index), of which there are \(palette.count)") }
                    pixels += palette[index]
                }
            }
        }
        return Picture(width: width, height: height, bytes: pixels)
    }
}
