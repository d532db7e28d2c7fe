/// The upper half of a float32. Plain arithmetic on bits, which the compiler turns into vector instructions on any
/// processor.
package enum BFloat16 {
    /// The nearest bfloat16, to nearest even. A NaN stays a NaN.
    @inlinable @inline(__always) package static func bits(of value: Float) -> UInt16 {
        let bits = value.bitPattern
        let rounded = (bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16
        // Without the bit, a NaN whose upper half has no mantissa would become an infinity.
        let quiet = bits >> 16 | 0x40
        return UInt16(truncatingIfNeeded: bits & 0x7fff_ffff > 0x7f80_0000 ? quiet : rounded)
    }

    @inlinable @inline(__always) package static func value(of bits: UInt16) -> Float {
        Float(bitPattern: UInt32(bits) << 16)
    }
}
