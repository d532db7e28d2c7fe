// Folders of pictures as a data set: one a class, with `train/`, `val/` and `test/` above them or not; or one without labels.

internal import FinetuneFiles

/// Reads the folders of a tree, which may be those of an archive.
struct FolderSource {
    private let path: String
    private let tree: any FileTree
    /// Whether the data set may lie some folders below the top, as in an archive, which often holds one folder.
    private let mayDescend: Bool
    private var remarks: [Finding] = []

    static func read(_ path: String) throws -> ImageDataset {
        try read(path, FolderTree(path), mayDescend: false)
    }

    static func read(_ path: String, _ tree: any FileTree, mayDescend: Bool) throws -> ImageDataset {
        var source = FolderSource(path: path, tree: tree, mayDescend: mayDescend)
        return try source.read()
    }

    private init(path: String, tree: any FileTree, mayDescend: Bool) {
        (self.path, self.tree, self.mayDescend) = (path, tree, mayDescend)
    }

    private mutating func read() throws -> ImageDataset {
        var walk = PictureWalk(tree)
        let root = try walk.root()
        remarks = walk.remarks
        guard root.count > 0 else {
            var names: [String] = []
            root.visit { names += $0.others }
            throw DatasetError.unusable(path, LayoutMessages.nothing(beside: names, inArchive: mayDescend ? path : nil))
        }
        return try read(root)
    }

    private mutating func read(_ top: PictureFolder) throws -> ImageDataset {
        let layout = FolderLayout(of: top)
        if mayDescend, let table = try table(in: top, layout) { return table }
        switch layout {
        case .unlabelled:
            remarkEmptyFolders(in: top)
            return finished(
                [], [(top, nil, nil)],
                noClasses: LayoutMessages.table(path, top) ?? (mayDescend ? nil : LayoutMessages.siblings(of: path)))
        case .unlabelledSplits(let splits):
            return finished(
                [], splits.map { ($0.folder, nil, $0.part) },
                noClasses: LayoutMessages.unlabelled(splits) + (LayoutMessages.table(path, top).map { " " + $0 } ?? ""))
        case .classes(let folders):
            let filled = top.filled
            remarkAside(in: top)
            if mayDescend, top.files.isEmpty, filled.count == 1 { return try read(filled[0]) }
            remarkStrays(in: top)
            try checkForms(folders)
            return finished(
                folders.map(\.name), folders.enumerated().map { ($0.element, $0.offset, nil) },
                noClasses: filled.count == 1 ? LayoutMessages.table(path, top) : nil)
        case .splits(let splits, let leftOut):
            return try read(splits, leftOut, in: top)
        case .classesOfSplits(let folders):
            remarkStrays(in: top)
            try checkForms(folders)
            remarks.append(Finding(.reading, [], LayoutMessages.splitsBelow(folders)))
            let members = folders.enumerated().flatMap { label, folder in
                folder.folders.map { ($0, Optional(label), SplitName($0.name)?.part) }
            }
            return finished(folders.map(\.name), members)
        case .deeper(let folder):
            if mayDescend { return try read(folder) }
            throw DatasetError.unusable(path, LayoutMessages.tooHigh(path, folder))
        case .partlySplits(let divided, let unlike):
            throw DatasetError.unusable(path, LayoutMessages.partlySplits(divided, unlike))
        case .ambiguous(let outer, let inner):
            throw DatasetError.unusable(path, LayoutMessages.ambiguous(path, outer, inner))
        case .setInside(let folder, let splits):
            throw DatasetError.unusable(path, LayoutMessages.setInside(path, folder, splits))
        case .trainOrClass(let train, let other):
            throw DatasetError.unusable(path, LayoutMessages.trainOrClass(path, train, beside: other?.name ?? ""))
        }
    }

    /// The table of an archive, if the folders beside it are no classes.
    private func table(in top: PictureFolder, _ layout: FolderLayout) throws -> ImageDataset? {
        switch layout {
        case .unlabelled, .unlabelledSplits: break
        case .classes(let folders) where folders.count(where: { $0.count > 0 }) == 1: break
        default: return nil
        }
        guard let name = LayoutMessages.mainTable(of: top) else { return nil }
        let place = top.path.isEmpty ? name : "\(top.path)/\(name)"
        let bytes = try tree.content(of: place, atMost: 1 << 30)
        return try TableSource.read(path, bytes, tree, folder: top.path).adding(
            remarks: remarks + [Finding(.reading, [place], "Labels come from the table '\(place)' in the archive.")])
    }

    // MARK: Splits

