// Numbers in fewer bits. Plain arithmetic on bits, which the compiler turns into vector instructions on any processor.

/// How a number is kept where many are.
package enum StoredFloat: String, Sendable, CaseIterable {
    case float32
    /// IEEE 754 half precision, to nearest even. What lies beyond ±65504, infinities too, becomes ±65504.
    case float16
    /// The upper half of a float32, to nearest even.
    case bfloat16

    package var byteCount: Int { self == .float32 ? 4 : 2 }
}

extension StoredFloat {
    /// Rounds numbers to what `decode` would give back: a value is then the same whether it was kept or not.
    ///
    /// A number that is rounded already stays as it is. A NaN stays a NaN.
    package func round(_ values: inout MutableSpan<Float>) {
        values.withUnsafeMutableBufferPointer { values in
            switch self {
            case .float32: break
            case .float16:
                for index in values.indices { values[index] = Self.fromFloat16(Self.toFloat16(values[index])) }
            case .bfloat16: BFloat16.round(values)
            }
        }
    }

    /// Writes numbers as little-endian bytes from `offset` on, a multiple of 4 in bytes that are aligned to 4.
    package func encode(_ values: Span<Float>, into bytes: inout MutableRawSpan, at offset: Int = 0) {
        checkRoom(values.count, bytes.byteCount, offset)
        bytes.withUnsafeMutableBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            let words = (start + offset).assumingMemoryBound(to: UInt32.self)
            let halves = (start + offset).assumingMemoryBound(to: UInt16.self)
            values.withUnsafeBufferPointer { values in
                switch self {
                case .float32: for index in values.indices { words[index] = values[index].bitPattern.littleEndian }
                case .float16:
                    for index in values.indices { halves[index] = Self.toFloat16(values[index]).littleEndian }
                case .bfloat16: BFloat16.encode(values, into: halves)
                }
            }
        }
    }

    /// Reads numbers that `encode` wrote.
    package func decode(_ bytes: RawSpan, at offset: Int = 0, into values: inout MutableSpan<Float>) {
        checkRoom(values.count, bytes.byteCount, offset)
        bytes.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            let words = (start + offset).assumingMemoryBound(to: UInt32.self)
            let halves = (start + offset).assumingMemoryBound(to: UInt16.self)
            values.withUnsafeMutableBufferPointer { values in
                switch self {
                case .float32:
                    for index in values.indices {
                        values[index] = Float(bitPattern: UInt32(littleEndian: words[index]))
                    }
                case .float16:
                    for index in values.indices {
                        values[index] = Self.fromFloat16(UInt16(littleEndian: halves[index]))
                    }
                case .bfloat16: BFloat16.decode(halves, into: values)
                }
            }
        }
    }

    private func checkRoom(_ count: Int, _ available: Int, _ offset: Int) {
        precondition(
            offset >= 0 && offset % 4 == 0 && count * byteCount <= available - offset,
            "\(count) numbers at byte \(offset) of \(available)")
    }

    @inline(__always) static func toFloat16(_ value: Float) -> UInt16 {
        let magnitude = value.bitPattern & 0x7fff_ffff
        // From 2⁻¹⁴ on, 13 bits of the mantissa go and the exponent's bias is smaller by 112. Adding not quite half of
        // what goes, or half of it to an odd number, rounds to nearest even.
        let normal = (magnitude &+ 0xfff &+ (magnitude >> 13 & 1)) >> 13 &- 112 << 10
        // Below, the number is a multiple of 2⁻²⁴. Adding 2²³ to that multiple leaves float32 no bits for a fraction.
        let small = (Float(bitPattern: magnitude) * 0x1p24 + 0x1p23).bitPattern &- Float(0x1p23).bitPattern
        let finite = magnitude < 0x3880_0000 ? small : min(normal, 0x7bff)
        let half = magnitude > 0x7f80_0000 ? 0x7e00 : finite
        return UInt16(truncatingIfNeeded: half | (value.bitPattern >> 16 & 0x8000))
    }

    @inline(__always) static func fromFloat16(_ half: UInt16) -> Float {
        let magnitude = UInt32(half & 0x7fff)
        let rebias: UInt32 = magnitude < 0x7c00 ? 112 << 23 : 224 << 23
        let small = (Float(Int32(truncatingIfNeeded: magnitude)) * 0x1p-24).bitPattern
        let bits = magnitude < 0x400 ? small : magnitude << 13 &+ rebias
        return Float(bitPattern: bits | UInt32(half & 0x8000) << 16)
    }
}
