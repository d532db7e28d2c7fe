// Little-endian numbers in byte arrays, read with bounds.

/// A reader's place in bytes that nobody vouches for.
package struct ByteReader {
    package let bytes: [UInt8]
    package var position: Int

    package init(_ bytes: [UInt8], at position: Int = 0) {
        self.bytes = bytes
        self.position = position
    }

    /// The next `count` bytes; nil past the end.
    package mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, position >= 0, position <= bytes.count, count <= bytes.count - position else { return nil }
        defer { position += count }
        return bytes[position..<position + count]
    }

    package mutating func number<Number: FixedWidthInteger>(_ type: Number.Type = Number.self) -> Number? {
        take(MemoryLayout<Number>.size)?.reversed().reduce(0) { $0 << 8 | Number(truncatingIfNeeded: $1) }
    }
}

extension FixedWidthInteger {
    /// The bytes of the number, the least significant first.
    package var littleEndianBytes: [UInt8] { withUnsafeBytes(of: littleEndian) { Array($0) } }
}
