// What is wrong with a data set, or odd: one type for the check, the training and the report.

package import FinetuneFiles

/// Something that somebody should look at before a training.
package struct Finding: Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        case unreadable
        case mistyped
        case exactDuplicates = "exact-duplicates"
        case nearDuplicates = "near-duplicates"
        case leak
        case twoLabels = "two-labels"
        case tornGroup = "torn-group"
        case missingClass = "missing-class"
        case smallClass = "small-class"
        case imbalance
        case emptyFolder = "empty-folder"
        case repeatedFolder = "repeated-folder"
        case strayFile = "stray-file"
        case leftOutFolder = "left-out-folder"
        case similarClasses = "similar-classes"
        case unlabelledRow = "unlabelled-row"
        case missingFile = "missing-file"
        case repeatedRow = "repeated-row"
        case unlabelledFolder = "unlabelled-folder"
        case notPicture = "not-a-picture"
        case unusedColumn = "unused-column"
        case reading = "reading"
        case hidden
        case smallImage = "small-image"
        case oddShape = "odd-shape"
        case alike
        case labelError = "label-error"
        case unusedRange = "unused-range"

        /// Whether it is only a remark: something odd that may well be meant, or a suspicion.
        package var isMild: Bool {
            switch self {
            case .unlabelledFolder, .notPicture, .unusedColumn, .reading, .hidden, .smallImage, .oddShape, .alike,
                .labelError:
                true
            default: false
            }
        }

        /// Whether it is about where images lie and what they are called, and known before any image is read.
        package var isOfListing: Bool {
            switch self {
            case .emptyFolder, .repeatedFolder, .strayFile, .leftOutFolder, .similarClasses, .unlabelledRow,
                .missingFile,
                .repeatedRow, .unlabelledFolder, .notPicture, .unusedColumn, .reading, .hidden:
                true
            default: false
            }
        }

        /// For people, in the plural.
        package var words: String {
            switch self {
            case .unreadable: "unreadable files"
            case .mistyped: "files that are not what their names say"
            case .exactDuplicates: "exact duplicates"
            case .nearDuplicates: "near-duplicates"
            case .leak: "pictures in more than one split"
            case .twoLabels: "pictures under two labels"
            case .tornGroup: "groups in more than one split"
            case .missingClass: "classes missing from a split"
            case .smallClass: "classes too small to split"
            case .imbalance: "class imbalance"
            case .emptyFolder: "empty folders"
            case .repeatedFolder: "links to folders that were entered before"
            case .strayFile: "files outside any class"
            case .leftOutFolder: "folders left out"
            case .similarClasses: "classes whose names hardly differ"
            case .unlabelledRow: "rows without a label"
            case .missingFile: "files that are not there, or are cut short"
            case .repeatedRow: "files that the table lists more than once"
            case .unlabelledFolder: "folders without labels"
            case .notPicture: "files that are not pictures"
            case .unusedColumn: "columns of the table that are not used"
            case .reading: "remarks on how the data set was read"
            case .hidden: "hidden files and folders"
            case .smallImage: "images smaller than the network's input"
            case .oddShape: "unusual shapes"
            case .alike: "series of images that are all alike"
            case .labelError: "likely label errors"
            case .unusedRange: "pictures of 16 bits that use a fraction of their range, or leave it"
            }
        }
    }

    package let kind: Kind
    /// The images, files or folders, by the names under which the data set knows them.
    package let paths: [String]
    /// A sentence.
    package let detail: String
    /// Those of the paths that one would take out of the data set.
    package let surplus: [String]
    /// For a label that is likely to be wrong.
    package let suggestion: Suggestion?

    /// Another label for an image.
    package struct Suggestion: Sendable, Equatable {
        /// The class that the image looks like.
        package let label: String
        /// The probability that its own label is wrong, 0…1.
        package let probability: Double

        package init(label: String, probability: Double) { (self.label, self.probability) = (label, probability) }
    }

    package init(
        _ kind: Kind, _ paths: [String], _ detail: String, surplus: [String] = [], suggestion: Suggestion? = nil
    ) {
        self.kind = kind
        self.paths = paths.map(\.withoutStandIns)
        self.detail = detail.withoutStandIns
        self.surplus = surplus.map(\.withoutStandIns)
        self.suggestion = suggestion
    }

    package var json: JSON {
        var members: [JSON.Member] = [
            .init("kind", .string(kind.rawValue)), .init("paths", JSON(paths)), .init("detail", .string(detail)),
        ]
        if let suggestion {
            members.append(.init("suggestion", .string(suggestion.label)))
            members.append(.init("probability", .number(suggestion.probability)))
        }
        return .object(members)
    }
}

extension [Finding] {
    /// How many images each kind concerns, in the order of the kinds; findings without a path count as one.
    package var counts: [(kind: Finding.Kind, count: Int)] {
        Finding.Kind.allCases.compactMap { kind in
            let ofKind = filter { $0.kind == kind }
            guard !ofKind.isEmpty else { return nil }
            return (kind, ofKind.reduce(0) { $0 + Swift.max(1, $1.paths.count) })
        }
    }

    /// Findings that are more than remarks.
    package var grave: [Finding] { filter { !$0.kind.isMild } }

    /// What to take out, or to look at again: a header, then a line for each image.
    package var fixList: String {
        CSV.line(["path", "kind", "detail", "suggestion", "probability"])
            + flatMap { finding in
                let suggestion = finding.suggestion.map { [$0.label, "\($0.probability)"] } ?? ["", ""]
                return finding.surplus.map { CSV.line([$0, finding.kind.rawValue, finding.detail] + suggestion) }
            }
            .joined()
    }
}
