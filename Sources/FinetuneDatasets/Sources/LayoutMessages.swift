// Every sentence about where images lie.

internal import FinetuneFiles

/// What is said of folders that cannot be read as a data set, or only in part.
enum LayoutMessages {
    static func several(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

    /// Some names in quotes.
    static func listed(_ names: [String], most: Int = 5) -> String {
        let shown = names.prefix(most).map { "'\($0)'" }
        if names.count > most { return shown.joined(separator: ", ") + ", …" }
        return shown.count > 1
            ? shown.dropLast().joined(separator: ", ") + " and " + (shown.last ?? "") : shown.joined()
    }

    /// - Parameter archive: The path of the archive that holds the names; nil for a folder.
    static func nothing(beside names: [String], inArchive archive: String? = nil) -> String {
        if let archive, let inner = ArchiveSource.nested(in: names).first {
            return
                "it holds no images, but the archive '\(inner)'. Unpack it, and give what is in it to --data: \(ArchiveSource.command(archive))"
        }
        guard !names.isEmpty else { return "it holds no images. Expected a folder of pictures for each class." }
        var next = "Expected a folder of pictures for each class."
        let tables = names.filter { ["csv", "tsv"].contains(Path.fileExtension(of: $0)) }
        if archive == nil, let table = tables.first, tables.count == 1 {
            next = "If the table '\(table)' lists the images, give its path to --data."
        }
        if names.contains(where: { ["zip", "tar", "tgz"].contains(Path.fileExtension(of: $0)) }) {
            next = "If the archive holds the images, give its path to --data."
        }
        return "it holds no images, but \(kinds(of: names)). \(next)"
    }

    /// How many files of each kind, the most common kind first.
    private static func kinds(of names: [String]) -> String {
        var counts: [String: Int] = [:]
        for name in names {
            let ending = PictureName.hasEnding(name) ? "." + Path.fileExtension(of: name) : "without ending"
            counts[ending, default: 0] += 1
        }
        let ranked = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        let shown = ranked.prefix(8).map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        return shown + (ranked.count > 8 ? ", …" : "")
    }

    /// - Parameter names: Paths.
    static func passedOver(_ names: [String]) -> String {
        names.count == 1
            ? "'\(names[0])' is not a picture and is passed over."
            : "\(names.count) files are not pictures and are passed over: \(kinds(of: names.map { Path.name(of: $0) }))."
    }

    /// - Parameter files: The names of the files in and below the folder.
    static func aside(_ folder: PictureFolder, _ files: [String]) -> String {
        "'\(folder.path)' holds no images, but \(kinds(of: files)), and is passed over."
    }

    static func tooHigh(_ path: String, _ folder: PictureFolder) -> String {
        let meant = Path.join(path, folder.path)
        return
            "its only folder with images is '\(folder.path)', which holds \(listed(folder.filled.map(\.name))). Did you mean --data \(quoted(meant))?"
    }

    static func setInside(_ path: String, _ folder: PictureFolder, _ splits: [FolderLayout.NamedSplit]) -> String {
        "its folder '\(folder.path)' has the splits \(listed(splits.map(\.folder.name))), so it is a data set and no class. Did you mean --data \(quoted(Path.join(path, folder.path)))?"
    }

    static func partlySplits(_ divided: PictureFolder, _ unlike: PictureFolder) -> String {
        let found =
            unlike.filled.isEmpty
            ? "images without such folders"
            : "\(listed(unlike.filled.map(\.name)))\(unlike.files.isEmpty ? "" : " and images")"
        return
            "'\(divided.path)' holds the splits \(listed(divided.filled.map(\.name))), but '\(unlike.path)' holds \(found). Give every class the same splits, such as train and test, or list the images in a CSV with the columns path,label,split."
    }

    static func ambiguous(_ path: String, _ outer: [PictureFolder], _ inner: [String]) -> String {
        let (outerNames, innerNames) = (listed(outer.map(\.name)), listed(inner))
        let start = "its folders \(outerNames) hold the folders \(innerNames), so either may be the classes."
        let outerReading =
            "If \(outerNames) are the classes, move the images out of the inner folders, or list them in a CSV with the columns path,label."
        guard outer.count == 2 else {
            return
                "\(start) If \(innerNames) are the classes and the outer folders are groups, such as patients or plates, list the images in a CSV with the columns path,label,group; if they are splits, rename them to train, val and test. \(outerReading)"
        }
        let train = outer.first { SplitName($0.name)?.part == .train } ?? outer[0]
        let other = outer.first { $0 !== train } ?? outer[outer.count - 1]
        let commands = [train, other].map { quoted(Path.join(path, $0.path)) }
        return
            "\(start) If \(innerNames) are the classes and the outer folders are splits, rename these to train and val, or give --data \(commands[0]) --val \(commands[1]). \(outerReading)"
    }

    static func trainOrClass(_ path: String, _ train: PictureFolder, beside other: String) -> String {
        let inner = listed(train.filled.map(\.name))
        return
            "'\(train.name)' may be a class beside '\(other)', or hold the classes \(inner). If \(inner) are the classes: --data \(quoted(Path.join(path, train.path))). If '\(train.name)' and '\(other)' are the classes, move the images out of the folders in '\(train.name)', or list them in a CSV with the columns path,label."
    }

    static func splitsBelow(_ classes: [PictureFolder]) -> String {
        let names = classes.first.map { listed($0.filled.map(\.name)) } ?? ""
        return "Each class has the splits \(names) below it."
    }

    static func unknownClass(_ folder: PictureFolder, in split: PictureFolder, classes: [String]) -> String {
        let images = several(folder.count, "image") + (folder.firstPicture.map { ", such as '\($0)'" } ?? "")
        let key = ClassNames.key(of: folder.name)
        let next =
            classes.first { ClassNames.key(of: $0) == key }.map {
                "It differs from '\($0)' only by case or blanks: rename one."
            }
            ?? "Add training images of it, or move the folder away."
        return
            "its class '\(folder.name)' in '\(split.path)' (\(images)) is not among the training classes (\(classes.prefix(5).joined(separator: ", "))\(classes.count > 5 ? ", …" : "")). \(next)"
    }

    static func twoForms(_ name: String) -> String {
        "two of its classes are called '\(name)', in two Unicode forms that look the same. Move the images into one of the folders, or rename one."
    }

    static func unlabelled(_ folder: PictureFolder) -> String {
        "'\(folder.path)' holds \(several(folder.count, "image")) without class folders and is left out. To label them: finetune predict."
    }

    static func splits(_ splits: [FolderLayout.NamedSplit]) -> String {
        "Splits: " + splits.map { "'\($0.folder.path)' is \($0.part.rawValue)" }.joined(separator: ", ") + "."
    }

    static func leftOut(_ folder: PictureFolder) -> String {
        "'\(folder.path)' with \(several(folder.count, "image")) is left out: its name is that of no split. Expected train, val or test."
    }

    // MARK: Why there are no classes

    static func unlabelled(_ splits: [FolderLayout.NamedSplit]) -> String {
        "\(listed(splits.map(\.folder.path))) hold images without class folders. Make a folder of images for each class in them, or list the images in a CSV with the columns path,label."
    }

    /// The table in a folder: the only one, or that of the training images.
    static func mainTable(of folder: PictureFolder) -> String? {
        let tables = folder.others.filter { ["csv", "tsv"].contains(Path.fileExtension(of: $0)) }
        return tables.count == 1 ? tables[0] : tables.first { SplitName(Path.stem(of: $0))?.part == .train }
    }

    /// A table beside the pictures, which may have their labels.
    static func table(_ path: String, _ folder: PictureFolder) -> String? {
        guard let table = mainTable(of: folder) else { return nil }
        return "If '\(table)' has the labels: --data \(quoted(Path.join(path, table)))"
    }

    /// Folders of pictures beside a folder of pictures: it is most likely one class of several.
    static func siblings(of path: String) -> String? {
        guard let identity = FileSystem.identity(of: path) else { return nil }
        let parent = path == "." ? ".." : Path.name(of: path) == ".." ? Path.join(path, "..") : Path.parent(of: path)
        let names = ((try? FileSystem.list(parent)) ?? []).filter { !$0.hasPrefix(".") }
        let own = names.first { FileSystem.identity(of: Path.join(parent, $0)) == identity } ?? Path.name(of: path)
        let siblings = names.lazy.filter { $0 != own && holdsPictures(Path.join(parent, $0)) }.prefix(3)
        guard !siblings.isEmpty else { return nil }
        return
            "'\(own)' holds images and lies beside \(listed(Array(siblings))), as a class does. Did you mean --data \(quoted(parent))?"
    }

    private static func holdsPictures(_ folder: String) -> Bool {
        guard FileSystem.kind(of: folder) == .directory, let names = try? FileSystem.list(folder) else { return false }
        return names.contains(where: PictureName.isPicture)
    }

    /// A path as a shell takes it.
    static func quoted(_ path: String) -> String {
        let isPlain = path.utf8.allSatisfy {
            $0 >= 0x80 || UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0
                || UInt8(ascii: "+")...UInt8(ascii: "9") ~= $0 || $0 == UInt8(ascii: "_")
        }
        return isPlain ? path : "'\(path)'"
    }
}
