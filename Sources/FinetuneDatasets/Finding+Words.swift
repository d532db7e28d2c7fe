// Findings with their number, in the singular and the plural.

internal import FinetuneFiles

extension Finding.Kind {
    /// Such as `1 unreadable file`, or `11 pictures in more than one split (22 files)`.
    ///
    /// - Parameters:
    ///   - findings: How many findings of this kind there are.
    ///   - images: How many images they concern.
    package func words(_ findings: Int, images: Int) -> String {
        let number = findings == 1 ? "1 \(one)" : "\(findings) \(several)"
        return images > findings ? "\(number) (\(images) files)" : number
    }

    private var several: String {
        switch self {
        case .exactDuplicates: "sets of exact duplicates"
        case .nearDuplicates: "sets of near-duplicates"
        case .smallImage: "sets of \(words)"
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
        case .smallImage: "set of \(words)"
        case .oddShape: "unusual shape"
        case .labelError: "likely label error"
        default: words
        }
    }
}
