// A file that is read and written in place, by one writer at a time: the opposite of a file that is whole or not there.

internal import Glibc

/// A regular file that is open for reading and writing at any offset.
package final class UpdatableFile: Sendable {
    package let path: String
    private let descriptor: Int32

    /// Opens a file.
    ///
    /// - Parameter creating: Whether an empty one is made where there is none.
    /// - Throws: `FileError` also for a folder, a pipe or a device.
    package init(_ path: String, creating: Bool) throws {
        self.path = path
        let flags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | (creating ? O_CREAT : 0)
        descriptor = Path.withCString(path) { open($0, flags, 0o666) }
        guard descriptor >= 0 else { throw FileError.system(creating ? .cannotCreate : .inputOutput, "open", path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw FileError.notRegular("open", path, isFolder: status.st_mode & S_IFMT == S_IFDIR)
        }
    }

    deinit { close(descriptor) }

    /// Takes the file for this object alone, until it goes; the system lets go of it also when the process is killed.
    ///
    /// It binds those who ask for it: whoever does not may read and write all the same.
    ///
    /// - Returns: False where another object has it, of this process or another.
    /// - Throws: `FileError` where the file system knows no locks.
    package func lock() throws -> Bool {
        var attempts = 5
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EINTR || errno == EWOULDBLOCK else { throw FileError.system(.inputOutput, "lock", path) }
            guard errno == EWOULDBLOCK else { continue }
            // A process that another one has just started holds its files open until it is a program of its own.
            attempts -= 1
            if attempts == 0 { return false }
            usleep(10_000)
        }
        return true
    }

    /// Whether this file still stands at its path: another process may have removed or replaced it.
    package var isInPlace: Bool {
        var (mine, there) = (stat(), stat())
        return fstat(descriptor, &mine) == 0 && Path.withCString(path) { stat($0, &there) } == 0
            && mine.st_dev == there.st_dev && mine.st_ino == there.st_ino
    }

    package func byteCount() throws -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError.system(.inputOutput, "read", path) }
        return Int(status.st_size)
    }

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// - Returns: Whether they are all there.
    package func read(at offset: Int, into buffer: inout MutableRawSpan) throws -> Bool {
        try buffer.withUnsafeMutableBytes { try OpenFile.read(descriptor, at: offset, into: $0, path: path) }
    }

    /// Fills all of `buffer` with the bytes from `offset` on.
    ///
    /// - Returns: Whether they are all there.
    package func read(at offset: Int, into buffer: inout [UInt8]) throws -> Bool {
        try buffer.withUnsafeMutableBytes { try OpenFile.read(descriptor, at: offset, into: $0, path: path) }
    }

    /// Writes all of `bytes` from `offset` on. A part may have been written where it throws.
    package func write(_ bytes: RawSpan, at offset: Int) throws {
        try bytes.withUnsafeBytes { bytes in
            var done = 0
            while done < bytes.count {
                let count = pwrite(
                    descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done, off_t(offset + done))
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw FileError.system(.inputOutput, "write", path) }
                done += count
            }
        }
    }

    /// Removes all content.
    package func clear() throws {
        guard ftruncate(descriptor, 0) == 0 else { throw FileError.system(.inputOutput, "write", path) }
    }

    /// Makes now the time when the file was last changed.
    package func touch() throws {
        guard futimens(descriptor, nil) == 0 else { throw FileError.system(.inputOutput, "write", path) }
    }
}
