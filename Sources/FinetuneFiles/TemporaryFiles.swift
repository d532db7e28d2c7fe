// Files that are being written, so that none is left behind when the program is told to end.

internal import Glibc
internal import Synchronization

/// The temporary files of this process. Process-wide, as the signal that ends it is.
package enum TemporaryFiles {
    private static let paths = Mutex<Set<String>>([])
    private static let prefix = ".finetune-"
    private static let ending = ".tmp"
    private static let digits = 16

    /// Makes a new file in a folder under an unpredictable name, and opens it for reading and writing.
    ///
    /// It is locked as long as it is open: a file that is not was left by a process that was killed.
    ///
    /// - Parameter path: What it will be, for messages.
    /// - Throws: `FileError` of kind `cannotCreate`.
    static func make(in folder: String, for path: String) throws -> (path: String, descriptor: Int32) {
        var random = SystemRandomNumberGenerator()
        while true {
            let number = String(random.next() as UInt64, radix: 16)
            let name = prefix + String(repeating: "0", count: digits - number.count) + number + ending
            let temporary = Path.join(folder, name)
            let flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
            let descriptor = paths.withLock { paths in
                let descriptor = Path.withCString(temporary) { open($0, flags, 0o666) }
                if descriptor >= 0 { paths.insert(temporary) }
                return descriptor
            }
            guard descriptor >= 0 else {
                if errno == EEXIST { continue }
                throw FileError.system(.cannotCreate, "create", path)
            }
            // Between the two calls another process may have taken it for one that was left.
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK, isThere(temporary) {
                return (temporary, descriptor)
            }
            close(descriptor)
            remove(temporary)
        }
    }

    /// Removes a file that will not be finished.
    static func remove(_ path: String) {
        FileSystem.remove(path)
        forget(path)
    }

    /// Is told that a file has got its name.
    static func forget(_ path: String) { _ = paths.withLock { $0.remove(path) } }

    /// Removes all that are being written, for a process that ends now.
    package static func removeAll() {
        paths.withLock { paths in
            for path in paths { FileSystem.remove(path) }
            paths.removeAll()
        }
    }

    private static func isThere(_ path: String) -> Bool { FileSystem.usage(of: path) != nil }

    /// Removes those in a folder that a killed process left: the ones that no process has locked.
    ///
    /// A folder that cannot be listed is left as it is.
    package static func removeLeftovers(in folder: String) {
        for name in (try? FileSystem.list(folder)) ?? [] where isOurs(name) {
            let path = Path.join(folder, name)
            let descriptor = Path.withCString(path) { open($0, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) }
            guard descriptor >= 0 else { continue }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { FileSystem.remove(path) }
            close(descriptor)
        }
    }

    private static func isOurs(_ name: String) -> Bool {
        guard name.hasPrefix(prefix), name.hasSuffix(ending) else { return false }
        let number = name.dropFirst(prefix.count).dropLast(ending.count)
        return number.utf8.count == digits && number.allSatisfy { $0.isHexDigit && !$0.isUppercase }
    }
}
