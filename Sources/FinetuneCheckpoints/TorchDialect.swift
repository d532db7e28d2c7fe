// PyTorch state dicts of ResNets, from whatever container: torchvision, timm, transformers, CIFAR.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

enum TorchDialect {
    private static let ignored = "num_batches_tracked"

    /// The names of the arrays, if they look like a state dict of a ResNet, complete or not.
    static func names(_ arrays: NamedArrays) -> TorchNames? {
        TorchNames((Array(arrays.arrays.keys) + Array(arrays.problems.keys)).map(dotted))
    }

    static func read(_ arrays: NamedArrays, _ names: TorchNames, path: String) throws -> Model {
        var table = table(arrays, names)
        let sidecar = Sidecar(arrays)
        var traits = ResNetTraits(stridePlace: .middle, epsilon: 1e-5, statisticsKept: 0.9)
        if names.isTransformers {
            if let reason = sidecar.obstacle { throw CheckpointError.cannotLoad(path, "its config.json \(reason).") }
            if sidecar.stridesFirst { traits.stridePlace = .first }
            traits.firstStride = sidecar.firstStride
        }
        let resNet = try ResNet(table, traits, path: path)
        for name in table.entries.keys where name.hasPrefix("layer") && name.contains(".se.fc") { table.flatten(name) }
        let network = resNet.network()
        let weights = try table.weights(for: network, path: path)
        let library = names.isTransformers ? "transformers" : "PyTorch"
        var model = Model(
            network: network, weights: weights, recipe: nil,
            dialect: "\(library) state dict in \(arrays.container.rawValue)")
        let isSmall = resNet.stem == .small
        let convention = InputRecipe(
            height: isSmall ? 32 : 224, width: isSmall ? 32 : 224, channels: resNet.inputChannels,
            pixels: .torch.spread(over: resNet.inputChannels), resizeRatio: isSmall ? 1 : 256.0 / 224)
        model.recipe = convention
        model.recipeSource = "the convention of \(isSmall ? "CIFAR ResNets" : "torchvision")"
        sidecar.apply(to: &model, convention: convention)
        return model
    }

    private static func table(_ arrays: NamedArrays, _ names: TorchNames) -> TensorTable {
        let prefix = names.prefix
        var table = TensorTable()
        var fileNames: [String: String] = [:]
        /// Whether a name is one of the network's; heads often stand beside what wraps the trunk.
        func own(_ full: String) -> String? {
            if full.hasPrefix(prefix) { return names.canonical(String(full.dropFirst(prefix.count))) }
            let beside = full.hasPrefix("head.") || full.hasPrefix("fc.") || full.hasPrefix("classifier.")
            return beside ? full : nil
        }
        for (name, entry) in arrays.arrays {
            let full = dotted(name)
            // Beside the parameters lie things like `epoch`.
            if full.hasSuffix(ignored) || (!full.contains(".") && entry.tensor.shape.count < 2) { continue }
            if let canonical = own(full) {
                fileNames[canonical] = name
                table.add(canonical, entry.tensor, fileName: name)
            } else if entry.tensor.shape.count >= 2, !TorchNames.isBeside(full) {
                table.strangers.append(name)
            }
        }
        for (name, problem) in arrays.problems {
            let full = dotted(name)
            guard let canonical = own(full), !full.hasSuffix(ignored), full.contains("."),
                full.split(separator: ".").count < 12, !problem.hasPrefix("is a second link")
            else { continue }
            table.add(canonical, nil, fileName: name, problem: problem)
        }
        table.fileName = { fileNames[$0] ?? prefix + $0 }
        return table
    }

    private static func dotted(_ path: String) -> String { path.split(separator: "/").joined(separator: ".") }
}
