// What the folders of a data set mean: classes, splits above classes, or no labels at all.

/// A reading of a folder's subfolders.
enum FolderLayout {
    /// Pictures without labels; with splits where folders are named so.
    case unlabelled
    case unlabelledSplits([NamedSplit])
    /// A folder a class.
    case classes([PictureFolder])
    /// A folder a split, with a folder a class below it; others have no place in this.
    case splits([NamedSplit], leftOut: [PictureFolder])
    /// A folder a class, with a folder a split below it.
    case classesOfSplits([PictureFolder])
    /// All that is there lies in one folder, some levels down.
    case deeper(PictureFolder)
    /// Some folders hold splits, and one that does not, or not only.
    case partlySplits(PictureFolder, unlike: PictureFolder)
    /// Most folders have the same folders: either may be the classes.
    case ambiguous(outer: [PictureFolder], inner: [String])
    /// One of the folders is a data set itself, with splits of its own.
    case setInside(PictureFolder, splits: [NamedSplit])
    /// A folder called like the training images, with folders in it, beside one that is no split: a class, or all classes.
    case trainOrClass(PictureFolder, beside: PictureFolder?)

    struct NamedSplit {
        let part: Split.Part
        let folder: PictureFolder
    }

    /// Reads the folders below `top`.
    init(of top: PictureFolder) {
        let filled = top.filled
        if filled.isEmpty {
            self = top.files.isEmpty ? .classes(top.classes) : .unlabelled
        } else if let (splits, leftOut) = Self.splits(among: filled) {
            self = .splits(splits, leftOut: leftOut)
        } else if top.files.isEmpty, let splits = Self.unlabelledSplits(among: filled) {
            self = .unlabelledSplits(splits)
        } else if top.files.isEmpty, filled.count == 1, let inner = Self.inner(of: filled[0]) {
            self = .deeper(inner)
        } else if let (folder, splits) = Self.setInside(filled) {
            self = .setInside(folder, splits: splits)
        } else if let divided = filled.first(where: Self.holdsSplits) {
            let unlike = filled.first { !Self.holdsOnlySplits($0) }
            self = unlike.map { .partlySplits(divided, unlike: $0) } ?? .classesOfSplits(filled)
        } else if let inner = Self.commonFolders(of: filled) {
            self = .ambiguous(outer: filled, inner: inner)
        } else if let lone = Self.loneSplit(among: filled) {
            self = .trainOrClass(lone, beside: filled.first { $0 !== lone })
        } else {
            self = .classes(top.classes)
        }
    }

    /// Whether training images and those of another split lie in folders of their own, without classes.
    private static func holdsSplits(_ folder: PictureFolder) -> Bool {
        let parts = Set(folder.filled.filter(\.isLoose).compactMap { splitAlone($0.name) })
        return parts.contains(.train) && parts.count >= 2
    }

    private static func holdsOnlySplits(_ folder: PictureFolder) -> Bool {
        folder.files.isEmpty && folder.filled.allSatisfy { $0.isLoose && splitAlone($0.name) != nil }
    }

    /// The split that a name stands for, if it says nothing else.
    private static func splitAlone(_ name: String) -> Split.Part? {
        SplitName(name).flatMap { $0.rest.isEmpty ? $0.part : nil }
    }

    /// The first folder that is divided into splits with classes in them.
    private static func setInside(_ folders: [PictureFolder]) -> (PictureFolder, [NamedSplit])? {
        for folder in folders where folder.files.isEmpty {
            if let (named, _) = splits(among: folder.filled), Set(named.map(\.part)).count >= 2 {
                return (folder, named)
            }
        }
        return nil
    }

    /// The folder in which the classes lie, if a folder holds nothing but one that holds them, or repeats itself a level lower.
    static func unwrapped(_ folder: PictureFolder) -> PictureFolder {
        var folder = folder
        while folder.files.isEmpty, folder.filled.count == 1 {
            let inner = folder.filled[0]
            let (outerName, innerName) = (folder.name.lowercased(), inner.name.lowercased())
            let isRepeated = outerName == innerName || SplitName(outerName).map { SplitName(innerName) == $0 } == true
            let isPlain = plainNames.contains(innerName) && (inner.filled.count >= 2 || inner.isLoose)
            guard isRepeated || isPlain else { break }
            folder = inner
        }
        return folder
    }

