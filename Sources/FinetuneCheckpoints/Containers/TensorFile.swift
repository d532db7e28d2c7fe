// Files of our own in HDF5: a marker, one JSON document as bytes, groups of named float32 tensors, and a checksum of each
// of these, so that a damaged file is not taken for a whole one.
//
//   /checksums        JSON as bytes: the XXH3 hash (128 bits) of every dataset by its path, of shape and values

internal import Dispatch
package import FinetuneEngine
package import FinetuneFiles
internal import Synchronization

/// What one of our files holds.
package struct TensorFile: Sendable {
    /// The attribute that tells a training's checkpoints.
    package static let checkpointMarker = "finetune_checkpoint"

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
        let file = try HDF5Writer(path)
        try file.setText(marker.name, marker.value)
        var checksums: [JSON.Member] = []
        for (name, bytes) in [(documentName, Array(document.text.utf8))] + bytes.sorted(by: { $0.key < $1.key }) {
            try file.write(bytes: bytes, as: name)
            // What holds nothing is read as nothing.
            if !bytes.isEmpty { checksums.append(.init(name, .string(Self.checksum(of: bytes).text))) }
        }
        for (group, tensors) in groups.sorted(by: { $0.key < $1.key }) {
            try file.makeGroup(group)
            for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
                try file.write(tensor, as: "\(group)/\(name)")
                checksums.append(.init("\(group)/\(name)", .string(Self.checksum(of: tensor).text)))
            }
        }
        try file.write(bytes: Array(JSON.object(checksums).text.utf8), as: Self.checksums)
        try file.finish()
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
        try Self.verify(arrays, path: path)
        self.marker = marker
        self.documentName = documentName
        document = try Self.document(documentName, in: arrays, path: path)
        groups = [:]
        for (name, entry) in arrays.arrays where name != documentName {
            guard let slash = name.firstIndex(of: "/") else { continue }
            groups[String(name[..<slash]), default: [:]][String(name[name.index(after: slash)...])] = entry.tensor
        }
    }

    // MARK: Checksums

    private static let checksums = "checksums"

    /// Whether a file has checksums, readable or not.
    static func hasChecksums(_ arrays: NamedArrays) -> Bool {
        arrays.arrays[checksums] != nil || arrays.problems[checksums] != nil
    }

    /// Holds every dataset of a file against its checksum.
    ///
    /// - Throws: `CheckpointError` that names one that is damaged, missing or not of the file.
    static func verify(_ arrays: NamedArrays, path: String) throws {
        func damaged(_ name: String, _ fault: String) -> CheckpointError {
            .cannotLoad(path, "the file is damaged: '\(name)' \(fault). Copy it again, or train again.")
        }
        guard let expected = try? document(checksums, in: arrays, path: path) else {
            throw damaged(checksums, "cannot be read")
        }
        var tensors: [(member: JSON.Member, tensor: Tensor)] = []
        for member in expected.members ?? [] {
            guard let tensor = arrays.arrays[member.key]?.tensor else {
                throw damaged(member.key, arrays.problems[member.key] ?? "is missing")
            }
            tensors.append((member, tensor))
        }
        let wrong = Mutex<String?>(nil)
        DispatchQueue.concurrentPerform(iterations: tensors.count) { [tensors] index in
            let (member, tensor) = tensors[index]
            guard member.value.stringValue.flatMap(ContentHash.init(text:)) != checksum(of: tensor) else { return }
            wrong.withLock { $0 = min($0 ?? member.key, member.key) }
        }
        if let wrong = wrong.withLock({ $0 }) { throw damaged(wrong, "does not match its checksum") }
        let known = Set(tensors.map(\.member.key)).union([checksums])
        if let stranger = arrays.arrays.keys.filter({ !known.contains($0) }).min() {
            throw damaged(stranger, "has no checksum")
        }
    }

    /// The hash of the values, keyed by the shape (as FNV-1a mixes numbers).
    private static func checksum(of tensor: Tensor) -> ContentHash {
        let shape = tensor.shape.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        return tensor.withSpan { ContentHash(of: $0.bytes, key: shape) }
    }

    /// The checksum of bytes as they are read: as numbers.
    private static func checksum(of bytes: [UInt8]) -> ContentHash {
        checksum(of: Tensor(shape: [bytes.count], values: bytes.map { Float($0) }))
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
