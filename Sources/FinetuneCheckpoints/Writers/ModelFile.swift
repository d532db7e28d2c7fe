// The back door for models: one function that writes each format.

internal import FinetuneFiles
package import FinetuneModels

/// Writes models.
package enum ModelFile {
    package enum Format: String, Sendable, CaseIterable {
        /// Our own `model.h5`.
        case native
        /// A Keras whole model in HDF5, which `load_model` and `load_weights` read.
        case keras
        /// A PyTorch state dict in HDF5, one dataset a tensor.
        case torch
        /// A PyTorch state dict in safetensors.
        case safetensors
        /// A graph from pixels to probabilities.
        case onnx

        /// The format that a file's name asks for; nil for names that ask for none.
        package init?(fileName: String) {
            switch Path.fileExtension(of: fileName) {
            case "h5", "hdf5": self = .native
            case "safetensors": self = .safetensors
            case "onnx": self = .onnx
            default: return nil
            }
        }
    }

    /// Writes `model` to `path`, whole or not at all; the same model gives the same bytes.
    ///
    /// - Returns: The number of tensors written.
    /// - Throws: `CheckpointError` where the format cannot hold the network, naming the property that it cannot hold and
    ///   a format that can; `FileError`.
    @discardableResult
    package static func write(_ model: Model, to path: String, as format: Format = .native) throws -> Int {
        // Other formats know no temperature.
        var plain = model.withoutTemperature
        if format == .keras || format == .onnx, model.headOutputs != nil {
            do {
                plain = try plain.asClassifier()
            } catch let error as ModelError {
                throw CheckpointError.cannotConvert(path, "\(error), and \(format.rawValue) ends in probabilities here")
            }
        }
        return switch format {
        case .native: try NativeDialect.write(model, to: path)
        case .keras: try KerasWriter.write(plain, to: path)
        case .torch: try TorchWriter.writeHDF5(plain, to: path)
        case .safetensors: try TorchWriter.writeSafetensors(plain, to: path)
        case .onnx: try ONNXWriter.write(plain, to: path)
        }
    }
}
