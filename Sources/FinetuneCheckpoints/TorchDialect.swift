// PyTorch state dicts in HDF5: one dataset a tensor, its name with dots, or groups in place of the dots.

internal import FinetuneEngine
internal import FinetuneModels

enum TorchDialect {
    /// The tensor by whose name a state dict of a ResNet is known.
    private static let anchor = "layer1.0.conv1.weight"
    private static let ignored = "num_batches_tracked"

    /// Whether the arrays look like a state dict of a ResNet, complete or not.
    static func matches(_ arrays: NamedArrays) -> Bool {
        (Array(arrays.arrays.keys) + Array(arrays.problems.keys)).contains { dotted($0).contains("layer1.0.") }
    }

    static func read(_ arrays: NamedArrays, path: String) throws -> Model {
        let prefix = prefix(arrays)
        var table = TensorTable()
        table.fileName = { prefix + $0 }
        for (name, entry) in arrays.arrays {
            let full = dotted(name)
            if full.hasSuffix(ignored) { continue }
            guard full.hasPrefix(prefix) else {
                // Beside a state dict lie things like `epoch`; only what is inside it is accounted for.
                if prefix.isEmpty || entry.tensor.shape.count >= 2 { table.strangers.append(name) }
                continue
            }
            table.add(String(full.dropFirst(prefix.count)), entry.tensor, fileName: name)
        }
        for (name, problem) in arrays.problems {
            let full = dotted(name)
            guard full.hasPrefix(prefix), !full.hasSuffix(ignored), full.contains(".") else { continue }
            guard full.split(separator: ".").count < 8 else { continue }  // No parameter lies so deep.
            if problem.hasPrefix("is a second link") { continue }
            table.add(String(full.dropFirst(prefix.count)), nil, fileName: name, problem: problem)
        }
        let traits = ResNetTraits(stridePlace: .middle, epsilon: 1e-5, statisticsKept: 0.9, poolsZeros: false)
        let resNet = try ResNet(table, traits, path: path)
        let network = resNet.network()
        let weights = try table.weights(for: network, path: path)
        let isSmall = resNet.stem == .small
        let recipe = InputRecipe(
            height: isSmall ? 32 : 224, width: isSmall ? 32 : 224, channels: resNet.inputChannels,
            pixels: .torch(channels: resNet.inputChannels), resizeRatio: isSmall ? 1 : 256.0 / 224)
        return Model(network: network, weights: weights, recipe: recipe, dialect: "PyTorch state dict")
    }

    private static func dotted(_ path: String) -> String { path.split(separator: "/").joined(separator: ".") }

    /// What stands before every name of the state dict, such as `module.` or `state_dict.`.
    private static func prefix(_ arrays: NamedArrays) -> String {
        var votes: [String: Int] = [:]
        for name in Array(arrays.arrays.keys) + Array(arrays.problems.keys) {
            let full = dotted(name)
            if let range = full.firstRange(of: "layer1.0.") {
                votes[String(full[..<range.lowerBound]), default: 0] += 1
            }
        }
        return votes.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? ""
    }
}

extension InputRecipe.Pixels {
    /// The ImageNet recipe for a number of channels: gray images take the mean of the three.
    static func torch(channels: Int) -> InputRecipe.Pixels {
        guard channels == 1 else { return .torch }
        func mean(_ values: [Double]) -> [Double] { [values.reduce(0, +) / Double(values.count)] }
        return InputRecipe.Pixels(
            order: .rgb, scale: torch.scale, mean: mean(torch.mean), standardDeviation: mean(torch.standardDeviation))
    }
}
