// A new file is whole or not there: it is written under a temporary name beside its place and renamed when complete.

internal import Glibc

/// A file in the making. Without `commit()` nothing remains of it.
package struct AtomicFile: ~Copyable {
    /// Where it will stand.
    package let path: String
    /// The system's number of the file, for a library that writes to it by itself.
    package let descriptor: Int32
    private let temporary: String
    private var buffer: [UInt8] = []
    /// Bytes written so far.
    package private(set) var position = 0

    /// - Throws: `FileError` of kind `cannotCreate`, also if a folder, pipe or device is at the path; of kind `inputOutput` if
    ///   the disk is full.
    package init(_ path: String) throws {
        self.path = path
        // A rename would put the file in the place of a device, and fails on a folder when all is written.
        if let kind = FileSystem.kind(of: path), kind != .file {
            let found = kind == .directory ? "a folder is there" : "a pipe or a device is there"
            throw FileError(.cannotCreate, "cannot create '\(path)': \(found). Choose another name.")
        }
        (temporary, descriptor) = try TemporaryFiles.make(in: Path.parent(of: path), for: path)
        buffer.reserveCapacity(1 << 16)
    }

    deinit {
        close(descriptor)
        TemporaryFiles.remove(temporary)
    }

    package mutating func write(_ bytes: some Collection<UInt8>) throws {
        buffer.append(contentsOf: bytes)
        position += bytes.count
        if buffer.count >= 1 << 16 { try flush() }
    }

    package mutating func write(_ text: String) throws { try write(Array(text.utf8)) }

    package mutating func write(_ bytes: RawSpan) throws {
        try flush()
        try writeAll(bytes)
        position += bytes.byteCount
    }

    /// Writes over bytes that were written before.
    package mutating func patch(at offset: Int, _ bytes: [UInt8]) throws {
        try flush()
        let written = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset)) }
        guard written == bytes.count else { throw failure() }
    }

    /// Writes everything to the disk, so that `commit` no longer needs room there.
    package mutating func synchronize() throws {
        try flush()
        guard fsync(descriptor) == 0 else { throw failure() }
    }

    /// Puts the complete file in its place, on disk.
    package consuming func commit() throws {
        try synchronize()
        let isMoved = Path.withCString(temporary) { from in Path.withCString(path) { to in rename(from, to) == 0 } }
        guard isMoved else { throw FileError.system(.cannotCreate, "create", path) }
        TemporaryFiles.forget(temporary)
        let folder = Path.withCString(Path.parent(of: path)) { open($0, O_RDONLY | O_CLOEXEC) }
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    private mutating func flush() throws {
        guard !buffer.isEmpty else { return }
        try writeAll(buffer.span.bytes)
        buffer.removeAll(keepingCapacity: true)
    }

    private func writeAll(_ bytes: RawSpan) throws {
        try bytes.withUnsafeBytes { bytes in
            var done = 0
            while done < bytes.count {
                let count = Glibc.write(descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw failure() }
                done += count
            }
        }
    }

    private func failure() -> FileError { .system(.inputOutput, "write", path) }

    package static func write(_ text: String, to path: String) throws {
        var file = try AtomicFile(path)
        try file.write(text)
        try file.commit()
    }
}
