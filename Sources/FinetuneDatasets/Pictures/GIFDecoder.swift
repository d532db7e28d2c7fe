// GIF (CompuServe's specification 89a): the first frame on its canvas, as Pillow shows it in RGB.

/// The first frame of a GIF.
struct GIFDecoder {
    /// Bytes of the header and the screen's description.
    private static let headerSize = 13

    /// A frame's place on the canvas and how it is stored.
    private struct Frame {
        var left: Int
        var top: Int
        var width: Int
        var height: Int
        var isInterlaced: Bool
        var palette: PictureBytes?
        /// Where its compressed data begins.
        var start: Int
    }

    static func decode(_ bytes: PictureBytes, pixelLimit: Int) throws -> DecodedPicture {
        guard let width = bytes.short(6), let height = bytes.short(8), let flags = bytes[10] else {
            throw PictureError.truncated("GIF")
        }
        let shared = flags & 0x80 == 0 ? nil : bytes.slice(headerSize, count: 3 << (Int(flags & 7) + 1))
        if flags & 0x80 != 0, shared == nil { throw PictureError.truncated("GIF") }
        var transparent: UInt8?
        let frame = try firstFrame(bytes, from: headerSize + (shared?.count ?? 0), &transparent)
        // A frame may be larger than the canvas says, which then grows.
        let (canvasWidth, canvasHeight) = (max(width, frame.left + frame.width), max(height, frame.top + frame.height))
        let count = try Picture.byteCount(width: canvasWidth, height: canvasHeight, pixelLimit: pixelLimit)
        let indices = try GIFCode.indices(bytes, from: frame.start, count: frame.width * frame.height)
        let palette = colors(frame.palette ?? shared)
        // Where there is no frame, Pillow has the transparent color or the first.
        let fill = palette[Int(transparent ?? 0)]
        var pixels = [UInt8](repeating: 0, count: count)
        if frame.width < canvasWidth || frame.height < canvasHeight {
            for pixel in 0..<canvasWidth * canvasHeight {
                (pixels[3 * pixel], pixels[3 * pixel + 1], pixels[3 * pixel + 2]) = fill
            }
        }
        for (line, row) in rows(frame).enumerated() {
            var target = ((frame.top + row) * canvasWidth + frame.left) * 3
            for index in indices[line * frame.width..<(line + 1) * frame.width] {
                (pixels[target], pixels[target + 1], pixels[target + 2]) = palette[Int(index)]
                target += 3
            }
        }
        return DecodedPicture(
            picture: Picture(width: canvasWidth, height: canvasHeight, channels: 3, bytes: pixels),
            orientation: .upright)
    }

    /// Goes over extensions to the first frame.
    ///
    /// - Parameter transparent: The index of the color that a control extension before it calls transparent.
    private static func firstFrame(_ bytes: PictureBytes, from start: Int, _ transparent: inout UInt8?) throws -> Frame
    {
        var position = start
        while let mark = bytes[position] {
            switch mark {
            case 0x21:
                if bytes[position + 1] == 0xF9, let flags = bytes[position + 3], let index = bytes[position + 6] {
                    transparent = flags & 1 == 0 ? nil : index
                }
                position += 2
                while let length = bytes[position], length > 0 { position += Int(length) + 1 }
                position += 1
            case 0x2C:
                guard let left = bytes.short(position + 1), let top = bytes.short(position + 3),
                    let width = bytes.short(position + 5), let height = bytes.short(position + 7),
                    let flags = bytes[position + 9]
                else { throw PictureError.truncated("GIF") }
                guard width > 0, height > 0 else { throw PictureError.noPixels(width: width, height: height) }
                var frame = Frame(
                    left: left, top: top, width: width, height: height, isInterlaced: flags & 0x40 != 0, palette: nil,
                    start: position + 10)
                if flags & 0x80 != 0 {
                    frame.palette = bytes.slice(frame.start, count: 3 << (Int(flags & 7) + 1))
                    guard let palette = frame.palette else { throw PictureError.truncated("GIF") }
                    frame.start += palette.count
                }
                return frame
            case 0x3B: throw PictureError.damaged("GIF", "it has no picture")
            default: position += 1
            }
        }
        throw PictureError.truncated("GIF")
    }

