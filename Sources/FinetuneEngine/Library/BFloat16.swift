// Numbers in the upper half of a float32. Loops over them are here, where the compiler sees what one number costs.

/// The upper half of a float32. Plain arithmetic on bits, which the compiler turns into vector instructions on any
/// processor.
enum BFloat16 {
    /// The nearest bfloat16, to nearest even. A NaN stays a NaN.
    @inline(__always) static func bits(of value: Float) -> UInt16 {
        let bits = value.bitPattern
        let rounded = (bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16
        // Without the bit, a NaN whose upper half has no mantissa would become an infinity.
        let quiet = bits >> 16 | 0x40
        return UInt16(truncatingIfNeeded: bits & 0x7fff_ffff > 0x7f80_0000 ? quiet : rounded)
    }

    @inline(__always) static func value(of bits: UInt16) -> Float {
        Float(bitPattern: UInt32(bits) << 16)
    }

    /// Rounds numbers and leaves them floats.
    static func round(_ values: UnsafeMutableBufferPointer<Float>) {
        for index in values.indices { values[index] = value(of: bits(of: values[index])) }
    }

    /// Writes numbers as little-endian bytes.
    static func encode(_ values: UnsafeBufferPointer<Float>, into halves: UnsafeMutablePointer<UInt16>) {
        for index in values.indices { halves[index] = bits(of: values[index]).littleEndian }
    }

    /// Reads numbers that `encode` wrote.
    static func decode(_ halves: UnsafePointer<UInt16>, into values: UnsafeMutableBufferPointer<Float>) {
        for index in values.indices { values[index] = value(of: UInt16(littleEndian: halves[index])) }
    }
}
