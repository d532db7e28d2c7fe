// Keras 3's store of variables: `layers/<class>[_<n>]/vars/<i>`, alone in a `.weights.h5` or inside a `.keras` archive.
//
// A group is named after its layer's class and counted; the layer's own name is an attribute since Keras 3.6. Before,
// only the archive's configuration or the order of the layers tells which one it is.

internal import FinetuneEngine
internal import FinetuneFiles

enum KerasStore {
    /// The group with the layers; Keras 2.12 and 2.13 called it otherwise.
    private static let roots = ["layers", "_layer_checkpoint_dependencies"]

    static func matches(_ arrays: NamedArrays) -> Bool {
        arrays.groups.contains { group in roots.contains { group.hasPrefix("\($0)/") } && group.hasSuffix("/vars") }
    }

    /// What each class keeps, in its order.
    private static func roles(_ kind: String) -> [String] {
        switch kind {
        case "Conv2D", "conv2d", "Dense", "dense": ["kernel", "bias"]
        case "BatchNormalization", "batch_normalization": ["gamma", "beta", "moving_mean", "moving_variance"]
        case "Normalization", "normalization": ["mean", "variance", "count"]
        default: []
        }
    }

    // MARK: With a configuration

    /// The weights of the layers of an archive's configuration.
    static func list(_ arrays: NamedArrays, config: JSON, path: String) throws -> [KerasWeight] {
        var weights: [KerasWeight] = []
        var listed: Set<String> = []
        let names = arrays.names
        func visit(_ model: JSON, _ folder: String) throws {
            var counts: [String: Int] = [:]
            let layers = model["layers"]?.arrayValue ?? model.arrayValue ?? []
            for layer in layers {
                guard let kind = layer["class_name"]?.stringValue, let config = layer["config"],
                    !isOperation(layer)
                else { continue }
                let snake = snakeCase(kind)
                let number = counts[snake, default: 0]
                counts[snake] = number + 1
                let group = "\(folder)/\(number == 0 ? snake : "\(snake)_\(number)")"
                if config["layers"] != nil || config.arrayValue != nil {
                    try visit(config, "\(group)/\(root(arrays, group) ?? roots[0])")
                    continue
                }
                guard let name = layer["name"]?.stringValue ?? config["name"]?.stringValue else { continue }
                if let told = arrays.text("name", of: "\(group)/vars"), told != name {
                    throw CheckpointError.cannotLoad(
                        path, "its group '\(group)' holds the layer '\(told)' where '\(name)' was expected.")
                }
                var roles = roles(kind)
                if kind == "BatchNormalization" {
                    if config["scale"]?.boolValue == false { roles.removeAll { $0 == "gamma" } }
                    if config["center"]?.boolValue == false { roles.removeAll { $0 == "beta" } }
                }
                for (index, role) in roles.enumerated() where arrays.has("\(group)/vars/\(index)") {
                    listed.insert("\(group)/vars/\(index)")
                    weights.append(
                        KerasWeight(layer: name, role: role, fileName: "\(group)/vars/\(index)", in: arrays))
                }
                // Of classes that are not read, too, it is known whose each variable is.
                for file in names where !listed.contains(file) && file.hasPrefix("\(group)/") && !isGenerator(file) {
                    listed.insert(file)
                    weights.append(KerasWeight(layer: name, role: "", fileName: file, in: arrays))
                }
            }
        }
        guard let top = root(arrays, "") else {
            throw CheckpointError.cannotLoad(path, "its archive has no layers.")
        }
        try visit(config["config"] ?? .null, top)
        // What no layer claims is named in the error, not dropped. Random layers keep the state of their generator.
        for name in names where name.hasPrefix("\(top)/") && !listed.contains(name) && !isGenerator(name) {
            weights.append(KerasWeight(layer: name, role: "", fileName: name, in: arrays))
        }
        return weights
    }

    /// Operations such as `x / 255` stand among the layers of a configuration, and keep no variables.
    private static func isOperation(_ layer: JSON) -> Bool {
        layer["module"]?.stringValue.map { $0.hasPrefix("keras.src.ops.") || $0.hasPrefix("keras.ops") } ?? false
    }

