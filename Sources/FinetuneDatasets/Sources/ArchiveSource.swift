// A zip or tar archive of images as a data set: read in place, by the same rules as folders.

internal import FinetuneFiles

/// An archive that can be read, by what its first bytes say.
package enum ArchiveSource {
    case zip, tar, tarGzip

    /// Nil for a file that is no such archive.
    init?(_ path: String, beginning head: [UInt8]) throws {
        if head.starts(with: [0x50, 0x4B, 3, 4]) || head.starts(with: [0x50, 0x4B, 5, 6]) {
            self = .zip
        } else if Self.isTar(head) {
            self = .tar
        } else if head.starts(with: [0x1F, 0x8B]), Self.isTar(try Gzip.head(of: path, count: PictureName.headCount)) {
            self = .tarGzip
        } else {
            return nil
        }
    }

    private static func isTar(_ head: [UInt8]) -> Bool { ArchiveTree.isTar(head) }

    /// The data set in an archive.
    func read(_ path: String) throws -> ImageDataset {
        let tree: ArchiveTree
        do {
            switch self {
            case .zip: tree = try ArchiveTree(zip: path)
            case .tar: tree = try ArchiveTree(tar: path)
            case .tarGzip: tree = try ArchiveTree(tar: path, Gzip.unpacked(path, limit: Self.mostBytes))
            }
        } catch let error as FileError where error.kind == .malformed {
            throw DatasetError.unusable(path, Self.reason(error, path))
        }
        let cut =
            tree.isEnded
            ? []
            : [
                Finding(
                    .missingFile, [path],
                    "'\(path)' has no mark of its end, so it was probably cut short and images are missing. Download or make it again."
                )
            ]
        return try FolderSource.read(path, tree, mayDescend: true).adding(
            remarks: cut
                + tree.passedOver.map {
                    Finding(
                        .strayFile, [$0],
                        "'\($0)' is a link out of the archive or to a folder, or no regular file, and is passed over.")
                })
    }

    /// Why an archive cannot be read, and the way on if another program may read it.
    private static func reason(_ error: FileError, _ path: String) -> String {
        var text = error.description
        let start = "cannot read '\(path)': "
        if text.hasPrefix(start) { text.removeFirst(start.count) }
        if !text.hasSuffix(".") { text += "." }
        return text.contains("again.") ? text : "\(text) To unpack it: \(command(path))"
    }

    /// What a compressed archive may unpack to: pictures hardly shrink.
    private static func mostBytes(_ count: Int) -> Int {
        max(1 << 30, count.multipliedReportingOverflow(by: 100).partialValue)
    }

    /// The command that unpacks an archive.
    static func command(_ path: String) -> String {
        let name = LayoutMessages.quoted(path)
        switch Path.fileExtension(of: path) {
        case "7z": return "7z x \(name)"
        case "rar": return "unrar x \(name)"
        case "zip": return "unzip \(name) -d FOLDER"
        case "zst", "tzst": return "tar --zstd -xf \(name) -C FOLDER"
        default: return "tar -xf \(name) -C FOLDER"
        }
    }

    /// What kind of archive a file is that is not read, and the command that unpacks it; nil for others.
    static func refusal(_ path: String, beginning head: [UInt8]) -> String? {
        let isTar = Path.name(of: path).lowercased().contains(".t")
        func unpack(_ kind: String, _ tool: String) -> String {
            let name = LayoutMessages.quoted(path)
            return
                "it is \(kind), which is not read in place. Unpack it and give the folder to --data: \(isTar ? "mkdir FOLDER && tar -xf \(name) -C FOLDER" : "\(tool) \(name)")"
        }
        for (mark, kind, tool) in others where head.starts(with: mark) { return unpack(kind, tool) }
        return nil
    }

    private static let others: [(mark: [UInt8], kind: String, tool: String)] = [
        ([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], "a 7z archive", "7z x"),
        ([0x52, 0x61, 0x72, 0x21, 0x1A, 7], "a RAR archive", "unrar x"),
        ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], "compressed with xz", "unxz"),
        ([0x42, 0x5A, 0x68], "compressed with bzip2", "bunzip2"),
        ([0x28, 0xB5, 0x2F, 0xFD], "compressed with Zstandard", "unzstd"),
        ([4, 0x22, 0x4D, 0x18], "compressed with LZ4", "unlz4"),
        ([0x1F, 0x8B], "compressed with gzip and no tar archive", "gunzip"),
    ]

    /// Files in an archive that are archives themselves.
    static func nested(in names: [String]) -> [String] {
        names.filter {
            ["zip", "tar", "tgz", "gz", "7z", "rar", "xz", "bz2", "zst"].contains(Path.fileExtension(of: $0))
        }
    }
}
