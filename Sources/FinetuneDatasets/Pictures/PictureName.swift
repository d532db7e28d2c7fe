// Which files are pictures, or should be: by their names, and by their first bytes if the names do not say.

internal import FinetuneFiles

/// What file names and first bytes say of being a picture.
enum PictureName {
    /// Endings of pictures, also of kinds that are not read: these are named when they are met.
    private static let endings = PictureFormat.endings.union([
        "jp2", "j2k", "jpx", "jxr", "ico", "pam", "pfm", "tga", "psd", "dcm", "dicom", "fits", "fit", "exr", "hdr",
        "svg",
        "dng", "nef", "cr2", "cr3", "arw", "orf", "rw2", "raf", "qoi", "dds", "pcx",
    ])

    /// Folders that systems and servers make for themselves.
    static let systemFolders: Set<String> = [
        "__MACOSX", "@eaDir", "$RECYCLE.BIN", "RECYCLER", "lost+found", "System Volume Information", "#recycle",
        "@Recycle", "__pycache__",
    ]

    static func isPicture(_ name: String) -> Bool { endings.contains(Path.fileExtension(of: name)) }

    /// Whether a name ends in a kind of file: not in a number, as that of a patient.
    static func hasEnding(_ name: String) -> Bool {
        let ending = Path.fileExtension(of: name)
        return !ending.isEmpty && !ending.allSatisfy(\.isNumber)
    }

    /// The first bytes that tell what a file is.
    static let headCount = 512

    /// Whether a file whose name does not say that it is a picture is one by its first bytes.
    static func isPicture(beginning head: [UInt8]) -> Bool {
        // Fewer bytes say nothing. A text may begin with BM, as a bitmap does.
        guard head.count >= 4, !isText(head) else { return false }
        do {
            _ = try head.withUnsafeBytes { try PictureFormat(recognising: PictureBytes($0)) }
            return true
        } catch let error as PictureError {
            return error.isOtherPicture
        } catch {
            return false
        }
    }

    /// Whether bytes are text of any language, also in 16 bits a character.
    private static func isText(_ head: [UInt8]) -> Bool {
        if head.starts(with: [0xFF, 0xFE]) || head.starts(with: [0xFE, 0xFF]) { return true }
        return head.allSatisfy { $0 == 9 || $0 == 10 || $0 == 12 || $0 == 13 || $0 >= 0x20 && $0 != 0x7F && $0 < 0x80 }
    }
}
