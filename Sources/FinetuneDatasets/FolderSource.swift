// Folders of pictures: one a class, with `train/`, `val/` and `test/` above them or not; or one without labels.

internal import FinetuneFiles

enum FolderSource {
    private static let parts: [(part: Split.Part, names: [String])] = [
        (.train, ["train"]), (.validation, ["val", "valid", "validation"]), (.test, ["test"]),
    ]
    private static let pictureEndings: Set<String> = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp", "gif"]

    static func read(_ path: String) throws -> ImageDataset {
        let folders = try subfolders(path)
        if folders.contains("train") { return try readSplit(path, folders) }
        if folders.isEmpty {
            let files = try self.files(below: path)
            return ImageDataset(
                path: path, classes: [], items: files.map { .init(name: $0, source: .file(Path.join(path, $0))) })
        }
        let (classes, items) = try readClasses(path, folders, known: nil, prefix: "")
        return ImageDataset(path: path, classes: classes, items: items)
    }

    private static func readSplit(_ path: String, _ folders: [String]) throws -> ImageDataset {
        var classes: [String]?
        var items: [ImageDataset.Item] = []
        for (part, names) in parts {
            guard let name = names.first(where: folders.contains) else { continue }
            let folder = Path.join(path, name)
            let (found, members) = try readClasses(folder, try subfolders(folder), known: classes, prefix: name + "/")
            classes = classes ?? found
            for var item in members {
                item.part = part
                items.append(item)
            }
        }
        return ImageDataset(path: path, classes: classes ?? [], items: items)
    }

    /// - Parameter known: The classes of the training folder, which others may not extend.
    private static func readClasses(_ path: String, _ folders: [String], known: [String]?, prefix: String) throws
        -> (classes: [String], items: [ImageDataset.Item])
    {
        let classes = known ?? folders
        var items: [ImageDataset.Item] = []
        for name in folders {
            guard let label = classes.firstIndex(of: name) else {
                throw DatasetError.unusable(
                    path,
                    "its class '\(name)' is not among the training classes (\(classes.prefix(5).joined(separator: ", ")))."
                )
            }
            let folder = Path.join(path, name)
            let files = try self.files(below: folder)
            guard !files.isEmpty else {
                throw DatasetError.unusable(
                    path, "the folder of its class '\(name)' is empty. Remove the folder, or put images into it.")
            }
            items += files.map {
                .init(name: "\(prefix)\(name)/\($0)", label: label, source: .file(Path.join(folder, $0)))
            }
        }
        return (classes, items)
    }

    /// Folders that are not hidden, in the order of their bytes.
    private static func subfolders(_ path: String) throws -> [String] {
        try FileSystem.list(path).filter { name in
            !name.hasPrefix(".") && !isPicture(name) && FileSystem.kind(of: Path.join(path, name)) == .directory
        }
    }

    private static func isPicture(_ name: String) -> Bool { pictureEndings.contains(Path.fileExtension(of: name)) }

    /// Every file below a folder that is not hidden, by its path from there. A folder that is named like a picture
    /// counts as one, so that it is reported as unreadable rather than passed over.
    private static func files(below path: String, depth: Int = 0) throws -> [String] {
        guard depth < 64 else { return [] }
        var result: [String] = []
        for name in try FileSystem.list(path) where !name.hasPrefix(".") {
            if FileSystem.kind(of: Path.join(path, name)) == .directory, !isPicture(name) {
                result += try files(below: Path.join(path, name), depth: depth + 1).map { "\(name)/\($0)" }
            } else {
                result.append(name)
            }
        }
        return result
    }
}