    /// 256 colors; those that the palette lacks are black. Without any palette, shades of gray.
    private static func colors(_ palette: PictureBytes?) -> [(UInt8, UInt8, UInt8)] {
        (0..<256).map { index in
            guard let palette else { return (UInt8(index), UInt8(index), UInt8(index)) }
            guard let color = palette.slice(3 * index, count: 3) else { return (0, 0, 0) }
            return (color.buffer[0], color.buffer[1], color.buffer[2])
        }
    }

    /// The rows of a frame in the order in which they are stored.
    private static func rows(_ frame: Frame) -> [Int] {
        guard frame.isInterlaced else { return Array(0..<frame.height) }
        return [(0, 8), (4, 8), (2, 4), (1, 2)].flatMap { Array(stride(from: $0.0, to: frame.height, by: $0.1)) }
    }
}

/// The compression of GIF: Lempel, Ziv and Welch's, with codes of up to 12 bits.
enum GIFCode {
    private static let mostCodes = 4096

    /// The indices of a frame's pixels.
    static func indices(_ bytes: PictureBytes, from start: Int, count: Int) throws -> [UInt8] {
        guard let smallest = bytes[start] else { throw PictureError.truncated("GIF") }
        guard (1...11).contains(smallest) else {
            throw PictureError.damaged("GIF", "codes of \(smallest) bits")
        }
        let (clear, end) = (1 << Int(smallest), 1 << Int(smallest) + 1)
        // Each code stands for that of a shorter string and one index more.
        var prefix = [UInt16](repeating: 0, count: mostCodes)
        var suffix = [UInt8](repeating: 0, count: mostCodes)
        for code in 0..<min(clear, 256) { suffix[code] = UInt8(code) }
        var reversed = [UInt8](repeating: 0, count: mostCodes)
        var (next, width, previous) = (end + 1, Int(smallest) + 1, -1)
        var first: UInt8 = 0
        var stream = BitStream(bytes, from: start + 1)
        var indices: [UInt8] = []
        indices.reserveCapacity(count)
        while indices.count < count {
            guard let code = stream.next(width) else { throw PictureError.truncated("GIF") }
            if code == clear {
                (next, width, previous) = (end + 1, Int(smallest) + 1, -1)
                continue
            }
            guard code != end else { throw PictureError.truncated("GIF") }
            guard code < next || (code == next && previous >= 0 && next < mostCodes) else {
                throw PictureError.damaged("GIF", "its compressed data cannot be followed")
            }
            if previous < 0 {
                guard code < clear else { throw PictureError.damaged("GIF", "its compressed data cannot be followed") }
                first = suffix[code]
                indices.append(first)
            } else {
                // A code that is only now being made is the last string and its first index again.
                var (length, walk) = (0, code)
                if code == next {
                    reversed[0] = first
                    (length, walk) = (1, previous)
                }
                while walk >= clear {
                    reversed[length] = suffix[walk]
                    length += 1
                    walk = Int(prefix[walk])
                }
                first = suffix[walk]
                indices.append(first)
                for index in stride(from: length - 1, through: 0, by: -1) { indices.append(reversed[index]) }
                if next < mostCodes {
                    (prefix[next], suffix[next]) = (UInt16(previous), first)
                    next += 1
                    if next == 1 << width, width < 12 { width += 1 }
                }
            }
            previous = code
        }
        indices.removeLast(indices.count - count)
        return indices
    }

    /// Bits from the lowest on, out of blocks of up to 255 bytes.
    private struct BitStream {
        private let bytes: PictureBytes
        private var position: Int
        private var blockEnd: Int
        private var (held, count): (UInt32, Int) = (0, 0)

        init(_ bytes: PictureBytes, from start: Int) {
            self.bytes = bytes
            (position, blockEnd) = (start, start)
        }

        mutating func next(_ width: Int) -> Int? {
            while count < width {
                if position == blockEnd {
                    guard let length = bytes[position], length > 0 else { return nil }
                    position += 1
                    blockEnd = position + Int(length)
                }
                guard let byte = bytes[position] else { return nil }
                held |= UInt32(byte) << UInt32(count)
                count += 8
                position += 1
            }
            let code = held & (1 << UInt32(width) - 1)
            held >>= UInt32(width)
            count -= width
            return Int(code)
        }
    }
}
