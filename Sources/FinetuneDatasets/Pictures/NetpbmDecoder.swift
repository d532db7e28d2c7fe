// PBM, PGM and PPM, plain and raw (netpbm's formats P1 to P6), as Pillow reads them.

/// The header of such a file, checked, and where its pixels begin.
struct NetpbmDecoder {
    private let bytes: PictureBytes
    /// 1…6.
    private let kind: Int
    private var width = 0
    private var height = 0
    /// The number that means the brightest level.
    private var largest = 0
    private var position = 2

    private static let whiteSpace: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0B, 0x0C, 0x0D]
    /// The most digits of a number.
    private static let longestNumber = 10

    static func decode(_ bytes: PictureBytes, pixelLimit: Int, _ depth: PictureDepth) throws -> DecodedPicture {
        var decoder = try NetpbmDecoder(bytes, pixelLimit: pixelLimit)
        return try decoder.picture(depth)
    }

    private init(_ bytes: PictureBytes, pixelLimit: Int) throws {
        self.bytes = bytes
        kind = Int(bytes[1] ?? 0x30) - 0x30
        (width, height) = (try number(), try number())
        largest = kind == 1 || kind == 4 ? 1 : try number()
        guard (1...65535).contains(largest) else {
            throw PictureError.damaged("PNM", "it says that \(largest) is white")
        }
        _ = try Picture.byteCount(width: width, height: height, pixelLimit: pixelLimit)
        // One white space ends a header, and its last number has taken it.
    }

    private var channels: Int { kind == 3 || kind == 6 ? 3 : 1 }

    /// The next number in digits, and one white space behind it.
    private mutating func number() throws -> Int {
        var (value, digits) = (0, 0)
        while let byte = bytes[position] {
            position += 1
            if byte == 0x23 {
                while let next = bytes[position], next != 0x0A, next != 0x0D { position += 1 }
            } else if Self.whiteSpace.contains(byte) {
                if digits > 0 { return value }
            } else {
                guard (0x30...0x39).contains(byte), digits < Self.longestNumber else {
                    throw PictureError.damaged("PNM", "it has other text where a number was expected")
                }
                value = 10 * value + Int(byte - 0x30)
                digits += 1
            }
        }
        guard digits > 0 else { throw PictureError.truncated("PNM") }
        return value
    }

    private mutating func picture(_ depth: PictureDepth) throws -> DecodedPicture {
        let count = width * height * channels
        switch kind {
        case 1: return try shown(plainBits(count), highest: nil)
        case 4: return try shown(rawBits(), highest: nil)
        case 2, 3:
            // Each number takes two bytes at least, but for the last.
            guard bytes.count - position >= 2 * count - 1 else { throw PictureError.truncated("PNM") }
            var highest = 0
            var levels: [UInt8] = []
            levels.reserveCapacity(count)
            for _ in 0..<count {
                let value = try number()
                guard value <= largest else { throw PictureError.damaged("PNM", "\(value) is brighter than white") }
                highest = max(highest, value)
                levels.append(level(value, depth))
            }
            return try shown(levels, highest: largest == 65535 ? highest : nil)
        default:
            let wide = largest > 255
            guard let body = bytes.slice(position, count: wide ? 2 * count : count) else {
                throw PictureError.truncated("PNM")
            }
            var highest = 0
            let levels = [UInt8](unsafeUninitializedCapacity: count) { out, written in
                for index in 0..<count {
                    let value =
                        wide
                        ? Int(body.buffer[2 &* index]) << 8 | Int(body.buffer[2 &* index &+ 1])
                        : Int(body.buffer[index])
                    highest = max(highest, value)
                    out[index] = level(value, depth)
                }
                written = count
            }
            return try shown(levels, highest: largest == 65535 ? highest : nil)
        }
    }

    /// A number in 0…255: Pillow's `min(255, round(255 · value / largest))`, with halves to the even number. Of 16 bits,
    /// those that the depth says.
    private func level(_ value: Int, _ depth: PictureDepth) -> UInt8 {
        if largest == 255 { return UInt8(clamping: value) }
        if largest == 65535 { return depth.level(UInt16(clamping: value)) }
        return UInt8(min(255, (Double(value) / Double(largest) * 255).rounded(.toNearestOrEven)))
    }

    private func shown(_ levels: [UInt8], highest: Int?) throws -> DecodedPicture {
        DecodedPicture(
            picture: Picture(width: width, height: height, channels: channels, bytes: levels).color,
            orientation: .upright, highest: highest)
    }

    /// Zeros are white. Digits need no space between them.
    private mutating func plainBits(_ count: Int) throws -> [UInt8] {
        guard bytes.count - position >= count else { throw PictureError.truncated("PBM") }
        var levels: [UInt8] = []
        levels.reserveCapacity(count)
        while levels.count < count {
            guard let byte = bytes[position] else { throw PictureError.truncated("PBM") }
            position += 1
            switch byte {
            case 0x30: levels.append(255)
            case 0x31: levels.append(0)
            case 0x23: while let next = bytes[position], next != 0x0A, next != 0x0D { position += 1 }
            default:
                guard Self.whiteSpace.contains(byte) else {
                    throw PictureError.damaged("PBM", "it has other text where 0 or 1 was expected")
                }
            }
        }
        return levels
    }

    /// Eight pixels a byte; rows begin at bytes.
    private func rawBits() throws -> [UInt8] {
        let row = (width + 7) / 8
        guard let body = bytes.slice(position, count: row * height) else { throw PictureError.truncated("PBM") }
        var levels: [UInt8] = []
        levels.reserveCapacity(width * height)
        for y in 0..<height {
            for x in 0..<width {
                levels.append(body.buffer[y * row + x / 8] & 0x80 >> UInt8(x % 8) == 0 ? 255 : 0)
            }
        }
        return levels
    }
}
