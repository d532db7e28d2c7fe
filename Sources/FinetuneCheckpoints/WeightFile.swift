// The front door for weights: which dialect a file speaks, found by its content, and the network that it holds.

internal import FinetuneEngine
internal import FinetuneFiles
package import FinetuneModels

/// A file of pretrained weights.
package struct WeightFile: Sendable {
    package let path: String
    private let arrays: NamedArrays

    /// Reads the file's arrays.
    ///
    /// - Parameters:
    ///   - path: An HDF5 file of any dialect.
    ///   - helper: The path of `finetune-read-weights`, which does the reading.
    /// - Throws: `FileError` where there is no file, `CheckpointError` for one that is no HDF5, damaged or hostile.
    package init(_ path: String, helper: String) throws {
        self.path = path
        let head = try FileSystem.head(of: path, count: 4096)
        guard Self.isHDF5(head, path) else {
            throw CheckpointError.notHDF5(path, head: head, byteCount: head.count)
        }
        arrays = try ReadingHelper.read(path, helper: helper)
    }

    /// The signature stands at the start, or after a user block at 512, 1024 or 2048 bytes.
    private static func isHDF5(_ head: [UInt8], _ path: String) -> Bool {
        let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
        return [0, 512, 1024, 2048].contains { head.dropFirst($0).starts(with: signature) }
    }

    /// The arrays of the file: name, shape and type, in the order of their names.
    package var tensors: [(name: String, shape: [Int], type: String)] {
        arrays.arrays.sorted { $0.key < $1.key }.map { ($0.key, $0.value.tensor.shape, $0.value.type) }
    }

    /// The network in the file, with every tensor accounted for.
    ///
    /// - Throws: `CheckpointError` that names what is missing, superfluous, misshapen or broken.
    package func model() throws -> Model {
        if arrays.text(NativeDialect.marker, of: "") != nil { return try NativeDialect.read(arrays, path: path) }
        if let root = KerasWeights.root(arrays) {
            if let config = arrays.text("model_config", of: "") {
                return try KerasModelDialect.read(arrays, config: config, root: root, path: path)
            }
            return try KerasWeightsDialect.read(arrays, root: root, path: path)
        }
        if TorchDialect.matches(arrays) { return try TorchDialect.read(arrays, path: path) }
        let names = tensors.prefix(3).map { "'\($0.name)'" }.joined(separator: ", ")
        throw CheckpointError.cannotLoad(
            path,
            "no dialect fits it: it holds \(tensors.count) arrays (\(names.isEmpty ? "none" : names) …), expected a Keras file or a PyTorch state dict of a ResNet."
        )
    }
}
