// Findings with their number, in the singular and the plural.

internal import FinetuneFiles

extension Finding.Kind {
    /// Such as `1 unreadable file`, or `11 pictures in more than one split (22 files)`.
    ///
    /// - Parameters:
    ///   - findings: How many findings of this kind there are.
    ///   - images: How many images they concern.
    package func words(_ findings: Int, images: Int) -> String {
        if countsImages { return "\(images) \(images == 1 ? one : words)" }
        let number = findings == 1 ? "1 \(one)" : "\(findings) \(several)"
        return images > findings ? "\(number) (\(images) files)" : number
    }

    /// Whether one finding is about all images of this kind, so that only the images are counted.
    private var countsImages: Bool {
        switch self {
        case .smallImage, .notPicture, .unusedRange, .unlabelledRow, .missingFile, .similarClasses, .unusedColumn: true
        default: false
        }
    }

    private var several: String {
        switch self {
        case .exactDuplicates: "sets of exact duplicates"
        case .nearDuplicates: "sets of near-duplicates"
        default: words
        }
    }

    private var one: String {
        switch self {
        case .unreadable: "unreadable file"
        case .mistyped: "file that is not what its name says"
        case .exactDuplicates: "set of exact duplicates"
        case .nearDuplicates: "set of near-duplicates"
        case .leak: "picture in more than one split"
        case .twoLabels: "picture under two labels"
        case .tornGroup: "group in more than one split"
        case .missingClass: "class missing from a split"
        case .smallClass: "class too small to split"
        case .emptyFolder: "empty folder"
        case .repeatedFolder: "link to a folder that was entered before"
        case .strayFile: "file outside any class"
        case .hidden: "hidden file or folder"
        case .smallImage: "image smaller than the network's input"
        case .notPicture: "file that is not a picture"
        case .unusedRange: "picture of 16 bits that uses a fraction of its range, or leaves it"
        case .unlabelledRow: "row without a label"
        case .missingFile: "file that is not there, or is cut short"
        case .repeatedRow: "file that the table lists more than once"
        case .unlabelledFolder: "folder without labels"
        case .leftOutFolder: "folder left out"
        case .unusedColumn: "column of the table that is not used"
        case .reading: "remark on how the data set was read"
        case .oddShape: "unusual shape"
        case .labelError: "likely label error"
        default: words
        }
    }
}
