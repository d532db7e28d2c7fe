// Files that are being written, so that none is left behind when the program is told to end.

internal import Glibc
internal import Synchronization

/// The temporary files of this process. Process-wide, as the signal that ends it is.
package enum TemporaryFiles {
    private static let paths = Mutex<Set<String>>([])
    private static let prefix = ".finetune-"
    private static let ending = ".tmp"
    private static let digits = 16

    /// Makes a new file in a folder, under a name that nobody can foresee, and opens it for reading and writing.
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
            if descriptor >= 0 { return (temporary, descriptor) }
            guard errno == EEXIST else { throw FileError.system(.cannotCreate, "create", path) }
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

    /// Removes those in a folder that a process left which was killed. Nobody else may be writing there.
    package static func removeLeftovers(in folder: String) throws {
        for name in try FileSystem.list(folder) where isOurs(name) { FileSystem.remove(Path.join(folder, name)) }
    }

    private static func isOurs(_ name: String) -> Bool {
        guard name.hasPrefix(prefix), name.hasSuffix(ending) else { return false }
        let number = name.dropFirst(prefix.count).dropLast(ending.count)
        return number.utf8.count == digits && number.allSatisfy { $0.isHexDigit && !$0.isUppercase }
    }
}
