// Bounds-checked numbers out of bytes that nobody vouches for.

internal import Glibc

/// A file in memory, or a piece of one. Every read says nil where it would leave the bytes.
///
/// Valid only inside the closure that gave the buffer.
struct PictureBytes {
    let buffer: UnsafeRawBufferPointer

    init(_ buffer: UnsafeRawBufferPointer) { self.buffer = buffer }

    var count: Int { buffer.count }

    /// The address of the first byte, as the C libraries want it.
    var address: UnsafePointer<UInt8>? { buffer.baseAddress?.assumingMemoryBound(to: UInt8.self) }

    subscript(offset: Int) -> UInt8? {
        offset >= 0 && offset < buffer.count ? buffer[offset] : nil
    }

    /// The piece of `count` bytes from `offset`, or nil where it does not lie inside.
    func slice(_ offset: Int, count: Int) -> PictureBytes? {
        guard offset >= 0, count >= 0, offset <= buffer.count, count <= buffer.count - offset else { return nil }
        return PictureBytes(UnsafeRawBufferPointer(rebasing: buffer[offset..<offset + count]))
    }

    /// Everything from `offset` on; nothing where it is past the end.
    func suffix(from offset: Int) -> PictureBytes {
        PictureBytes(UnsafeRawBufferPointer(rebasing: buffer[min(max(offset, 0), buffer.count)...]))
    }

    /// The offset of the next such byte from `offset` on; nil if there is none.
    func firstIndex(of byte: UInt8, from offset: Int) -> Int? {
        guard offset >= 0, offset < buffer.count, let start = buffer.baseAddress,
            let found = memchr(start + offset, Int32(byte), buffer.count - offset)
        else { return nil }
        return UnsafeRawPointer(found) - start
    }

    func starts(with text: StaticString, at offset: Int = 0) -> Bool {
        guard let piece = slice(offset, count: text.utf8CodeUnitCount) else { return false }
        return piece.buffer.elementsEqual(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    func starts(with bytes: [UInt8]) -> Bool { buffer.starts(with: bytes) }

    /// An unsigned 16-bit number.
    func short(_ offset: Int, bigEndian: Bool = false) -> Int? {
        guard let piece = slice(offset, count: 2) else { return nil }
        let value = piece.buffer.loadUnaligned(as: UInt16.self)
        return Int(bigEndian ? UInt16(bigEndian: value) : UInt16(littleEndian: value))
    }

    /// An unsigned 32-bit number.
    func long(_ offset: Int, bigEndian: Bool = false) -> Int? {
        guard let piece = slice(offset, count: 4) else { return nil }
        let value = piece.buffer.loadUnaligned(as: UInt32.self)
        return Int(bigEndian ? UInt32(bigEndian: value) : UInt32(littleEndian: value))
    }
}
