// The front door for weights: a path leads to a file, the container is told from its first bytes, the dialect from what
// is inside.

internal import FinetuneEngine
internal import FinetuneFiles
package import FinetuneModels

/// A file of pretrained weights.
package struct WeightFile: Sendable {
    /// Where `finetune-read-weights` is installed and built: beside the program that runs.
    package static var helperBesideProgram: String {
        Path.join(Path.parent(of: FileSystem.programPath), "finetune-read-weights")
    }

    /// The file that was read; for a folder, the one in it.
    package let path: String
    package let arrays: NamedArrays
    /// What there is to say about how the path was understood.
    private let remarks: [String]

    /// Reads the file's arrays.
    ///
    /// - Parameters:
    ///   - path: HDF5 of any dialect, safetensors, a `.keras` archive, a file of `torch.save`, the index of sharded
    ///     weights, or a folder with one of these.
    ///   - helper: The path of `finetune-read-weights`, which reads HDF5.
    /// - Throws: `FileError` if there is no file, `CheckpointError` for one that is none of these, damaged or hostile.
    package init(_ path: String, helper: String) throws {
        let file = try WeightLocation.file(path)
        self.path = file
        remarks = file == path ? [] : ["Using \(file)."]
        let head = try FileSystem.head(of: file, count: 4096)
        try ShardedWeights.refusePart(file)
        var arrays =
            ShardedWeights.matches(head, file)
            ? try ShardedWeights.read(file) { try Self.arrays($0, FileSystem.head(of: $0, count: 4096), helper) }
            : try Self.arrays(file, head, helper)
        if [.safetensors, .torchArchive, .torchLegacyFile].contains(arrays.container) {
            arrays.documents.merge(Self.documents(beside: file)) { own, _ in own }
        }
        self.arrays = arrays
    }

    /// The files that the weights at a path are in: more than one only for sharded weights.
    package static func files(_ path: String) throws -> [String] {
        let file = try WeightLocation.file(path)
        let isSharded = ShardedWeights.matches(try FileSystem.head(of: file, count: 4096), file)
        return isSharded ? try [file] + ShardedWeights.files(file) : [file]
    }

    private static func arrays(_ path: String, _ head: [UInt8], _ helper: String) throws -> NamedArrays {
        if isHDF5(head) { return try ReadingHelper.read(OpenFile(path), shownAs: path, helper: helper) }
        if head.starts(with: [0x50, 0x4B, 3, 4]) {
            let archive = try ZipArchive(ByteSource(file: path), name: path)
            let isTorch = archive.members.contains { Path.name(of: $0.name) == "data.pkl" }
            return isTorch
                ? try TorchArchive.read(archive, path: path)
                : try KerasArchive.read(archive, path: path, helper: helper)
        }
        if Safetensors.matches(head)
            || (Path.fileExtension(of: path) == "safetensors" && ForeignFile(head, path: path) == nil)
        {
            return try Safetensors.read(ByteSource(file: path), path: path)
        }
        if TorchLegacyFile.matches(head) { return try TorchLegacyFile.read(ByteSource(file: path), path: path) }
        throw CheckpointError.unknown(path, head: head)
    }

    /// The signature stands at the start, or after a user block at 512, 1024 or 2048 bytes.
    private static func isHDF5(_ head: [UInt8]) -> Bool {
        let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
        return [0, 512, 1024, 2048].contains { head.dropFirst($0).starts(with: signature) }
    }

    private static let maximumDocument = 4 << 20

    /// The configurations that hubs put beside a state dict; one that cannot be read is kept as the reason.
    private static func documents(beside path: String) -> [String: JSON] {
        var documents: [String: JSON] = [:]
        for name in [PublishedConfiguration.config, PublishedConfiguration.preprocessor] {
            let file = Path.join(Path.parent(of: path), name)
            guard FileSystem.kind(of: file) == .file else { continue }
            do {
                documents[name] = try JSON(parsing: FileSystem.read(file, atMost: maximumDocument))
            } catch {
                documents[PublishedConfiguration.damaged(name)] = .string("\(error)")
            }
        }
        return documents
    }

    /// The arrays of the file in the order of their names.
    package var tensors: [(name: String, entry: NamedArrays.Entry)] {
        arrays.arrays.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// The network in the file, with every tensor accounted for.
    ///
    /// - Parameter weightsKey: Which of several networks in the file; nil to take the one that the libraries take.
    /// - Throws: `CheckpointError` that names what is missing, superfluous, misshapen or broken.
    package func model(weightsKey: String? = nil) throws -> Model {
        var model = try Dialect.model(in: arrays, path: path, weightsKey: weightsKey)
        model.remarks = remarks + model.remarks
        return model
    }
}
