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

extension RawSpan {
    /// The number whose bytes, the least significant first, begin at `offset`.
    package func littleEndian<Number: FixedWidthInteger & BitwiseCopyable>(
        at offset: Int, as type: Number.Type = Number.self
    ) -> Number {
        Number(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: type))
    }
}

/// Bytes for the time of a call: they cost no more than their allocation.
package enum ScratchBytes {
    /// Lets `body` use some bytes, which hold garbage before.
    package static func with<Result>(
        _ count: Int, _ body: (inout MutableRawSpan) throws -> Result
    ) rethrows -> Result {
        try withUnsafeTemporaryAllocation(byteCount: count, alignment: 64) { buffer in
            var bytes = buffer.mutableBytes
            return try body(&bytes)
        }
    }
}

extension FixedWidthInteger {
    /// The bytes of the number, the least significant first.
    package var littleEndianBytes: [UInt8] { withUnsafeBytes(of: littleEndian) { Array($0) } }
}
