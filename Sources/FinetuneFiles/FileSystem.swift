// Files and folders through the C library: no Foundation, so that a program starts in milliseconds.

internal import Glibc

/// What the program asks of the file system.
package enum FileSystem {
    package enum Kind: Sendable { case file, directory, other }

    /// What stands at a path, links followed; nil where there is nothing.
    package static func kind(of path: String) -> Kind? {
        guard let status = status(of: path) else { return nil }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .file
        case S_IFDIR: return .directory
        default: return .other
        }
    }

    /// The system's record of a file, links followed; nil if there is none.
    private static func status(of path: String) -> stat? {
        var status = stat()
        return Path.withCString(path) { stat($0, &status) } == 0 ? status : nil
    }

    /// Whether a folder itself is at a path, and not a link to one.
    package static func isOwnDirectory(_ path: String) -> Bool {
        var status = stat()
        return Path.withCString(path) { lstat($0, &status) } == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Why `kind(of:)` found nothing at a path, if that is something else than that there is nothing; nil otherwise.
    package static func obstacle(to path: String) -> FileError? {
        var status = stat()
        guard Path.withCString(path, { stat($0, &status) }) != 0, errno != ENOENT else { return nil }
        return FileError.system(.inputOutput, "read", path)
    }

    /// Identifies a file or folder, whatever path leads to it.
    package struct Identity: Hashable, Sendable {
        private let device: dev_t
        private let number: ino_t

        fileprivate init(_ status: stat) { (device, number) = (status.st_dev, status.st_ino) }
    }

    /// The identity of the file or folder at a path, links followed; nil if there is none.
    package static func identity(of path: String) -> Identity? { status(of: path).map { Identity($0) } }

    /// The content of a regular file.
    ///
    /// - Parameter limit: The most bytes that such a file has.
    /// - Throws: `FileError` also for a folder, a pipe or a device, and for more than there is memory for.
    package static func read(_ path: String, atMost limit: Int = .max) throws -> [UInt8] {
        let (descriptor, byteCount) = try openRegular(path)
        defer { close(descriptor) }
        guard byteCount <= limit else {
            throw FileError.malformed(
                path, "it has \(byteCount.bytesText), more than such a file has (\(limit.bytesText))")
        }
        // Swift's arrays end the program if memory is refused.
        let probe = malloc(byteCount)
        guard probe != nil || byteCount == 0 else {
            throw FileError(.inputOutput, "cannot read '\(path)': there is no memory for \(byteCount.bytesText).")
        }
        free(probe)
        return try bytes(of: descriptor, count: byteCount, path)
    }

    /// The first bytes of a regular file, or all if it is shorter. Files of /proc, which have no size, can be read, too.
    ///
    /// - Throws: `FileError` also for a folder, a pipe or a device.
    package static func head(of path: String, count: Int) throws -> [UInt8] {
        let (descriptor, _) = try openRegular(path)
        defer { close(descriptor) }
        return try bytes(of: descriptor, count: count, path)
    }

    /// Opens a regular file for reading, without waiting: opening a pipe would wait for a writer.
    package static func openRegular(_ path: String) throws -> (descriptor: Int32, byteCount: Int) {
        let descriptor = Path.withCString(path) { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
        guard descriptor >= 0 else { throw FileError.system(.inputOutput, "read", path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw FileError.notRegular("read", path, isFolder: status.st_mode & S_IFMT == S_IFDIR)
        }
        return (descriptor, Int(status.st_size))
    }

    /// At most `count` bytes from where a descriptor stands on.
    private static func bytes(of descriptor: Int32, count: Int, _ path: String) throws -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            while done < buffer.count {
                let got = Glibc.read(descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done)
                if got < 0, errno == EINTR { continue }
                if got < 0 { failure = errno }
                if got <= 0 { break }
                done += got
            }
        }
        guard failure == 0 else { throw FileError.system(.inputOutput, "read", path, code: failure) }
        return bytes
    }

    /// The names in a folder in the order of their bytes, without `.` and `..`.
    package static func list(_ path: String) throws -> [String] { try entries(of: path).map(\.name) }

    /// The same names, and which of them the file system itself calls folders; not every file system does.
    package static func entries(of path: String) throws -> [(name: String, isFolder: Bool)] {
        guard let folder = Path.withCString(path, { opendir($0) }) else {
            throw FileError.system(.inputOutput, "list", path)
        }
        defer { closedir(folder) }
        var entries: [(name: String, isFolder: Bool)] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: UInt8.self, capacity: 256) { start in
                    Path.text(of: UnsafeBufferPointer(start: start, count: strnlen(start, 256)))
                }
            }
            if name != "." && name != ".." { entries.append((name, entry.pointee.d_type == UInt8(DT_DIR))) }
        }
        return entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }

    /// Makes a folder and those above it.
    ///
    /// - Returns: Those that were not there, the innermost last.
    @discardableResult
    package static func makeDirectory(_ path: String) throws -> [String] {
        if kind(of: path) == .directory { return [] }
        let parent = Path.parent(of: path)
        let above = parent != path && !parent.isEmpty ? try makeDirectory(parent) : []
        guard Path.withCString(path, { mkdir($0, 0o777) }) != 0 else { return above + [path] }
        let reason = errno
        guard kind(of: path) == .directory else {
            throw FileError.system(.cannotCreate, "make the folder", path, code: reason)
        }
        return above
    }

    /// Removes a file; nothing happens where there is none.
    package static func remove(_ path: String) { _ = Path.withCString(path) { unlink($0) } }

    /// Removes a folder; nothing happens where it holds anything.
    package static func removeEmptyDirectory(_ path: String) { _ = Path.withCString(path) { rmdir($0) } }

    /// The path of this program's own file.
    package static var programPath: String {
        let bytes = [CChar](unsafeUninitializedCapacity: 4096) { buffer, count in
            guard let start = buffer.baseAddress else { return }
            count = max(0, readlink("/proc/self/exe", start, buffer.count))
        }
        return bytes.isEmpty ? CommandLine.arguments[0] : Path.text(of: bytes.map { UInt8(bitPattern: $0) })
    }

    /// The arguments of this program as paths, without its own name.
    package static var arguments: [String] {
        UnsafeBufferPointer(start: CommandLine.unsafeArgv, count: Int(CommandLine.argc)).dropFirst().compactMap {
            $0.map(text)
        }
    }

    /// A variable of the environment as a path; nil if it is missing or empty.
    package static func variable(_ name: String) -> String? {
        getenv(name).map(text).flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func text(_ start: UnsafeMutablePointer<CChar>) -> String {
        Path.text(of: UnsafeRawBufferPointer(start: start, count: strlen(start)))
    }
}

