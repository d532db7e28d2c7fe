// Numbers in fewer bits. Plain arithmetic on bits, which the compiler turns into vector instructions on any processor.

internal import FinetuneEngine

extension FeatureStore {
    /// How a number is kept.
    package enum Element: String, Sendable, CaseIterable {
        case float32
        /// IEEE 754 half precision, to nearest even. What lies beyond ±65504, infinities too, becomes ±65504.
        case float16
        /// The upper half of a float32, to nearest even.
        case bfloat16

        package var byteCount: Int { self == .float32 ? 4 : 2 }
    }

    /// Rounds numbers to what the store would give back: a value is then the same whether it comes from there or not.
    ///
    /// A number that is rounded already stays as it is. A NaN stays a NaN.
    package static func round(_ values: UnsafeMutableBufferPointer<Float>, to element: Element) {
        switch element {
        case .float32: break
        case .float16:
            for index in values.indices { values[index] = Element.fromFloat16(Element.toFloat16(values[index])) }
        case .bfloat16: BFloat16.round(values)
        }
    }
}

extension FeatureStore.Element {
    /// Writes numbers as little-endian bytes; there must be room for them, aligned to 4.
    func encode(_ values: UnsafeBufferPointer<Float>, into bytes: UnsafeMutableRawPointer) {
        let words = bytes.assumingMemoryBound(to: UInt32.self)
        let halves = bytes.assumingMemoryBound(to: UInt16.self)
        switch self {
        case .float32: for index in values.indices { words[index] = values[index].bitPattern.littleEndian }
        case .float16: for index in values.indices { halves[index] = Self.toFloat16(values[index]).littleEndian }
        case .bfloat16: BFloat16.encode(values, into: halves)
        }
    }

    /// Reads numbers that `encode` wrote.
    func decode(_ bytes: UnsafeRawPointer, into values: UnsafeMutableBufferPointer<Float>) {
        let words = bytes.assumingMemoryBound(to: UInt32.self)
        let halves = bytes.assumingMemoryBound(to: UInt16.self)
        switch self {
        case .float32:
            for index in values.indices { values[index] = Float(bitPattern: UInt32(littleEndian: words[index])) }
        case .float16:
            for index in values.indices { values[index] = Self.fromFloat16(UInt16(littleEndian: halves[index])) }
        case .bfloat16: BFloat16.decode(halves, into: values)
        }
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
