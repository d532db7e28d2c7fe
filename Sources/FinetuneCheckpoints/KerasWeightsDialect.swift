// Keras weight files by layer name: groups of layers, each with a list of its weights' paths.
//
// The paths are followed exactly as `weight_names` gives them; four layouts of them exist. Networks are told from
// the layers' names, `conv2_block1_1_conv` …, as keras.applications writes its ResNets.

internal import FinetuneEngine
internal import FinetuneModels

/// One weight of a Keras layer.
struct KerasWeight {
    var layer: String
    /// `kernel`, `bias`, `gamma`, `beta`, `moving_mean` or `moving_variance`.
    var role: String
    var fileName: String
    var tensor: Tensor?
    var problem: String?
}

enum KerasWeights {
    /// The group that holds the layers: the root, or `model_weights` of a whole model; nil where neither does.
    static func root(_ arrays: NamedArrays) -> String? {
        func lists(_ path: String) -> Bool {
            arrays.attribute("layer_names", of: path) != nil || arrays.attribute("layer_names0", of: path) != nil
        }
        return lists("")
            ? "" : arrays.groups.contains("model_weights") && lists("model_weights") ? "model_weights" : nil
    }

    /// Every weight that the file lists, in its order.
    static func list(_ arrays: NamedArrays, root: String, path: String) throws -> [KerasWeight] {
        guard let layers = arrays.texts("layer_names", of: root) else {
            throw CheckpointError.cannotLoad(
                path, "its attribute 'layer_names' holds no text, the names of layers were expected.")
        }
        var weights: [KerasWeight] = []
        for layer in layers {
            let group = root.isEmpty ? layer : "\(root)/\(layer)"
            guard isPlain(layer), arrays.groups.contains(group) else {
                throw CheckpointError.cannotLoad(
                    path, "it lists the layer '\(layer)', which it does not hold. Download it again.")
            }
            guard let names = arrays.texts("weight_names", of: group) else {
                throw CheckpointError.cannotLoad(
                    path, "its layer '\(layer)' does not list its weights ('weight_names' is missing or no text).")
            }
            for name in names {
                guard isPlain(name) else {
                    throw CheckpointError.cannotLoad(
                        path, "its layer '\(layer)' names the weight '\(name)', which points outside the layer.")
                }
                let parts = name.split(separator: "/")
                var role = parts.last.map(String.init) ?? name
                if role.hasSuffix(":0") { role.removeLast(2) }
                let full = "\(group)/\(name)"
                weights.append(
                    KerasWeight(
                        layer: parts.count > 1 ? String(parts[parts.count - 2]) : layer, role: role, fileName: full,
                        tensor: arrays.arrays[full]?.tensor,
                        problem: arrays.problems[full]
                            ?? (arrays.arrays[full] == nil ? "is listed, yet not in the file" : nil)))
            }
        }
        return weights
    }

    /// A relative path without tricks.
    private static func isPlain(_ name: String) -> Bool {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        return !parts.contains { $0.isEmpty || $0 == "." || $0 == ".." }
    }

    /// Puts a kernel into our order: filters `[height, width, in, out]` to `[out, in, height, width]`, dense
    /// `[in, out]` to `[out, in]`.
    static func canonical(_ weight: KerasWeight) -> (role: String, tensor: Tensor?)? {
        switch weight.role {
        case "kernel":
            switch weight.tensor?.shape.count {
            case 4: ("weight", weight.tensor?.transposed([3, 2, 0, 1]))
            case 2: ("weight", weight.tensor?.transposed([1, 0]))
            default: ("weight", weight.tensor)
            }
        case "bias", "beta": ("bias", weight.tensor)
        case "gamma": ("weight", weight.tensor)
        case "moving_mean": ("running_mean", weight.tensor)
        case "moving_variance": ("running_var", weight.tensor)
        default: nil
        }
    }
}

enum KerasWeightsDialect {
    static func read(_ arrays: NamedArrays, root: String, path: String) throws -> Model {
        let weights = try KerasWeights.list(arrays, root: root, path: path)
        var table = TensorTable()
        var fileNames: [String: String] = [:]
        for weight in weights {
            guard !weight.layer.contains("_preact_") else {
                throw CheckpointError.cannotLoad(
                    path,
                    "it is a Keras ResNet V2 (pre-activation), of which only whole models (.h5 by model.save) are read."
                )
            }
            guard let (role, tensor) = KerasWeights.canonical(weight) else {
                table.strangers.append(weight.fileName)
                continue
            }
            let name = moduleName(layer: weight.layer) ?? weight.layer
            fileNames[name] = weight.layer
            table.add("\(name).\(role)", tensor, fileName: weight.fileName, problem: weight.problem)
        }
        table.fileName = { name in
            let module = String(name[..<(name.lastIndex(of: ".") ?? name.endIndex)])
            return fileNames[module] ?? layerName(module: module) ?? name
        }
        let traits = ResNetTraits(stridePlace: .first, epsilon: 1.001e-5, statisticsKept: 0.99, poolsZeros: true)
        let resNet = try ResNet(table, traits, path: path)
        let network = resNet.network()
        return Model(
            network: network, weights: try table.weights(for: network, path: path), recipe: .kerasCaffe,
            dialect: "Keras weights")
    }

    /// `conv3_block2_1_bn` is `layer2.1.bn1`; `_0_conv` and `_0_bn` are the shortcut.
    static func moduleName(layer: String) -> String? {
        if layer == "conv1_conv" { return "conv1" }
        if layer == "conv1_bn" { return "bn1" }
        let parts = layer.split(separator: "_")
        guard parts.count == 4, parts[0].hasPrefix("conv"), let stage = Int(parts[0].dropFirst(4)), stage >= 2,
            parts[1].hasPrefix("block"), let block = Int(parts[1].dropFirst(5)), block >= 1, let index = Int(parts[2]),
            parts[3] == "conv" || parts[3] == "bn"
        else { return nil }
        let prefix = "layer\(stage - 1).\(block - 1)"
        return index == 0 ? "\(prefix).downsample.\(parts[3] == "conv" ? 0 : 1)" : "\(prefix).\(parts[3])\(index)"
    }

    /// The inverse of `moduleName(layer:)`.
    static func layerName(module: String) -> String? {
        if module == "conv1" { return "conv1_conv" }
        if module == "bn1" { return "conv1_bn" }
        let parts = module.split(separator: ".")
        guard parts.count >= 3, parts[0].hasPrefix("layer"), let stage = Int(parts[0].dropFirst(5)),
            let block = Int(parts[1])
        else { return nil }
        let prefix = "conv\(stage + 1)_block\(block + 1)"
        if parts[2] == "downsample", parts.count == 4 { return "\(prefix)_0_\(parts[3] == "0" ? "conv" : "bn")" }
        guard let index = parts[2].last?.wholeNumberValue else { return nil }
        return "\(prefix)_\(index)_\(parts[2].hasPrefix("conv") ? "conv" : "bn")"
    }
}

extension InputRecipe {
    /// What keras.applications expects of ResNet v1: `load_img` squashes, `preprocess_input` is of the caffe kind.
    static let kerasCaffe = InputRecipe(height: 224, width: 224, pixels: .caffe, fit: .squash)
}
