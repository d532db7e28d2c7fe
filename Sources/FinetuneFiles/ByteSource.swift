// Bytes that are read where they are wanted: a file that may be larger than memory, or an array.

internal import Glibc

/// Bytes with random access.
package enum ByteSource: Sendable {
    case bytes([UInt8])
    case file(OpenFile)

    /// Opens a regular file.
    ///
    /// - Throws: `FileError` also for a folder, a pipe or a device.
    package init(file path: String) throws { self = .file(try OpenFile(path)) }

    package var count: Int {
        switch self {
        case .bytes(let bytes): bytes.count
        case .file(let file): file.count
        }
    }

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// - Returns: Whether they are all there.
    package func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> Bool {
        guard offset >= 0, offset <= count, buffer.count <= count - offset else { return false }
        switch self {
        case .bytes(let bytes):
            bytes.withUnsafeBytes {
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + buffer.count]))
            }
            return true
        case .file(let file): return try file.read(at: offset, into: buffer)
        }
    }

    /// The `count` bytes from `offset` on; nil where they are not all there.
    package func bytes(at offset: Int, count: Int) throws -> [UInt8]? {
        guard count >= 0, offset >= 0, offset <= self.count, count <= self.count - offset else { return nil }
        if case .bytes(let bytes) = self { return Array(bytes[offset..<offset + count]) }
        var isComplete = true
        let bytes = try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            isComplete = try read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
            filled = isComplete ? count : 0
        }
        return isComplete ? bytes : nil
    }
}

/// A file that is open for reading.
package final class OpenFile: Sendable {
    package let count: Int
    /// The system's number of it, which other programs can be handed.
    package let descriptor: Int32
    private let path: String

    package init(_ path: String) throws {
        self.path = path
        (descriptor, count) = try FileSystem.openRegular(path)
    }

    /// Takes over a descriptor, and closes it in the end.
    init(descriptor: Int32, count: Int, path: String) {
        (self.descriptor, self.count, self.path) = (descriptor, count, path)
    }

    deinit { close(descriptor) }

    fileprivate func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> Bool {
        try Self.read(descriptor, at: offset, into: buffer, path: path)
    }

    /// Fills `buffer` with the bytes of an open file from `offset` on; false where they are not all there.
    static func read(
        _ descriptor: Int32, at offset: Int, into buffer: UnsafeMutableRawBufferPointer, path: String
    ) throws -> Bool {
        var done = 0
        while done < buffer.count {
            let got = pread(
                descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done, off_t(offset + done))
            if got < 0, errno == EINTR { continue }
            if got < 0 { throw FileError.system(.inputOutput, "read", path) }
            if got == 0 { return false }
            done += got
        }
        return true
    }
}
