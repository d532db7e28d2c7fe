// The files of a zip or tar archive as a tree: listed once, read in place, from several threads at once.

/// An archive whose files are listed and read like those of a folder.
package final class ArchiveTree: FileTree {
    private enum Location {
        case member(ZipArchive.Member)
        case bytes(offset: Int, count: Int)
    }

    private let path: String
    private let source: ByteSource
    private let zip: ZipArchive?
    private let files: [String: Location]
    private let folders: [String: [FileEntry]]
    /// Links that lead out of the archive or to folders, devices and other things that are no files, by name.
    package let passedOver: [String]
    /// Whether the archive has the mark of its end; without it files may be missing.
    package let isEnded: Bool

    /// The most files of an archive.
    private static let mostFiles = 1_000_000
    private static let greatestDepth = 100

    /// Whether bytes begin like a tar archive.
    package static func isTar(_ head: [UInt8]) -> Bool { TarArchive.matches(head) }

    /// A zip archive.
    package convenience init(zip path: String) throws {
        let source = try ByteSource(file: path)
        let zip = try ZipArchive(source, name: path, atMost: Self.mostFiles)
        var listing = Listing(path)
        for member in zip.members {
            // Some programs of Windows write their own separator.
            let name =
                member.name.utf8.contains(UInt8(ascii: "\\"))
                ? String(String.UnicodeScalarView(member.name.unicodeScalars.map { $0 == "\\" ? "/" : $0 }))
                : member.name
            if name.utf8.last == UInt8(ascii: "/") {
                _ = try listing.addFolder(name)
            } else if member.isLink {
                listing.passedOver.append(name)
            } else {
                try listing.add(name, .member(member))
            }
        }
        self.init(path, source, zip, listing)
    }

    /// A tar archive.
    ///
    /// - Parameter source: Its bytes, if they are not those of the file at the path.
    package convenience init(tar path: String, _ source: ByteSource? = nil) throws {
        let source = try source ?? ByteSource(file: path)
        var listing = Listing(path)
        var links: [(name: String, target: String)] = []
        let isEnded = try TarArchive(source, name: path).visit { entry in
            switch entry.kind {
            case .folder: _ = try listing.addFolder(entry.name)
            case .file: try listing.add(entry.name, .bytes(offset: entry.offset, count: entry.count))
            case .hardLink(let target): links.append((entry.name, target))
            case .link(let target):
                let parent =
                    Path.isAbsolute(target) ? "/" : Path.parts(of: entry.name).dropLast().joined(separator: "/")
                links.append((entry.name, parent.isEmpty ? target : Path.join(parent, target)))
            case .other: listing.passedOver.append(entry.name)
            }
            guard links.count <= Self.mostFiles else { throw listing.tooMany }
        }
        try listing.resolve(links)
        self.init(path, source, nil, listing, isEnded: isEnded)
    }

    private init(_ path: String, _ source: ByteSource, _ zip: ZipArchive?, _ listing: Listing, isEnded: Bool = true) {
        (self.path, self.source, self.zip, self.isEnded) = (path, source, zip, isEnded)
        (files, passedOver) = (listing.files, listing.passedOver)
        folders = listing.folders.mapValues { names in
            names.map { FileEntry($0.key, $0.value) }.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        }
    }

    // MARK: The tree

    package func entries(of folder: String, isFile: (String) -> Bool) throws -> [FileEntry] {
        guard let entries = folders[Listing.parts(folder).joined(separator: "/")] else { throw missing(folder) }
        return entries
    }

    package func identity(of folder: String) -> FileSystem.Identity? { nil }

    package func holdsFile(at path: String) -> Bool { location(of: path) != nil }

    package func head(of path: String, count: Int) throws -> [UInt8] {
        switch location(of: path) {
        case .member(let member): try zip?.head(of: member, count: count) ?? []
        case .bytes(let offset, let size): try source.bytes(at: offset, count: min(count, size)) ?? []
        case nil: throw missing(path)
        }
    }

    package func content(of path: String, atMost limit: Int) throws -> [UInt8] {
        switch location(of: path) {
        case .member(let member):
            try check(member.byteCount, path, limit)
            return try zip?.content(of: member) ?? []
        case .bytes(let offset, let count):
            try check(count, path, limit)
            guard let bytes = try source.bytes(at: offset, count: count) else {
                throw FileError.malformed(self.path, "its file '\(path)' is cut short")
            }
            return bytes
        case nil: throw missing(path)
        }
    }

    private func location(of path: String) -> Location? {
        files[path] ?? Listing.inside(path).flatMap { files[$0.joined(separator: "/")] }
    }

    private func check(_ count: Int, _ path: String, _ limit: Int) throws {
        guard count <= limit else {
            throw FileError.malformed(
                path, "it has \(count.bytesText), more than such a file has (\(limit.bytesText))")
        }
    }

    private func missing(_ path: String) -> FileError {
        FileError(.missing, "cannot read '\(path)' in '\(self.path)': there is nothing at that path.")
    }

    // MARK: Listing

    /// The names of an archive as they are collected.
    private struct Listing {
        let path: String
        var files: [String: Location] = [:]
        var folders: [String: [String: FileEntry.Kind]] = ["": [:]]
        var passedOver: [String] = []

        init(_ path: String) { self.path = path }

        var tooMany: FileError {
            .malformed(path, "it has more than \(ArchiveTree.mostFiles) files. Unpack it into a folder.")
        }

        /// The parts of a path without those that mean nothing.
        static func parts(_ path: String) -> [String] { Path.parts(of: path).filter { $0 != "." } }

        /// The parts of a path from the top of the archive; nil if it leads out of it.
        static func inside(_ path: String) -> [String]? {
            guard !Path.isAbsolute(path) else { return nil }
            var result: [String] = []
            for part in parts(path) {
                if part == ".." {
                    guard result.popLast() != nil else { return nil }
                } else {
                    result.append(part)
                }
            }
            return result
        }

        /// - Returns: The folder's path.
        mutating func addFolder(_ name: String) throws -> String { try addFolder(checked(name)) }

        private mutating func addFolder(_ parts: [String]) throws -> String {
            let path = parts.joined(separator: "/")
            if folders[path] == nil {
                let parent = try addFolder(Array(parts.dropLast()))
                guard folders.count <= ArchiveTree.mostFiles else { throw tooMany }
                if let last = parts.last { folders[parent]?[last] = .folder }
                folders[path] = [:]
            }
            return path
        }

        mutating func add(_ name: String, _ location: Location) throws {
            let parts = try checked(name)
            guard let last = parts.last else { return }
            let parent = try addFolder(Array(parts.dropLast()))
            let path = parts.joined(separator: "/")
            guard folders[path] == nil else { return passedOver.append(name) }
            guard files.count < ArchiveTree.mostFiles else { throw tooMany }
            folders[parent]?[last] = .file
            files[path] = location
        }

        private func checked(_ name: String) throws -> [String] {
            let parts = Self.parts(name)
            guard !Path.isAbsolute(name), !parts.contains("..") else {
                throw FileError.malformed(
                    path,
                    "its file '\(name)' would lie outside of the archive. Do not use it unless you trust where it came from."
                )
            }
            guard parts.count <= ArchiveTree.greatestDepth else {
                throw FileError.malformed(
                    path, "its file '\(name.prefix(100))…' lies deeper than \(ArchiveTree.greatestDepth) folders.")
            }
            return parts
        }

        /// Gives links the content of the files that they lead to, through other links, too.
        mutating func resolve(_ links: [(name: String, target: String)]) throws {
            var rest = links
            // A link that leads through more links than this is a trick.
            for _ in 0..<40 where !rest.isEmpty {
                var open: [(name: String, target: String)] = []
                for link in rest {
                    if let parts = Self.inside(link.target), let location = files[parts.joined(separator: "/")] {
                        try add(link.name, location)
                    } else {
                        open.append(link)
                    }
                }
                rest = open
            }
            passedOver += rest.map(\.name)
        }
    }
}
