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
        case hidden
        case smallImage = "small-image"
        case oddShape = "odd-shape"
        case alike
        case labelError = "label-error"
        case unusedRange = "unused-range"

        /// Whether it is only a remark: something odd that may well be meant, or a suspicion.
        package var isMild: Bool {
            switch self {
            case .hidden, .smallImage, .oddShape, .alike, .labelError: true
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
            case .leak: "pictures on two sides of the split"
            case .twoLabels: "pictures under two labels"
            case .tornGroup: "groups on two sides of the split"
            case .missingClass: "classes missing from a split"
            case .smallClass: "classes too small to split"
            case .imbalance: "class imbalance"
            case .emptyFolder: "empty folders"
            case .repeatedFolder: "links to folders that were entered before"
            case .strayFile: "files outside any class"
            case .hidden: "hidden files and folders"
            case .smallImage: "images smaller than the network's input"
            case .oddShape: "unusual shapes"
            case .alike: "images that are all alike"
            case .labelError: "likely label errors"
            case .unusedRange: "pictures of 16 bits that use another range"
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

    package init(_ kind: Kind, _ paths: [String], _ detail: String, surplus: [String] = []) {
        self.kind = kind
        self.paths = paths.map(\.withoutStandIns)
        self.detail = detail.withoutStandIns
        self.surplus = surplus.map(\.withoutStandIns)
    }

    package var json: JSON {
        ["kind": .string(kind.rawValue), "paths": JSON(paths), "detail": .string(detail)]
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

    /// What to take out, or to look at again: a header, then `path,kind,detail`.
    package var fixList: String {
        CSV.line(["path", "kind", "detail"])
            + flatMap { finding in finding.surplus.map { CSV.line([$0, finding.kind.rawValue, finding.detail]) } }
            .joined()
    }
}
