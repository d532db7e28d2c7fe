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
        var strangers: [KerasWeight] = []
        var owners: [String: [String]] = [:]
        for weight in weights {
            if graph.isNormalization(weight.layer) {
                graph.statistics["\(weight.layer).\(weight.role)"] = weight.tensor?.values.map { Double($0) }
            } else if let (role, tensor) = weight.canonical {
                let name = "\(weight.layer).\(role)"
                owners[name] = [weight.layer, weight.owner]
                table.add(name, tensor, fileName: weight.fileName, problem: weight.problem)
            } else {
                strangers.append(weight)
            }
        }
        var network = try graph.network(table)
        let heads = Set(network.nodes.filter { $0.stage == Stage.head }.map(\.name))
        if let odd = strangers.first(where: { heads.contains($0.layer) || heads.contains($0.owner) }) {
            graph.leaveOutHead(
                &network, "it holds '\(odd.fileName)', which is not read, such as quantized layers and LoRA keep")
        }
        // The weights of a head that is left out are not needed.
        let kept = Set(network.nodes.map(\.name))
        func isNeeded(_ layers: [String]) -> Bool {
            layers.contains(where: kept.contains) || !layers.contains(where: graph.leavesOut)
        }
        table.keep { isNeeded(owners[$0] ?? []) }
        table.strangers = strangers.filter { isNeeded([$0.layer, $0.owner]) }.map(\.fileName)
        for (layer, channels) in graph.normalizationsWithout where kept.contains(layer) {
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
            inputSize: graph.preparation?.geometry.size ?? graph.inputSize, dialect: "Keras whole model")
        model.notes = graph.warnings + [graph.preparation?.geometry.note].compactMap { $0 }
        model.remarks = graph.remarks
        if graph.endsInSoftmax || graph.outputMeaning == .labels, model.headOutputs == nil, graph.leftOutHead == nil {
            let stage = network.stages.last { $0.name.hasPrefix("stage") }?.name ?? Stage.stem
            model.notes.append(
                "The model ends in probabilities without a dense layer: its last convolution gives them, and the pooled features are their scores. The stages before it can be used, such as extract --layer \(stage)."
            )
        }
        model.leftOutHead = graph.leftOutHead
        model.recognizeChannelPadding()
        model.foldRowNormalizations()
        model.outputMeaning = meaning(of: model, graph, config, arrays)
        let names = Families.kerasNames(of: network.nodes.map(\.name))
        if let preparation = graph.preparation, !preparation.layers.isEmpty {
            model.prepare(as: preparation, size: graph.inputSize)
        } else if let names {
            let (recipe, source) = names.recipe(size: graph.inputSize)
            (model.recipe, model.recipeSource) = (recipe, source)
        }
        if let names { model.nameArchitecture(names) }
        Sidecar(arrays).applyOwn(to: &model)
        return model
    }
}

extension KerasModelDialect {
    /// What the outputs mean, as the last activation and the loss say.
    private static func meaning(of model: Model, _ graph: KerasGraph, _ config: JSON, _ arrays: NamedArrays)
        -> OutputMeaning
    {
        guard let outputs = model.headOutputs, graph.outputMeaning == .classes else { return graph.outputMeaning }
        switch model.network.nodes.last?.operation {
        case .activation, .rowNormalization: return .unknown
        default: break
        }
        // Numbers without an activation are what the loss took them for.
        let training =
            config["compile_config"] ?? arrays.text("training_config", of: "").flatMap { try? JSON(parsing: $0) }
        var loss = training?["loss"] ?? .null
        if let only = loss.arrayValue?.first ?? (loss["class_name"] == nil ? loss.members?.first?.value : nil) {
            loss = only
        }
        let kind = loss["class_name"]?.stringValue
        if let kind, kind.hasPrefix("Binary"), kind.hasSuffix("Crossentropy"), loss["config"]?["from_logits"] == true {
            return .labels
        }
        // A function is named by its configuration.
        let name = loss.stringValue ?? loss["config"]?.stringValue ?? kind ?? ""
        let classifies = ["crossentropy", "hinge", "kl_divergence", "kldivergence", "kullback"]
        let isOfClasses = name.isEmpty || classifies.contains { name.lowercased().contains($0) }
        if !isOfClasses, !graph.endsInSoftmax { return .unknown }
        return outputs == 1 ? .unknown : .classes
    }
}

extension Model {
    /// Puts what the model's own layers do to pixels into its preprocessing.
    fileprivate mutating func prepare(as preparation: PixelPreparation, size: ImageSize?) {
        let size = preparation.geometry.size ?? size ?? ImageSize(height: 224, width: 224)
        recipe = InputRecipe(
            height: size.height, width: size.width, channels: network.inputChannels, pixels: preparation.pixels,
            fit: .squash)
        if var recipe {
            preparation.geometry.apply(to: &recipe)
            self.recipe = recipe
        }
        let named = InputRecipe.Pixels.named.first {
            $0.pixels.spread(over: network.inputChannels).isNearly(preparation.pixels)
        }
        recipeSource =
            InputRecipe.ownSource + preparation.layers.joined(separator: ", ") + (named.map { " (\($0.name))" } ?? "")
    }

    /// Calls a network with keras.applications' layers what it is, where its trunk has that network's parameters.
    fileprivate mutating func nameArchitecture(_ names: any KerasNames) {
        var (table, head) = (TensorTable(), ListedHead())
        for (name, tensor) in weights {
            let dot = name.lastIndex(of: ".") ?? name.endIndex
            guard let module = names.module(layer: String(name[..<dot])) else { continue }
            table.add(module + name[dot...], tensor, fileName: name)
        }
        let trunk = network.parameterCount - network.parameterCount(stage: Stage.head)
        guard let design = try? names.network(&table, &head, path: ""), design.network().parameterCount == trunk else {
            return
        }
        network.name = design.name
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

extension InputRecipe.Pixels {
    /// Whether the numbers are the same but for the rounding of single precision.
    fileprivate func isNearly(_ other: InputRecipe.Pixels) -> Bool {
        func values(_ pixels: InputRecipe.Pixels) -> [Double] {
            zip(pixels.mean, pixels.standardDeviation).flatMap { [pixels.scale / $1, $0 / $1] }
        }
        return order == other.order && mean.count == other.mean.count
            && zip(values(self), values(other)).allSatisfy { abs($0 - $1) <= 1e-5 * max(1, abs($0)) }
    }
}