    private static func isGenerator(_ name: String) -> Bool {
        name.contains("/seed_generator") || name.contains("/random_")
    }

    private static func root(_ arrays: NamedArrays, _ folder: String) -> String? {
        roots.first { arrays.groups.contains(folder.isEmpty ? $0 : "\(folder)/\($0)") }
    }

    // MARK: Without one

    /// The weights of a file of variables alone.
    static func list(_ arrays: NamedArrays, path: String) throws -> [KerasWeight] {
        let groups = arrays.groups.filter { group in
            group.hasSuffix("/vars") && roots.contains { group.hasPrefix("\($0)/") } && arrays.has("\(group)/0")
                && !isGenerator(group)
        }
        var layers = groups.map { Layer(group: $0) }
        if layers.allSatisfy({ arrays.text("name", of: $0.group) != nil }) {
            for index in layers.indices { layers[index].name = arrays.text("name", of: layers[index].group) ?? "" }
        } else {
            try name(&layers, arrays, path)
        }
        return layers.sorted { $0.name < $1.name }.flatMap { layer in
            let count = (0..<8).prefix { arrays.has("\(layer.group)/\($0)") }.count
            let roles = roles(layer.kind)
            return (0..<count).map { index in
                KerasWeight(
                    layer: layer.name, role: index < roles.count && count <= roles.count ? roles[index] : "",
                    fileName: "\(layer.group)/\(index)", in: arrays)
            }
        }
    }

    private struct Layer {
        let group: String
        /// `conv2d`, without its number.
        let kind: String
        let number: Int
        var name = ""

        init(group: String) {
            self.group = group
            let parts = group.split(separator: "/")
            let last = parts.count > 1 ? String(parts[parts.count - 2]) : group
            let pieces = last.split(separator: "_")
            if pieces.count > 1, let number = pieces.last.flatMap({ Int($0) }) {
                kind = pieces.dropLast().joined(separator: "_")
                self.number = number
            } else {
                (kind, number) = (last, 0)
            }
        }
    }

    /// Names the layers by their order alone.
    private static func name(_ layers: inout [Layer], _ arrays: NamedArrays, _ path: String) throws {
        func sorted(_ kind: String) -> [Int] {
            layers.indices.filter { layers[$0].kind == kind }.sorted { layers[$0].number < layers[$1].number }
        }
        let (convolutions, normalizations) = (sorted("conv2d"), sorted("batch_normalization"))
        let nameless = convolutions.map { index in
            let group = layers[index].group
            return NamelessConvolution(
                side: arrays.arrays["\(group)/0"]?.tensor.shape.first ?? 0, hasBias: arrays.has("\(group)/1"))
        }
        let found = Families.all.lazy.compactMap {
            $0.kerasLayers(ofConvolutions: nameless, normalizations: normalizations.count)
        }
        guard let names = found.first else {
            throw CheckpointError.cannotLoad(
                path,
                "its layers have no names, and their order is that of no network of keras.applications that is read without them. Save the whole model (.keras)."
            )
        }
        for (index, name) in zip(convolutions, names.convolutions) { layers[index].name = name }
        for (index, name) in zip(normalizations, names.normalizations) { layers[index].name = name }
        for index in layers.indices where layers[index].name.isEmpty {
            layers[index].name = layers[index].kind == "dense" ? "predictions" : layers[index].group
        }
    }

    /// Keras' name of a class in a store: `Conv2D` is `conv2d`, `BatchNormalization` is `batch_normalization`.
    static func snakeCase(_ name: String) -> String {
        var result = ""
        let letters = Array(name)
        for (index, letter) in letters.enumerated() {
            let previous = index > 0 ? letters[index - 1] : " "
            let next = index + 1 < letters.count ? letters[index + 1] : " "
            let begins =
                letter.isUppercase && index > 0
                && (previous.isLowercase || (previous.isUppercase && next.isLowercase))
            if begins { result += "_" }
            result += letter.lowercased()
        }
        return result
    }
}

extension NamedArrays {
    /// Whether there is an array of that name, read or not.
    fileprivate func has(_ name: String) -> Bool { arrays[name] != nil || problems[name] != nil }

    fileprivate var names: [String] { (Array(arrays.keys) + Array(problems.keys)).sorted() }
}
