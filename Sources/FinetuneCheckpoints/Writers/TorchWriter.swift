// State dicts for PyTorch: in HDF5, one dataset a tensor, or in safetensors.
//
// A state dict is names and numbers; the graph is the reader's own. So a network is written only if torchvision's or
// timm's class of those names computes the same.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

enum TorchWriter {
    static func writeHDF5(_ model: Model, to path: String) throws -> Int {
        let state = try stateDict(of: model, path: path)
        let file = try HDF5Writer(path)
        for (name, value) in Sidecar.texts(for: model) { try file.setText(name, value) }
        for (name, tensor) in state { try file.write(tensor, as: name) }
        try file.finish()
        return state.count
    }

    static func writeSafetensors(_ model: Model, to path: String) throws -> Int {
        let state = try stateDict(of: model, path: path)
        let metadata = [("format", "pt")] + Sidecar.texts(for: model)
        try Safetensors.write(state, metadata: metadata, to: path)
        return state.count
    }

    /// The tensors under torchvision's names, in the order of the network.
    ///
    /// - Throws: `CheckpointError` that names what no class of PyTorch computes.
    static func stateDict(of model: Model, path: String) throws -> [(name: String, tensor: Tensor)] {
        func refuse(_ property: String) -> CheckpointError {
            .cannotConvert(
                path, "\(property), which no class of torchvision or timm does. Use --to onnx or --to keras")
        }
        let own = "it is a network with names or layers of its own (\(model.network.name))"
        if let obstacle = Families.all.lazy.compactMap({ $0.obstacleToPyTorch(model.network) }).first {
            throw refuse(obstacle)
        }
        var model = model.withTorchNames()
        guard let names = model.stateDictNames else { throw refuse(own) }
        model.renameHead(to: names.family.headModule)
        var table = TensorTable()
        var head = ListedHead()
        for (name, tensor) in model.weights.sorted(by: { $0.key < $1.key }) {
            if names.isTrunk(name) {
                table.add(name, names.stored(tensor, name), fileName: name)
            } else {
                head.add(.init(name: name, fileName: name, tensor: tensor, problem: nil))
            }
        }
        let graph = PublishedGraph(family: names.family)
        guard var design = try? names.network(&table, &head, graph, path: path).design else {
            throw refuse(own)
        }
        if let extra = head.complete(&design, &table) { throw refuse("its head has several layers (\(extra.layers))") }
        if let side = design.imageSize, let recipe = model.recipe, recipe.height != side || recipe.width != side {
            throw refuse(
                "it reads images of \(recipe.height)×\(recipe.width) pixels, and layers that are made for \(side)×\(side) compute otherwise there"
            )
        }
        if let difference = NetworkComparison(model.network, design.network(), names.family).mostTelling {
            throw refuse(difference)
        }
        return model.network.tensors.compactMap { name, _ in
            model.weights[name].map { (name, names.stored($0, name)) }
        }
    }
}

extension Model {
    /// The same network with keras.applications' layers under torchvision's names.
    fileprivate func withTorchNames() -> Model {
        guard let names = Families.kerasNames(of: network.nodes.map(\.name)) else { return self }
        var model = self
        model.rename(network.nodes.compactMap { node in names.module(layer: node.name).map { (node.name, $0) } })
        return model
    }

    /// Whose names the tensors have.
    fileprivate var stateDictNames: (any StateDictNames)? {
        StateDictNetworks(weights.keys.sorted())?.all.first { $0.prefix.isEmpty }?.names
    }

    /// Gives a head of one layer that Keras named the name of PyTorch's.
    fileprivate mutating func renameHead(to name: String) {
        let head = network.nodes.filter { $0.stage == Stage.head && $0.operation.parameterCount > 0 }
        guard head.count == 1, ListedHead.published.contains(head[0].name) else { return }
        rename([(head[0].name, name)])
    }
}

/// What a network does otherwise than another with the same tensors.
private struct NetworkComparison {
    private let first: [String: Node]
    private let second: [String: Node]
    private let family: any Family.Type
    private var differences: [String] = []
    private var known: Set<String> = []

    init(_ first: Network, _ second: Network, _ family: any Family.Type) {
        self.family = family
        let (one, other) = (first.withPaddedPooling(), second.withPaddedPooling())
        self.first = Dictionary(one.nodes.map { ($0.name, $0) }) { $1 }
        self.second = Dictionary(other.nodes.map { ($0.name, $0) }) { $1 }
        compare(one.nodes.last?.name ?? Node.image, other.nodes.last?.name ?? Node.image)
    }