/// The parts of a path. A path is text; `/` separates, also before a combining mark, with which Swift takes it for one
/// character.
package enum Path {
    package static func isAbsolute(_ path: String) -> Bool { path.utf8.first == UInt8(ascii: "/") }

    package static func parts(of path: String) -> [String] {
        path.unicodeScalars.split(separator: "/").map { String($0) }
    }

    package static func join(_ base: String, _ name: String) -> String {
        isAbsolute(name) || base.isEmpty ? name : base.utf8.last == UInt8(ascii: "/") ? base + name : base + "/" + name
    }

    /// The last part, without slashes after it.
    package static func name(of path: String) -> String { parts(of: path).last ?? path }

    /// What stands before the last part; `.` where nothing does.
    package static func parent(of path: String) -> String {
        let parts = parts(of: path)
        let root = isAbsolute(path) ? "/" : ""
        if parts.count <= 1 { return root.isEmpty ? "." : root }
        return root + parts.dropLast().joined(separator: "/")
    }

    /// The last part's ending in lower case, without the dot.
    package static func fileExtension(of path: String) -> String {
        let name = name(of: path)
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return "" }
        return name[name.index(after: dot)...].lowercased()
    }

    /// The last part without its ending.
    package static func stem(of path: String) -> String {
        let name = name(of: path)
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return name }
        return String(name[..<dot])
    }
}