    /// Names of folders that say nothing of a class.
    private static let plainNames: Set<String> = [
        "images", "imgs", "img", "image", "data", "dataset", "pictures", "photos", "classes", "jpg", "jpeg", "png",
    ]

    // MARK: Splits

    /// Folders named after splits, with classes below them. A class may be called `train`: it is a split only if folders
    /// with pictures lie in it and the folders beside it are splits as well, or have no labels.
    private static func splits(among folders: [PictureFolder]) -> (splits: [NamedSplit], leftOut: [PictureFolder])? {
        var groups: [[String]: [NamedSplit]] = [:]
        for folder in folders {
            guard let name = SplitName(folder.name) else { continue }
            let inner = unwrapped(folder)
            if !inner.filled.isEmpty {
                groups[name.rest, default: []].append(NamedSplit(part: name.part, folder: inner))
            }
        }
        func parts(_ group: [NamedSplit]) -> Set<Split.Part> { Set(group.map(\.part)) }
        let ranked = groups.sorted { (parts($1.value).count, $0.key.count) < (parts($0.value).count, $1.key.count) }
        guard let group = ranked.first?.value else { return nil }
        let known = parts(group)
        let leftOut = folders.filter { folder in
            !group.contains { $0.folder.path == folder.path || $0.folder.path.hasPrefix(folder.path + "/") }
        }
        let isWhole = leftOut.allSatisfy {
            unwrapped($0).isLoose && (SplitName($0.name) != nil || SplitName.isUnlabelled($0.name))
        }
        guard known.contains(.train) ? known.count >= 2 || isWhole : known.count >= 2 && leftOut.isEmpty else {
            return nil
        }
        let order = Split.Part.allCases
        let sorted = group.enumerated().sorted {
            (order.firstIndex(of: $0.element.part) ?? 0, $0.offset) < (
                order.firstIndex(of: $1.element.part) ?? 0, $1.offset
            )
        }
        return (sorted.map(\.element), leftOut)
    }

    /// Folders that are all named after splits, or after images without labels, and hold pictures without classes.
    private static func unlabelledSplits(among folders: [PictureFolder]) -> [NamedSplit]? {
        let named = folders.compactMap { folder in
            SplitName(folder.name).map { NamedSplit(part: $0.part, folder: folder) }
        }
        let others = folders.count - named.count
        guard folders.allSatisfy({ unwrapped($0).isLoose }), Set(named.map(\.part)).count >= 2,
            folders.count(where: { SplitName.isUnlabelled($0.name) }) >= others,
            named.contains(where: { $0.part == .train })
        else { return nil }
        return named
    }

    /// A folder named `train` with folders of pictures in it, beside a single one that is no split, or beside folders that
    /// are called like those in it.
    private static func loneSplit(among folders: [PictureFolder]) -> PictureFolder? {
        let names = Set(folders.map(\.name))
        return folders.first { folder in
            splitAlone(folder.name) == .train && folder.files.isEmpty && folder.filled.count >= 2
                && (folders.count == 2 || folder.filled.contains { names.contains($0.name) })
        }
    }

    // MARK: Levels

    /// Where classes or splits lie in a folder that stands alone; nil if it holds pictures itself, as a class does.
    private static func inner(of folder: PictureFolder) -> PictureFolder? {
        var folder = folder
        while folder.files.isEmpty, folder.filled.count == 1 { folder = folder.filled[0] }
        return folder.files.isEmpty && folder.filled.count >= 2 ? folder : nil
    }

    /// The names of the subfolders, if most of them are in several folders, and no pictures are beside them.
    private static func commonFolders(of folders: [PictureFolder]) -> [String]? {
        guard folders.count >= 2, folders.allSatisfy({ $0.files.isEmpty && !$0.filled.isEmpty }),
            folders.count(where: { $0.filled.count >= 2 }) >= 2
        else { return nil }
        var counts: [String: Int] = [:]
        for name in folders.flatMap({ $0.filled.map(\.name) }) { counts[name, default: 0] += 1 }
        let shared = counts.count { $0.value >= 2 }
        guard shared >= 2, 2 * shared > counts.count else { return nil }
        return counts.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
}
