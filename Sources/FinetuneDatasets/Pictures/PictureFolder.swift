// The folders of a data set with the pictures in them, found in one walk before it is decided what the folders mean.

internal import FinetuneFiles

/// A folder with the pictures in and below it.
final class PictureFolder {
    let name: String
    /// Below the tree's root; empty for the root.
    let path: String
    /// In the order of their names' bytes.
    fileprivate(set) var folders: [PictureFolder] = []
    /// Names of files that are, or should be, pictures.
    fileprivate(set) var files: [String] = []
    /// Names of files that are no pictures, neither by name nor by content.
    fileprivate(set) var others: [String] = []

    fileprivate init(_ name: String, _ path: String) { (self.name, self.path) = (name, path) }

    /// The pictures in the folder and below it.
    private(set) lazy var count: Int = folders.reduce(files.count) { $0 + $1.count }

    /// Subfolders with pictures in or below them.
    private(set) lazy var filled: [PictureFolder] = folders.filter { $0.count > 0 }

    /// Subfolders that may be classes: those with pictures, and empty ones, but none with other files alone.
    private(set) lazy var classes: [PictureFolder] = folders.filter { $0.count > 0 || $0.otherCount == 0 }

    /// The files in the folder and below it that are no pictures.
    private(set) lazy var otherCount: Int = folders.reduce(others.count) { $0 + $1.otherCount }

    /// Whether pictures lie in it and in no folder below it.
    var isLoose: Bool { !files.isEmpty && filled.isEmpty }

    /// The paths of all pictures below it, from there on, in the order of a listing.
    var places: [String] {
        guard !folders.isEmpty else { return files }
        var places: [String] = []
        places.reserveCapacity(count)
        appendPlaces(to: &places, prefix: "")
        return places
    }

    private func appendPlaces(to places: inout [String], prefix: String) {
        var (file, folder) = (files[...], folders[...])
        while let next = folder.first {
            while let name = file.first, name.utf8.lexicographicallyPrecedes(next.name.utf8) {
                places.append(prefix + name)
                file.removeFirst()
            }
            next.appendPlaces(to: &places, prefix: "\(prefix)\(next.name)/")
            folder.removeFirst()
        }
        for name in file { places.append(prefix + name) }
    }

    /// Calls `body` with the folder and every one below it.
    func visit(_ body: (PictureFolder) -> Void) {
        body(self)
        for folder in folders { folder.visit(body) }
    }

    /// The first picture in or below it, by its path in the tree.
    var firstPicture: String? {
        files.first.map { path.isEmpty ? $0 : "\(path)/\($0)" } ?? filled.first?.firstPicture
    }
}

/// A walk through all folders of a tree.
struct PictureWalk {
    private let tree: any FileTree
    /// What was passed over.
    private(set) var remarks: [Finding] = []
    /// Folders that were entered: a link may lead to one of them, and round in circles.
    private var entered: Set<FileSystem.Identity> = []
    /// Links to folders, which are followed when all folders are known that are no links.
    private var links: [(name: String, parent: PictureFolder, depth: Int)] = []

    init(_ tree: any FileTree) { self.tree = tree }

    /// The root with all below it.
    mutating func root() throws -> PictureFolder {
        let root = PictureFolder("", "")
        tree.identity(of: "").map { _ = entered.insert($0) }
        try walk(root, depth: 0)
        while !links.isEmpty {
            let (name, parent, depth) = links.removeFirst()
            guard let folder = try enter(name, in: parent, depth) else { continue }
            let place = parent.folders.firstIndex { name.utf8.lexicographicallyPrecedes($0.name.utf8) }
            parent.folders.insert(folder, at: place ?? parent.folders.count)
        }
        return root
    }

    private mutating func walk(_ folder: PictureFolder, depth: Int) throws {
        for entry in try tree.entries(of: folder.path, isFile: PictureName.isPicture) {
            let inside = folder.path.isEmpty ? entry.name : "\(folder.path)/\(entry.name)"
            if entry.name.hasPrefix(".") {
                remarks.append(Finding(.hidden, [inside], "'\(inside)' is hidden and passed over."))
            } else if entry.kind == .file {
                if isPicture(entry.name, inside) {
                    folder.files.append(entry.name)
                } else {
                    folder.others.append(entry.name)
                }
            } else if PictureName.systemFolders.contains(entry.name) {
                remarks.append(Finding(.hidden, [inside], "'\(inside)' is a folder of the system and is passed over."))
            } else if entry.kind == .linkedFolder {
                links.append((entry.name, folder, depth))
            } else if let below = try enter(entry.name, in: folder, depth) {
                folder.folders.append(below)
            }
        }
    }

    /// A folder with what is below it; nil where it was entered before, or lies too deep.
    private mutating func enter(_ name: String, in parent: PictureFolder, _ depth: Int) throws -> PictureFolder? {
        let path = parent.path.isEmpty ? name : "\(parent.path)/\(name)"
        if let identity = tree.identity(of: path), !entered.insert(identity).inserted {
            remarks.append(
                Finding(
                    .repeatedFolder, [path],
                    "'\(path)' leads to a folder whose images are in the data set already, and is passed over."))
            return nil
        }
        guard depth < Self.greatestDepth else {
            remarks.append(
                Finding(
                    .strayFile, [path], "'\(path)' lies deeper than \(Self.greatestDepth) folders and is passed over."))
            return nil
        }
        let folder = PictureFolder(name, path)
        try walk(folder, depth: depth + 1)
        return folder
    }

    private func isPicture(_ name: String, _ path: String) -> Bool {
        if PictureName.isPicture(name) { return true }
        // What cannot be opened is known by its name alone.
        guard let head = try? tree.head(of: path, count: PictureName.headCount) else {
            return !PictureName.hasEnding(name)
        }
        return PictureName.isPicture(beginning: head)
    }

    private static let greatestDepth = 64
}
