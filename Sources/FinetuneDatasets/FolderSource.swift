// Folders of pictures: one a class, with `train/`, `val/` and `test/` above them or not; or one without labels.

internal import FinetuneFiles

struct FolderSource {
    private static let parts: [(part: Split.Part, names: [String])] = [
        (.train, ["train"]), (.validation, ["val", "valid", "validation"]), (.test, ["test"]),
    ]
    private static let pictureEndings = PictureFormat.endings

    private let path: String
    private var remarks: [Finding] = []
    /// Folders that were entered: a link may lead to one of them, and round in circles.
    private var entered: Set<FileSystem.Identity> = []

    static func read(_ path: String) throws -> ImageDataset {
        var source = FolderSource(path: path)
        return try source.read()
    }

    private init(path: String) { self.path = path }

    private mutating func read() throws -> ImageDataset {
        FileSystem.identity(of: path).map { _ = entered.insert($0) }
        let folders = try subfolders("")
        if folders.contains("train") { return try readSplit(folders) }
        if folders.isEmpty {
            let items = try files(below: "").map { ImageDataset.Item($0, of: origin("")) }
            return ImageDataset(path: path, classes: [], items: items, remarks: remarks)
        }
        let (classes, items) = try readClasses("", folders, known: nil)
        return ImageDataset(path: path, classes: classes.map(\.withoutStandIns), items: items, remarks: remarks)
    }

    private mutating func readSplit(_ folders: [String]) throws -> ImageDataset {
        try remarkStrays("")
        var classes: [String]?
        var items: [ImageDataset.Item] = []
        for (part, names) in Self.parts {
            guard let name = names.first(where: folders.contains) else { continue }
            let (found, members) = try readClasses(name, try subfolders(name), known: classes)
            classes = classes ?? found
            items.reserveCapacity(items.count + members.count)
            for var item in members {
                item.part = part
                items.append(item)
            }
        }
        return ImageDataset(
            path: path, classes: (classes ?? []).map(\.withoutStandIns), items: items, remarks: remarks)
    }

    /// - Parameter known: The classes of the training folder, which others may not extend.
    private mutating func readClasses(_ folder: String, _ names: [String], known: [String]?) throws
        -> (classes: [String], items: [ImageDataset.Item])
    {
        let classes = known ?? names
        try remarkStrays(folder)
        var members: [(label: Int, folder: String, files: [String])] = []
        for name in names {
            guard let label = classes.firstIndex(of: name) else {
                throw DatasetError.unusable(
                    Path.join(path, folder),
                    "its class '\(name)' is not among the training classes (\(classes.prefix(5).joined(separator: ", ")))."
                )
            }
            let inside = joined(folder, name)
            let files = try self.files(below: inside)
            if files.isEmpty {
                remarks.append(Finding(.emptyFolder, [inside], "The folder '\(inside)' holds no images."))
            }
            members.append((label, inside, files))
        }
        // A list that grows leaves behind what it was copied from, and there may be millions of items.
        var items: [ImageDataset.Item] = []
        items.reserveCapacity(members.reduce(0) { $0 + $1.files.count })
        for (label, folder, files) in members {
            let origin = origin(folder)
            for name in files { items.append(.init(name, of: origin, label: label)) }
        }
        return (classes, items)
    }

    private func origin(_ folder: String) -> ImageDataset.Origin { .init(.files(root: path, folder: folder)) }

    private func joined(_ folder: String, _ name: String) -> String { folder.isEmpty ? name : "\(folder)/\(name)" }

    private func isDirectory(_ name: String) -> Bool { FileSystem.kind(of: Path.join(path, name)) == .directory }

    /// Folders that are not hidden and were not entered before, in the order of their bytes.
    private mutating func subfolders(_ folder: String) throws -> [String] {
        try list(folder).filter { !Self.isPicture($0) && isDirectory(joined(folder, $0)) && enters(joined(folder, $0)) }
    }

    /// Whether a folder is entered for the first time.
    private mutating func enters(_ folder: String) -> Bool {
        guard let identity = FileSystem.identity(of: Path.join(path, folder)) else { return true }
        if entered.insert(identity).inserted { return true }
        remarks.append(
            Finding(
                .repeatedFolder, [folder],
                "'\(folder)' leads to a folder whose images are in the data set already, and is passed over."))
        return false
    }

    /// What is not hidden in a folder.
    private mutating func list(_ folder: String) throws -> [String] {
        try FileSystem.list(folder.isEmpty ? path : Path.join(path, folder)).filter { name in
            guard name.hasPrefix(".") else { return true }
            let hidden = joined(folder, name)
            if !remarks.contains(where: { $0.kind == .hidden && $0.paths == [hidden] }) {
                remarks.append(Finding(.hidden, [hidden], "'\(hidden)' is hidden and passed over."))
            }
            return false
        }
    }

    /// Pictures beside folders of classes belong to none.
    private mutating func remarkStrays(_ folder: String) throws {
        for name in try list(folder) where Self.isPicture(name) {
            let stray = joined(folder, name)
            remarks.append(
                Finding(
                    .strayFile, [stray], "'\(stray)' lies in no folder of a class and is passed over.", surplus: [stray]
                ))
        }
    }

    private static let greatestDepth = 64

    private static func isPicture(_ name: String) -> Bool { pictureEndings.contains(Path.fileExtension(of: name)) }

    /// Every file below a folder that is not hidden, by its path from there. A folder that is named like a picture
    /// counts as one, so that it is reported as unreadable rather than passed over.
    private mutating func files(below folder: String, depth: Int = 0) throws -> [String] {
        guard depth < Self.greatestDepth else {
            remarks.append(
                Finding(
                    .strayFile, [folder],
                    "'\(folder)' lies deeper than \(Self.greatestDepth) folders and is passed over."))
            return []
        }
        var result: [String] = []
        for name in try list(folder) {
            let inside = joined(folder, name)
            if !Self.isPicture(name), isDirectory(inside) {
                guard enters(inside) else { continue }
                let below = try files(below: inside, depth: depth + 1)
                if below.isEmpty, depth > 0 || !folder.isEmpty {
                    remarks.append(Finding(.emptyFolder, [inside], "The folder '\(inside)' holds no images."))
                }
                result += below.map { "\(name)/\($0)" }
            } else {
                result.append(name)
            }
        }
        return result
    }
}
