// Files in folders, wherever they lie: what lists a data set asks for nothing else, so that archives are read as folders are.

/// Files in folders that can be listed and read. Safe to use from several threads at once.
package protocol FileTree: Sendable {
    /// What a folder holds, in the order of the names' bytes, without `.` and `..`.
    ///
    /// - Parameters:
    ///   - folder: Its path below the tree's root; empty for the root.
    ///   - isFile: Whether a name most likely stands for a file: its kind is not asked for then, where that takes time.
    func entries(of folder: String, isFile: (String) -> Bool) throws -> [FileEntry]

    /// Identifies a folder, whatever path leads to it; nil if that cannot be told.
    func identity(of folder: String) -> FileSystem.Identity?

    /// Whether there is a file, or something else that is no folder, at a path.
    func holdsFile(at path: String) -> Bool

    /// The first bytes of a file, or all if it is shorter.
    func head(of path: String, count: Int) throws -> [UInt8]

    /// The content of a file.
    ///
    /// - Parameter limit: The most bytes that such a file has.
    func content(of path: String, atMost limit: Int) throws -> [UInt8]
}

/// A name in a folder.
package struct FileEntry: Sendable {
    package enum Kind: Sendable {
        case file, folder
        /// A link that leads to a folder.
        case linkedFolder
    }

    package let name: String
    package let kind: Kind

    package init(_ name: String, _ kind: Kind) { (self.name, self.kind) = (name, kind) }
}

/// A folder of the file system.
package struct FolderTree: FileTree {
    /// Where paths begin; empty for the current folder.
    package let root: String

    package init(_ root: String) { self.root = root }

    package func entries(of folder: String, isFile: (String) -> Bool) throws -> [FileEntry] {
        let path = Path.join(root, folder)
        return try FileSystem.entries(of: path.isEmpty ? "." : path).map { name, isFolder in
            guard isFolder || !isFile(name) else { return FileEntry(name, .file) }
            let inside = Path.join(path, name)
            guard FileSystem.kind(of: inside) == .directory else { return FileEntry(name, .file) }
            return FileEntry(name, FileSystem.isOwnDirectory(inside) ? .folder : .linkedFolder)
        }
    }

    package func identity(of folder: String) -> FileSystem.Identity? {
        FileSystem.identity(of: folder.isEmpty ? root : Path.join(root, folder))
    }

    package func holdsFile(at path: String) -> Bool {
        FileSystem.kind(of: Path.join(root, path)).map { $0 != .directory } ?? false
    }

    package func head(of path: String, count: Int) throws -> [UInt8] {
        try FileSystem.head(of: Path.join(root, path), count: count)
    }

    package func content(of path: String, atMost limit: Int) throws -> [UInt8] {
        try FileSystem.read(Path.join(root, path), atMost: limit)
    }
}
