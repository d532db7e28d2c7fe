// The weights of Keras files, whatever lists them: groups of layers with lists of paths (Keras 1 to 3, `.h5`), or
// numbered variables (Keras 3's `.weights.h5` and `.keras`).
//
// Paths are followed exactly as `weight_names` gives them; four layouts of them exist.

internal import FinetuneEngine
internal import FinetuneFiles

/// One weight of a Keras layer.
struct KerasWeight {
    var layer: String
    /// The layer that lists it, which is another one if layers lie in it.
    var owner: String
    /// `kernel`, `bias`, `gamma`, `beta`, `moving_mean`, `moving_variance`; `mean`, `variance`, `count`.
    var role: String
    var fileName: String
    var tensor: Tensor?
    var problem: String?

    /// Keras 1's endings of the same roles. Its `running_std` holds the variance.
    private static let oldRoles = [
        "W": "kernel", "b": "bias", "gamma": "gamma", "beta": "beta", "running_mean": "moving_mean",
        "running_std": "moving_variance", "running_variance": "moving_variance",
    ]

    init(layer: String, role: String, fileName: String, in arrays: NamedArrays) {
        (self.layer, owner) = (layer, layer)
        self.role = role
        self.fileName = fileName
        tensor = arrays.arrays[fileName]?.tensor
        problem = tensor == nil ? arrays.problems[fileName] ?? "is listed, yet not in the file" : nil
    }

    /// - Parameter name: What `weight_names` says, such as `conv1/kernel:0`, `kernel` or `conv1_W:0`.
    fileprivate init(listed name: String, group: String, layer: String, in arrays: NamedArrays) {
        let parts = name.split(separator: "/")
        var role = parts.last.map(String.init) ?? name
        if role.hasSuffix(":0") { role.removeLast(2) }
        let owner = parts.count > 1 ? String(parts[parts.count - 2]) : layer
        if role.hasPrefix("\(owner)_"), let old = Self.oldRoles[String(role.dropFirst(owner.count + 1))] { role = old }
        self.init(layer: owner, role: role, fileName: "\(group)/\(name)", in: arrays)
        self.owner = layer
    }

    /// The weight in our order: filters `[height, width, in, out]` to `[out, in, height, width]`, dense `[in, out]` to
    /// `[out, in]`; nil where the role is none of a network's.
    var canonical: (role: String, tensor: Tensor?)? {
        switch role {
        case "kernel":
            switch tensor?.shape.count {
            case 4: ("weight", tensor?.transposed([3, 2, 0, 1]))
            case 2: ("weight", tensor?.transposed([1, 0]))
            default: ("weight", tensor)
            }
        case "bias", "beta": ("bias", tensor)
        case "gamma": ("weight", tensor)
        case "moving_mean": ("running_mean", tensor)
        case "moving_variance": ("running_var", tensor)
        default: nil
        }
    }
}

/// Files that list their layers by name.
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
        if arrays.text("backend", of: root) == "theano" {
            throw CheckpointError.cannotLoad(
                path, "it was written with Theano, whose filters are flipped. Convert it with Keras first.")
        }
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
                weights.append(KerasWeight(listed: name, group: group, layer: layer, in: arrays))
            }
        }
        return weights
    }

    /// A relative path without tricks.
    private static func isPlain(_ name: String) -> Bool {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        return !parts.contains { $0.isEmpty || $0 == "." || $0 == ".." }
    }
}
