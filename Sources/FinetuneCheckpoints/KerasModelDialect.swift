// Keras whole models (`model.save('m.h5')`, `model.save('m.keras')`): the graph comes from the configuration, as data;
// nothing in it is ever executed. Keras 2 and Keras 3 write the same layers with different words for their connections.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

enum KerasModelDialect {
    static func read(_ config: JSON, _ weights: [KerasWeight], _ arrays: NamedArrays, path: String) throws -> Model {
        var graph = KerasGraph(path: path)
        try graph.read(config)
        var table = TensorTable()
        for weight in weights {
            if graph.isNormalization(weight.layer) {
                graph.statistics["\(weight.layer).\(weight.role)"] = weight.tensor?.values.map { Double($0) }
            } else if let (role, tensor) = weight.canonical {
                table.add("\(weight.layer).\(role)", tensor, fileName: weight.fileName, problem: weight.problem)
            } else {
                table.strangers.append(weight.fileName)
            }
        }
        let network = try graph.network(table)
        for (layer, channels) in graph.normalizationsWithout {
            // A batch norm may leave out its factor (`scale: false`) or its offset (`center: false`).
            if channels.scale {
                table.add("\(layer).weight", Tensor(shape: [channels.count], repeating: 1), fileName: "(none)")
            }
            if channels.center {
                table.add("\(layer).bias", Tensor(shape: [channels.count], repeating: 0), fileName: "(none)")
            }
        }
        var model = Model(
            network: network, weights: try table.weights(for: network, path: path), recipe: nil,
            inputSize: graph.inputSize, dialect: "Keras whole model")
        model.recognizeChannelPadding()
        if let pixels = graph.pixels {
            let size = graph.inputSize ?? ImageSize(height: 224, width: 224)
            model.recipe = InputRecipe(
                height: size.height, width: size.width, channels: network.inputChannels, pixels: pixels, fit: .squash)
            model.recipeSource = "the model's own \(graph.preprocessingLayers.joined(separator: ", "))"
        } else if let era = KerasNames.Era.told(network.nodes.map(\.name)) {
            let (recipe, source) = InputRecipe.keras(era, size: graph.inputSize)
            (model.recipe, model.recipeSource) = (recipe, source)
        }
        if let era = KerasNames.Era.told(network.nodes.map(\.name)) { model.nameArchitecture(era) }
        Sidecar(arrays).applyOwn(to: &model)
        return model
    }
}

extension Model {
    /// Calls a network with keras.applications' layers what it is, where its trunk has a ResNet's parameters.
    fileprivate mutating func nameArchitecture(_ era: KerasNames.Era) {
        var table = TensorTable()
        for (name, tensor) in weights {
            let dot = name.lastIndex(of: ".") ?? name.endIndex
            guard let module = KerasNames.module(layer: String(name[..<dot])) else { continue }
            table.add(module + name[dot...], tensor, fileName: name)
        }
        let trunk = network.parameterCount - network.parameterCount(stage: Stage.head)
        guard let resNet = try? ResNet(table, era.traits, path: ""), resNet.network().parameterCount == trunk else {
            return
        }
        network.name = resNet.name
    }

    /// Turns 1×1 convolutions that only put channels among channels of zeros, which is how a Keras file holds the
    /// shortcut without parameters, back into what they stand for.
    fileprivate mutating func recognizeChannelPadding() {
        for index in network.nodes.indices {
            let node = network.nodes[index]
            guard case .convolution(let convolution) = node.operation, convolution.window == Window(1, 1),
                convolution.filters > convolution.channels, convolution.groups == 1, !convolution.hasBias,
                let values = weights["\(node.name).weight"]?.values, let first = values.firstIndex(of: 1)
            else { continue }
            let (channels, before) = (convolution.channels, first / convolution.channels)
            let isCopy = values.indices.allSatisfy { place in
                let (filter, channel) = (place / channels, place % channels)
                return values[place] == (filter - before == channel ? 1 : 0)
            }
            guard isCopy, before + channels <= convolution.filters else { continue }
            network.nodes[index].operation = .channelPadding(
                before: before, after: convolution.filters - channels - before)
            weights["\(node.name).weight"] = nil
        }
    }
}
