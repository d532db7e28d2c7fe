// Where a Keras model's trunk ends: if its head cannot be computed, or is several, the features before it can be used.

internal import FinetuneEngine
internal import FinetuneModels

extension KerasGraph {
    /// The nodes up to the one row of features through which all outputs see the image, if the outputs themselves
    /// cannot be computed or are several. Without such a row it is the means of the last map that they all see.
    mutating func trunk(_ network: Network, _ build: Build) throws -> [Node] {
        let original: CheckpointError =
            outputs.compactMap { omitted[$0] }.first.map { fail("\($0).") }
            ?? fail(
                outputs.count > 1
                    ? "its model has \(outputs.count) outputs, \(outputs.map { "'\($0)'" }.joined(separator: ", ")), that share no row of features."
                    : "its output layer is not among its layers.")
        // The search takes time for each pair of layers.
        guard layers.count <= 10_000 else { throw original }
        let inputs = Dictionary(layers.map { ($0.name, $0.inputs) }) { first, _ in first }
        /// Whether an output sees the image on a way around a layer.
        func isBypassed(_ layer: String) -> Bool {
            var known: Set<String> = []
            var open = outputs
            while let name = open.popLast() {
                guard known.insert(name).inserted, name != layer else { continue }
                if build.values[name]?.pixels != nil { return true }
                open += inputs[name] ?? []
            }
            return !known.contains(layer)
        }
        func isEnd(_ layer: Layer, isRow: Bool) -> Bool {
            guard let value = build.values[layer.name], value.pixels == nil, value.isRow == isRow else { return false }
            return !isBypassed(layer.name)
        }
        let row = layers.first { isEnd($0, isRow: true) }
        let map = outputs.contains { omitted[$0] != nil } ? layers.last { isEnd($0, isRow: false) } : nil
        guard let end = row ?? map, let value = build.values[end.name] else { throw original }
        var before: Set<String> = []
        var open = [end.name]
        while let name = open.popLast() {
            if before.insert(name).inserted { open += inputs[name] ?? [] }
        }
        var after: Set<String> = []
        open = outputs
        while let name = open.popLast() {
            if !before.contains(name), after.insert(name).inserted { open += inputs[name] ?? [] }
        }
        // What is left out may make rows of maps, and work on rows. What works on maps belongs to the features.
        let poolings: Set = ["GlobalMaxPooling2D", "GlobalMaxPool2D", "GlobalAveragePooling2D", "Flatten", "Mean"]
        for layer in layers where after.contains(layer.name) && !poolings.contains(layer.action) {
            let readsMap = layer.inputs.contains { name in
                build.values[name].map { !$0.isRow && $0.pixels == nil } ?? false
            }
            guard !readsMap else { throw original }
        }
        let silent: Set = ["Dropout", "Activation", "ReLU", "Softmax", "InputLayer", "Flatten"]
        let heads = layers.filter { after.contains($0.name) && !silent.contains($0.kind) }.map(\.name)
        let reason =
            outputs.compactMap { omitted[$0] }.first
            ?? "the model has \(outputs.count) outputs, \(outputs.map { "'\($0)'" }.joined(separator: ", "))"
        leftOutHead = LeftOutHead(
            layers: heads.prefix(6).joined(separator: ", ") + (heads.count > 6 ? " and \(heads.count - 6) more" : ""),
            reason: reason)
        let nodes = network.part(before: value.node)
        guard row == nil else { return nodes }
        warnings.append(
            "What makes rows of the map '\(end.name)' is not read (\(reason)); the features are the means of its channels."
        )
        return nodes + [Node("\(value.node)/pooled", stage: "", .globalAveragePooling, inputs: [value.node])]
    }

    /// Whether a layer that is not read makes rows of a map.
    func beginsHead(_ layer: Layer, _ build: Build) -> Bool {
        guard layer.kind == "GlobalMaxPooling2D" || layer.kind == "GlobalMaxPool2D", let input = layer.inputs.first
        else {
            return false
        }
        return build.values[input].map { $0.pixels == nil && !$0.isRow } ?? false
    }

    /// Leaves the head out, whose weights cannot be read.
    mutating func leaveOutHead(_ network: inout Network, _ reason: String) {
        let layers = network.nodes.filter { $0.stage == Stage.head && $0.operation.parameterCount > 0 }.map(\.name)
        leftOutHead = LeftOutHead(layers: layers.joined(separator: ", "), reason: reason)
        network.nodes.removeAll { $0.stage == Stage.head }
    }
}
