// Which dialect named arrays speak, found by their names alone, and the network that they are.

internal import FinetuneFiles
package import FinetuneModels

package enum Dialect {
    /// The network in a file's arrays, with every tensor accounted for.
    ///
    /// - Parameter path: The file's name, for messages.
    /// - Throws: `CheckpointError` that names what is missing, superfluous, misshapen or broken.
    package static func model(in arrays: NamedArrays, path: String) throws -> Model {
        if NativeDialect.matches(arrays) { return try NativeDialect.read(arrays, path: path) }
        if arrays.container == .kerasArchive, let config = arrays.documents[Sidecar.config] {
            let weights = try KerasStore.list(arrays, config: config, path: path)
            return try KerasModelDialect.read(config, weights, arrays, path: path)
        }
        if let root = KerasWeights.root(arrays) {
            let weights = try KerasWeights.list(arrays, root: root, path: path)
            guard let config = arrays.text("model_config", of: "") else {
                return try KerasWeightsDialect.read(weights, path: path)
            }
            do {
                return try KerasModelDialect.read(try JSON(parsing: config), weights, arrays, path: path)
            } catch let error as JSON.SyntaxError {
                throw CheckpointError.cannotLoad(path, "its model_config is \(error).")
            }
        }
        if KerasStore.matches(arrays) {
            return try KerasWeightsDialect.read(try KerasStore.list(arrays, path: path), path: path)
        }
        if let names = TorchDialect.names(arrays) { return try TorchDialect.read(arrays, names, path: path) }
        let names = arrays.arrays.keys.sorted().prefix(3).map { "'\($0)'" }.joined(separator: ", ")
        throw CheckpointError.cannotLoad(
            path,
            "no dialect fits it: it holds \(arrays.arrays.count) arrays (\(names.isEmpty ? "none" : names) …), expected a Keras file or a PyTorch state dict of a ResNet."
        )
    }
}
