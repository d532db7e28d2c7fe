// A file of lines that grows while something runs: each line is on disk as soon as it is written.

internal import Glibc
internal import Synchronization

/// Lines that are appended, whole, one after the other. Any task may append.
package final class LogFile: Sendable {
    package let path: String
    private let descriptor: Int32
    private let problem = Mutex<FileError?>(nil)

    /// Opens the file for this object alone.
    ///
    /// - Parameter continuing: Whether what is there stays; a last line that was cut off goes.
    /// - Throws: `FileError`, also where another process is writing to the file.
    package init(_ path: String, continuing: Bool) throws {
        self.path = path
        let flags = O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC
        descriptor = Path.withCString(path) { open($0, flags, 0o666) }
        guard descriptor >= 0 else { throw FileError.system(.cannotCreate, "create", path) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw FileError(.cannotCreate, "cannot write '\(path)': another program is writing to it")
        }
        var kept = 0
        if continuing, FileSystem.kind(of: path) == .file {
            let bytes = try FileSystem.read(path)
            kept = (bytes.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
        }
        guard ftruncate(descriptor, off_t(kept)) == 0 else { throw FileError.system(.cannotCreate, "create", path) }
    }

    deinit { close(descriptor) }

    package func append(_ line: String) { append(Array((line + "\n").utf8)) }

    /// Appends bytes, all or, on a full disk, none of them.
    func append(_ bytes: [UInt8]) {
        problem.withLock { problem in
            let start = lseek(descriptor, 0, SEEK_END)
            let written = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard written != bytes.count else { return }
            problem = problem ?? FileError.system(.inputOutput, "write", path, code: written < 0 ? errno : ENOSPC)
            if start >= 0 { ftruncate(descriptor, start) }
        }
    }

    /// Why a line is missing, if one is.
    package var failure: FileError? { problem.withLock { $0 } }
}
