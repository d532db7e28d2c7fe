// Files of our own in HDF5: a marker, one JSON document as bytes, and groups of named float32 tensors.

package import FinetuneEngine
package import FinetuneFiles

/// What one of our files holds.
package struct TensorFile: Sendable {
    /// The attribute of the root that tells our files apart, and its value.
    package let marker: (name: String, value: String)
    package let documentName: String
    package var document: JSON
    /// Tensors by name, by group.
    package var groups: [String: Weights]
    /// Lists of bytes by name.
    package var bytes: [String: [UInt8]] = [:]

    package init(marker: (name: String, value: String), documentName: String, document: JSON, groups: [String: Weights])
    {
        self.marker = marker
        self.documentName = documentName
        self.document = document
        self.groups = groups
    }

    /// Puts the file in its place, whole.
    ///
    /// - Throws: `CheckpointError` or `FileError`; what was there before stays.
    package func write(to path: String) throws {
        try AtomicFile.write(to: path) { temporary in
            let file = try HDF5Writer(temporary, shownAs: path)
            try file.setText(marker.name, marker.value)
            try file.write(bytes: Array(document.text.utf8), as: documentName)
            for (name, bytes) in bytes.sorted(by: { $0.key < $1.key }) { try file.write(bytes: bytes, as: name) }
            for (group, tensors) in groups.sorted(by: { $0.key < $1.key }) {
                try file.makeGroup(group)
                for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
                    try file.write(tensor, as: "\(group)/\(name)")
                }
            }
            try file.finish()
        }
    }

    /// Reads a file that `write` made.
    ///
    /// - Parameter helper: The path of `finetune-read-weights`.
    /// - Throws: `CheckpointError` for a file that is damaged or of another kind.
    package init(_ path: String, marker: (name: String, value: String), documentName: String, helper: String) throws {
        let arrays = try WeightFile(path, helper: helper).arrays
        guard arrays.text(marker.name, of: "") == marker.value else {
            throw CheckpointError.cannotLoad(path, "it is no file of this kind, or of another version of this program.")
        }
        if let (name, problem) = arrays.problems.min(by: { $0.key < $1.key }) {
            throw CheckpointError.cannotLoad(path, "'\(name)' \(problem).")
        }
        self.marker = marker
        self.documentName = documentName
        document = try Self.document(documentName, in: arrays, path: path)
        groups = [:]
        for (name, entry) in arrays.arrays where name != documentName {
            guard let slash = name.firstIndex(of: "/") else { continue }
            groups[String(name[..<slash]), default: [:]][String(name[name.index(after: slash)...])] = entry.tensor
        }
    }

    /// A list of bytes that a file holds.
    static func bytes(_ name: String, in arrays: NamedArrays) -> [UInt8]? {
        arrays.arrays[name]?.tensor.values.map { UInt8(exactly: $0) ?? 0 }
    }

    /// The JSON that a file holds as bytes.
    static func document(_ name: String, in arrays: NamedArrays, path: String) throws -> JSON {
        guard let bytes = bytes(name, in: arrays) else {
            throw CheckpointError.cannotLoad(path, "its description of the \(name) is missing.")
        }
        do {
            return try JSON(parsing: bytes)
        } catch {
            throw CheckpointError.cannotLoad(path, "its description of the \(name) is \(error).")
        }
    }
}
