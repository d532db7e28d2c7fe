// The front door for weights: the container is told from the file's first bytes, the dialect from what is inside.

internal import FinetuneEngine
internal import FinetuneFiles
package import FinetuneModels

/// A file of pretrained weights.
package struct WeightFile: Sendable {
    /// Where `finetune-read-weights` is installed and built: beside the program that runs.
    package static var helperBesideProgram: String {
        Path.join(Path.parent(of: FileSystem.programPath), "finetune-read-weights")
    }

    package let path: String
    package let arrays: NamedArrays

    /// Reads the file's arrays.
    ///
    /// - Parameters:
    ///   - path: HDF5 of any dialect, safetensors, a `.keras` archive, or a file of `torch.save`, old or new.
    ///   - helper: The path of `finetune-read-weights`, which reads HDF5.
    /// - Throws: `FileError` where there is no file, `CheckpointError` for one that is none of these, damaged or hostile.
    package init(_ path: String, helper: String) throws {
        self.path = path
        let head = try FileSystem.head(of: path, count: 4096)
        if Self.isHDF5(head, path) {
            arrays = try ReadingHelper.read(OpenFile(path), shownAs: path, helper: helper)
        } else if head.starts(with: [0x50, 0x4B, 3, 4]) {
            arrays = try Self.readArchive(path, helper)
        } else if Safetensors.matches(head) || (Path.fileExtension(of: path) == "safetensors" && !head.isEmpty) {
            arrays = Self.withDocuments(try Safetensors.read(ByteSource(file: path), path: path), path)
        } else if TorchLegacyFile.matches(head) {
            arrays = Self.withDocuments(try TorchLegacyFile.read(ByteSource(file: path), path: path), path)
        } else {
            throw CheckpointError.unknown(path, head: head)
        }
    }

    /// The signature stands at the start, or after a user block at 512, 1024 or 2048 bytes.
    private static func isHDF5(_ head: [UInt8], _ path: String) -> Bool {
        let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
        return [0, 512, 1024, 2048].contains { head.dropFirst($0).starts(with: signature) }
    }

    private static func readArchive(_ path: String, _ helper: String) throws -> NamedArrays {
        let archive = try ZipArchive(ByteSource(file: path), name: path)
        guard archive.members.contains(where: { Path.name(of: $0.name) == "data.pkl" }) else {
            return try KerasArchive.read(archive, path: path, helper: helper)
        }
        return withDocuments(try TorchArchive.read(archive, path: path), path)
    }

    /// The arrays with the documents beside their file; one of the file itself comes first.
    private static func withDocuments(_ arrays: NamedArrays, _ path: String) -> NamedArrays {
        var arrays = arrays
        arrays.documents.merge(documents(beside: path)) { own, _ in own }
        return arrays
    }

    private static let maximumDocument = 4 << 20

    /// The configurations that hubs put beside a state dict.
    private static func documents(beside path: String) -> [String: JSON] {
        var documents: [String: JSON] = [:]
        for name in [Sidecar.config, Sidecar.preprocessor] {
            let file = Path.join(Path.parent(of: path), name)
            guard FileSystem.kind(of: file) == .file else { continue }
            // A file that is no JSON, or a huge one, belongs to somebody else.
            documents[name] = try? JSON(parsing: FileSystem.head(of: file, count: maximumDocument))
        }
        return documents
    }

    /// The arrays of the file in the order of their names.
    package var tensors: [(name: String, entry: NamedArrays.Entry)] {
        arrays.arrays.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// The network in the file, with every tensor accounted for.
    ///
    /// - Throws: `CheckpointError` that names what is missing, superfluous, misshapen or broken.
    package func model() throws -> Model { try Dialect.model(in: arrays, path: path) }
}
