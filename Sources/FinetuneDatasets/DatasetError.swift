// What is wrong with a data set, in sentences that say what to do.

/// A data set that cannot be used.
package struct DatasetError: Error, Sendable, CustomStringConvertible {
    package enum Kind: Sendable {
        /// There is nothing at the path.
        case missing
        /// What is there does not do.
        case unusable
    }

    package let kind: Kind
    package let description: String

    private init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    static func missing(_ path: String) -> DatasetError {
        DatasetError(
            .missing, "cannot read the data set '\(path)': there is nothing at that path. Check the name after --data.")
    }

    package static func unusable(_ path: String, _ reason: String) -> DatasetError {
        DatasetError(.unusable, "cannot use the data set '\(path)': \(reason)")
    }
}