    private mutating func read(
        _ splits: [FolderLayout.NamedSplit], _ leftOut: [PictureFolder], in top: PictureFolder
    ) throws -> ImageDataset {
        remarkStrays(in: top)
        if splits.contains(where: { $0.folder.path != $0.part.rawValue }) {
            remarks.append(Finding(.reading, [], LayoutMessages.splits(splits)))
        }
        for folder in leftOut {
            let isUnlabelled = FolderLayout.unwrapped(folder).isLoose
            remarks.append(
                isUnlabelled
                    ? Finding(.unlabelledFolder, [folder.path], LayoutMessages.unlabelled(folder))
                    : Finding(.leftOutFolder, [folder.path], LayoutMessages.leftOut(folder)))
        }
        for folder in top.folders where folder.count == 0 { remarkEmpty(folder) }
        // The training folders decide which classes there are; if there are none, all do.
        let deciding = splits.filter { $0.part == .train }
        var classes: [String] = []
        var seen: Set<String> = []
        for split in deciding.isEmpty ? splits : deciding {
            try checkForms(split.folder.classes)
            classes += split.folder.classes.map(\.name).filter { seen.insert($0).inserted }
        }
        classes.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        let labels = Dictionary(classes.enumerated().map { ($0.element, $0.offset) }) { first, _ in first }
        var members: [(folder: PictureFolder, label: Int?, part: Split.Part?)] = []
        // Classes that training images lack: nothing can be trained, but the others can be scored.
        var unknown: String?
        var others: [(folder: PictureFolder, part: Split.Part)] = []
        for split in splits {
            remarkStrays(in: split.folder)
            remarkAside(in: split.folder)
            for folder in split.folder.classes {
                guard let label = labels[folder.name] else {
                    if folder.count == 0 {
                        remarkEmpty(folder)
                        continue
                    }
                    unknown = unknown ?? LayoutMessages.unknownClass(folder, in: split.folder, classes: classes)
                    others.append((folder, split.part))
                    continue
                }
                remarkForm(of: folder, as: classes[label])
                members.append((folder, label, split.part))
            }
        }
        let known = classes.count
        for (folder, part) in others {
            let label = classes.dropFirst(known).firstIndex(of: folder.name) ?? classes.count
            if label == classes.count { classes.append(folder.name) }
            members.append((folder, label, part))
        }
        return finished(classes, members, obstacle: unknown)
    }

    // MARK: Items

    /// - Parameters:
    ///   - noClasses: What to say if classes are asked for and there are too few.
    ///   - obstacle: Why nothing can be learnt from the images; nil if it can.
    private mutating func finished(
        _ classes: [String], _ members: [(folder: PictureFolder, label: Int?, part: Split.Part?)],
        noClasses: String? = nil, obstacle: String? = nil
    ) -> ImageDataset {
        // A list that grows leaves behind what it was copied from, and there may be millions of items.
        var items: [ImageDataset.Item] = []
        items.reserveCapacity(members.reduce(0) { $0 + $1.folder.count })
        var others: [String] = []
        for (folder, label, part) in members {
            if label != nil {
                if folder.count == 0 { remarkEmpty(folder) }
                remarkEmptyFolders(in: folder)
            }
            folder.visit { inner in others += inner.others.map { inner.path.isEmpty ? $0 : "\(inner.path)/\($0)" } }
            let origin = ImageDataset.Origin(.files(tree, folder: folder.path))
            for place in folder.places { items.append(.init(place, of: origin, label: label, part: part)) }
        }
        if !others.isEmpty { remarks.append(Finding(.notPicture, others, LayoutMessages.passedOver(others))) }
        remarks += ClassNames.similar(classes)
        return ImageDataset(
            path: path, classes: classes.map(\.withoutStandIns), items: items, remarks: remarks, noClasses: noClasses,
            obstacle: obstacle)
    }

    // MARK: Remarks

    /// Folders of other files, such as annotations, are no classes.
    private mutating func remarkAside(in folder: PictureFolder) {
        for inner in folder.folders where inner.count == 0 && inner.otherCount > 0 { remarkEmpty(inner) }
    }

    private mutating func remarkEmpty(_ folder: PictureFolder) {
        guard folder.otherCount == 0 else {
            var files: [String] = []
            folder.visit { inner in files += inner.others.map { "\(inner.path)/\($0)" } }
            remarks.append(Finding(.notPicture, files, LayoutMessages.aside(folder, files.map { Path.name(of: $0) })))
            return
        }
        remarks.append(Finding(.emptyFolder, [folder.path], "The folder '\(folder.path)' holds no images."))
    }

    private mutating func remarkEmptyFolders(in folder: PictureFolder) {
        for inner in folder.folders {
            if inner.count == 0, inner.otherCount == 0 { remarkEmpty(inner) }
            remarkEmptyFolders(in: inner)
        }
    }

    /// Pictures beside folders of classes belong to none.
    private mutating func remarkStrays(in folder: PictureFolder) {
        for name in folder.files {
            let stray = folder.path.isEmpty ? name : "\(folder.path)/\(name)"
            remarks.append(
                Finding(
                    .strayFile, [stray], "'\(stray)' lies in no folder of a class and is passed over.", surplus: [stray]
                ))
        }
    }

    /// A split may write a class's name in another Unicode form, as systems do when files are copied.
    private mutating func remarkForm(of folder: PictureFolder, as name: String) {
        guard !folder.name.utf8.elementsEqual(name.utf8) else { return }
        remarks.append(
            Finding(
                .reading, [folder.path],
                "'\(folder.path)' writes the class '\(name)' in another Unicode form; both are taken as one class."))
    }

    /// Swift compares texts by the characters that they show, so that one class would take the images of both.
    private func checkForms(_ folders: [PictureFolder]) throws {
        var known: Set<String> = []
        for folder in folders where !known.insert(folder.name).inserted {
            throw DatasetError.unusable(path, LayoutMessages.twoForms(folder.name))
        }
    }
}
