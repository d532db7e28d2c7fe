// Files and folders through the C library: no Foundation, so that a program starts in milliseconds.

internal import Glibc

/// What the program asks of the file system.
package enum FileSystem {
    package enum Kind: Sendable { case file, directory, other }

    /// What stands at a path, links followed; nil where there is nothing.
    package static func kind(of path: String) -> Kind? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .file
        case S_IFDIR: return .directory
        default: return .other
        }
    }

    /// The content of a regular file.
    ///
    /// - Throws: `FileError` also for a folder, a pipe or a device.
    package static func read(_ path: String) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileError.system(.inputOutput, "read", path) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError.system(.inputOutput, "read", path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw FileError(.malformed, "cannot read '\(path)': it is no regular file")
        }
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, count in
            while count < buffer.count {
                let got = Glibc.read(descriptor, buffer.baseAddress?.advanced(by: count), buffer.count - count)
                if got < 0, errno == EINTR { continue }
                if got < 0 { failure = errno }
                if got <= 0 { break }
                count += got
            }
        }
        guard failure == 0 else { throw FileError.system(.inputOutput, "read", path, code: failure) }
        return bytes
    }

    /// The first bytes of a file, fewer where it is shorter.
    package static func head(of path: String, count: Int) throws -> [UInt8] {
        guard let file = fopen(path, "rbe") else { throw FileError.system(.inputOutput, "read", path) }
        defer { fclose(file) }
        return [UInt8](unsafeUninitializedCapacity: count) { $1 = fread($0.baseAddress, 1, count, file) }
    }

    /// The names in a folder in the order of their bytes, without `.` and `..`.
    package static func list(_ path: String) throws -> [String] {
        guard let folder = opendir(path) else { throw FileError.system(.inputOutput, "list", path) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// Makes a folder and those above it.
    package static func makeDirectory(_ path: String) throws {
        if kind(of: path) == .directory { return }
        let parent = Path.parent(of: path)
        if parent != path, !parent.isEmpty { try makeDirectory(parent) }
        guard mkdir(path, 0o777) == 0 || kind(of: path) == .directory else {
            throw FileError.system(.cannotCreate, "make the folder", path)
        }
    }

    /// Removes a file; nothing happens where there is none.
    package static func remove(_ path: String) { unlink(path) }

    /// Removes a folder; nothing happens where it holds anything.
    package static func removeEmptyDirectory(_ path: String) { rmdir(path) }

    /// The path of this program's own file.
    package static var programPath: String {
        let bytes = [CChar](unsafeUninitializedCapacity: 4096) { buffer, count in
            guard let start = buffer.baseAddress else { return }
            count = max(0, readlink("/proc/self/exe", start, buffer.count))
        }
        return bytes.isEmpty
            ? CommandLine.arguments[0] : String(decoding: bytes.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// The parts of a path. A path is text; `/` separates, also before a combining mark, with which Swift takes it for one
/// character.
package enum Path {
    static func isAbsolute(_ path: String) -> Bool { path.utf8.first == UInt8(ascii: "/") }

    static func parts(of path: String) -> [String] { path.unicodeScalars.split(separator: "/").map { String($0) } }

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
