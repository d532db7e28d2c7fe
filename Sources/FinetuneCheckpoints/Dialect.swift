// Which dialect named arrays speak, found by their names alone, and the network that they are.

internal import FinetuneEngine
internal import FinetuneFiles
package import FinetuneModels

package enum Dialect {
    /// The network in a file's arrays, with every tensor accounted for.
    ///
    /// - Parameters:
    ///   - path: The file's name, for messages.
    ///   - weightsKey: Which of several networks; nil to take the one that the libraries take.
    /// - Throws: `CheckpointError` that names what is missing, superfluous, misshapen or broken, or what cannot be run.
    package static func model(in arrays: NamedArrays, path: String, weightsKey: String? = nil) throws -> Model {
        if let model = try described(in: arrays, path: path) {
            guard weightsKey == nil else {
                throw CheckpointError.needsNoKey(path)
            }
            return try model.runnable(path: path)
        }
        guard let dialect = TorchDialect(arrays, path: path) else {
            let names = arrays.arrays.keys.sorted().prefix(3).map { "'\($0)'" }.joined(separator: ", ")
            guard !arrays.arrays.isEmpty || !arrays.problems.isEmpty else {
                throw CheckpointError.cannotLoad(
                    path,
                    "it holds no tensors by name. Expected a dictionary of them, such as torch.save(model.state_dict(), FILE) writes."
                )
            }
            if let family = Self.family(of: arrays) {
                throw CheckpointError.cannotLoad(
                    path,
                    "it looks like \(family). Of PyTorch's networks \(Families.list) are read.")
            }
            throw CheckpointError.cannotLoad(
                path,
                "no dialect fits it: it holds \(arrays.arrays.count) arrays (\(names.isEmpty ? "none" : names) …), expected a Keras file or a PyTorch state dict of one of the families that are read, \(Families.list)."
            )
        }
        return try dialect.model(weightsKey: weightsKey).runnable(path: path)
    }

    /// Names by which families are known that are not read.
    private static let otherFamilies: [(sign: String, family: String)] = [
        ("blocks.0.attn.qkv", "a vision transformer of timm"),
        ("encoder.layer.0.attention", "a transformer of transformers"),
        ("encoder.layers.encoder_layer_0.self_attention", "a vision transformer of torchvision"),
        ("layers.0.blocks.0.attn.relative_position", "a Swin transformer"), ("stages.0.blocks.0.conv_dw", "a ConvNeXt"),
        ("features.1.0.block.0.weight", "a ConvNeXt or an EfficientNet of torchvision"),
        ("blocks.0.0.conv_pw", "an EfficientNet or a MobileNet of timm"),
        ("_blocks.0._depthwise_conv", "an EfficientNet"),
        ("features.denseblock1", "a DenseNet"), ("Mixed_5b", "an Inception"),
        ("features.1.conv.0.0.weight", "a MobileNet"),
        ("visual.transformer.resblocks", "a CLIP model"), ("model.0.conv.weight", "a YOLO network"),
        ("trunk_output.block1", "a RegNet"), ("features.3.squeeze", "a SqueezeNet"),
        ("features.0.weight", "an AlexNet, or a VGG of which layers are missing or others were added"),
    ]

    private static func family(of arrays: NamedArrays) -> String? {
        let names = arrays.arrays.keys.map { $0.replacing("/", with: ".") }
        return otherFamilies.first { sign, _ in names.contains { $0.contains(sign) } }?.family
    }

    /// The network of our own files and of Keras', which hold one; nil for others.
    private static func described(in arrays: NamedArrays, path: String) throws -> Model? {
        if NativeDialect.matches(arrays) { return try NativeDialect.read(arrays, path: path) }
        if arrays.container == .kerasArchive, let config = arrays.documents[KerasArchive.config] {
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
        guard KerasStore.matches(arrays) else { return nil }
        return try KerasWeightsDialect.read(try KerasStore.list(arrays, path: path), path: path)
    }
}

extension Model {
    /// The model if its network fits together: every layer gets what it reads. What cannot be run is refused here, not
    /// after the plan was printed; a head that cannot is left out.
    ///
    /// - Throws: `CheckpointError` that names the layer.
    fileprivate func runnable(path: String) throws -> Model {
        guard readsPictures || recipe == nil else {
            var model = self
            (model.recipe, model.recipeSource) = (nil, nil)
            let channels = network.inputChannels
            let layers =
                recipeSource.map {
                    $0.hasPrefix(InputRecipe.ownSource) ? " Its own preprocessing is not applied to them." : ""
                } ?? ""
            model.remarks.append(
                "The first convolution reads \(channels) channels, and pictures have 3 or 1: images come as 'inputs' of an .npz, shape [images, height, width, \(channels)].\(layers)"
            )
            return try model.runnable(path: path)
        }
        let size = recipe.map { ($0.height, $0.width) } ?? inputSize.map { ($0.height, $0.width) }
        guard let misfit = network.misfit(size: size) else { return self }
        guard let head = network.nodes.first(where: { $0.name == misfit.node })?.stage, head == Stage.head else {
            throw CheckpointError.cannotLoad(path, "its layer '\(misfit.node)' \(misfit.reason).")
        }
        var model = self
        model.leaveOutHead("its layer '\(misfit.node)' \(misfit.reason)")
        return model
    }
}