    /// Nil where the networks compute the same. Strides tell two kinds of ResNets apart, so they are named first.
    var mostTelling: String? { differences.first { $0.contains("a stride of 2") } ?? differences.first }

    private mutating func compare(_ a: String, _ b: String) {
        guard known.insert(a).inserted, a != Node.image || b != Node.image else { return }
        guard let one = first[a], let other = second[b], one.inputs.count == other.inputs.count else {
            return differences.append("its layers are in another order")
        }
        if let words = one.difference(from: other, family) { differences.append(words) }
        var inputs = one.inputs
        // A sum may name its parts the other way round.
        if case .addition = one.operation, anchor(inputs[0], first) == anchor(other.inputs[1], second) {
            inputs.reverse()
        }
        for (a, b) in zip(inputs, other.inputs) { compare(a, b) }
    }

    /// The nearest node with tensors before `name`; nil where a sum comes first, so that what skips a block has none.
    private func anchor(_ name: String, _ nodes: [String: Node]) -> String? {
        var name = name
        while let node = nodes[name] {
            if node.operation == .addition { return nil }
            if !node.operation.tensors.isEmpty { return name }
            name = node.inputs.first ?? Node.image
        }
        return name
    }
}

extension Node {
    /// What this node does otherwise than `other`, in words; nil where they do the same with the same tensors.
    fileprivate func difference(from other: Node, _ family: any Family.Type) -> String? {
        switch (operation, other.operation) {
        case (.convolution(let a), .convolution(let b)):
            if name != other.name { return "its convolution '\(name)' stands in another place" }
            if a.window.stride != b.window.stride {
                return "its convolution '\(name)' takes a stride of \(a.window.stride) (\(b.window.stride) in PyTorch)"
            }
            if a.hasBias != family.convolutionsHaveBias {
                return "its convolution '\(name)' has \(a.hasBias ? "a bias" : "no bias")"
            }
            if a.groups != b.groups || a.window.dilation != b.window.dilation {
                return "its convolution '\(name)' has other groups or dilation"
            }
            return a.window.isSame(as: b.window) ? nil : "its convolution '\(name)' pads otherwise"
        case (.batchNormalization(let a), .batchNormalization(let b)):
            if name != other.name { return "its batch norm '\(name)' stands in another place" }
            // Keras writes 1.001e-5 for 1e-5.
            return abs(a.epsilon - b.epsilon) < 0.002 * b.epsilon
                ? nil : "its batch norms have the epsilon \(a.epsilon) (\(b.epsilon) in PyTorch)"
        case (.dense, .dense): return name == other.name ? nil : "its dense layer '\(name)' stands in another place"
        case (.maxPooling(let a), .maxPooling(let b)):
            return a.stride == b.stride && a.isSame(as: b) ? nil : "its pooling '\(name)' has another window"
        case (.averagePooling(let a, let c), .averagePooling(let b, let d)):
            return a.stride == b.stride && a.isSame(as: b) && c == d ? nil : "its pooling '\(name)' has another window"
        case (_, .batchNormalization):
            return "the batch norm '\(other.name)' is missing: it is folded into a convolution"
        default:
            return operation == other.operation
                ? nil : "its layer '\(name)' is another one than PyTorch's '\(other.name)'"
        }
    }
}

extension Window {
    /// Whether two windows of one stride cover the same pixels of every image.
    fileprivate func isSame(as other: Window) -> Bool {
        guard height == other.height, width == other.width else { return false }
        if padding == other.padding { return true }
        // At stride 1 TensorFlow's padding of odd windows is that of PyTorch.
        guard stride == 1, height % 2 == 1, width % 2 == 1 else { return false }
        let (a, b) = (edges(height: 64, width: 64), other.edges(height: 64, width: 64))
        return a == b
    }
}

extension Network {
    /// The network with zeros before a pooling of numbers that are not negative made part of the pooling, where
    /// padding never wins: Keras writes the one, PyTorch the other.
    fileprivate func withPaddedPooling() -> Network {
        var network = self
        let nodes = Dictionary(self.nodes.map { ($0.name, $0) }) { $1 }
        for index in network.nodes.indices {
            guard case .maxPooling(var window) = network.nodes[index].operation, window.padding == .edges(.none),
                let pad = nodes[network.nodes[index].inputs[0]], case .zeroPadding(let edges) = pad.operation,
                let source = nodes[pad.inputs[0]], case .activation(.relu) = source.operation
            else { continue }
            window.padding = .edges(edges)
            network.nodes[index].operation = .maxPooling(window)
            network.nodes[index].inputs = pad.inputs
        }
        return network
    }
}
