// A new file is whole or not there: it is written under a temporary name beside its place and renamed when complete.

internal import Glibc

/// A file in the making. Without `commit()` nothing remains of it.
package struct AtomicFile: ~Copyable {
    /// Where it will stand.
    package let path: String
    private let temporary: String
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    /// Bytes written so far.
    package private(set) var position = 0

    /// - Throws: `FileError` of kind `cannotCreate`.
    package init(_ path: String) throws {
        self.path = path
        temporary = AtomicFile.temporaryPath(for: path)
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FileError.system(.cannotCreate, "create", path) }
        buffer.reserveCapacity(1 << 16)
    }

    deinit {
        close(descriptor)
        unlink(temporary)
    }

    package mutating func write(_ bytes: some Collection<UInt8>) throws {
        buffer.append(contentsOf: bytes)
        position += bytes.count
        if buffer.count >= 1 << 16 { try flush() }
    }

    package mutating func write(_ text: String) throws { try write(Array(text.utf8)) }

    package mutating func write(_ bytes: UnsafeRawBufferPointer) throws {
        try flush()
        try AtomicFile.writeAll(bytes, to: descriptor, path: path)
        position += bytes.count
    }

    /// Writes over bytes that were written before.
    package mutating func patch(at offset: Int, _ bytes: [UInt8]) throws {
        try flush()
        let written = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset)) }
        guard written == bytes.count else { throw FileError.system(.inputOutput, "write", path) }
    }

    /// Puts the complete file in its place, on disk.
    package consuming func commit() throws {
        try flush()
        guard fsync(descriptor) == 0 else { throw FileError.system(.inputOutput, "write", path) }
        try AtomicFile.move(temporary, to: path)
    }

    private mutating func flush() throws {
        guard !buffer.isEmpty else { return }
        try buffer.withUnsafeBytes { try AtomicFile.writeAll($0, to: descriptor, path: path) }
        buffer.removeAll(keepingCapacity: true)
    }

    private static func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, path: String) throws {
        var done = 0
        while done < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw FileError.system(.inputOutput, "write", path) }
            done += count
        }
    }

    // MARK: For writers that take a path

    /// A name beside `path` that no other process uses.
    package static func temporaryPath(for path: String) -> String { "\(path).\(getpid()).tmp" }

    /// Renames a complete file into its place.
    package static func move(_ temporary: String, to path: String) throws {
        guard rename(temporary, path) == 0 else { throw FileError.system(.cannotCreate, "create", path) }
        let folder = open(Path.parent(of: path), O_RDONLY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    /// Writes a whole file by a function that is given a temporary path; nothing remains where it throws.
    package static func write(to path: String, by body: (String) throws -> Void) throws {
        let temporary = temporaryPath(for: path)
        do {
            try body(temporary)
            try move(temporary, to: path)
        } catch {
            unlink(temporary)
            throw error
        }
    }

    package static func write(_ text: String, to path: String) throws {
        var file = try AtomicFile(path)
        try file.write(text)
        try file.commit()
    }
}
