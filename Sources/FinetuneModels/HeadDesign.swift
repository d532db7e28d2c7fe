// The layers that take the place of a base's head.

public import FinetuneEngine
internal import FinetuneFiles

/// Dense layers with an activation between them; without hidden layers a linear head.
public struct HeadDesign: Sendable, Equatable {
    /// Units of each hidden layer, in the order data takes them.
    public var hidden: [Int]
    /// Between the layers.
    public var activation: Activation
    /// How the weights begin; nil for what suits: hidden layers as their activation wants it, the last layer of an MLP
    /// as a linear one, and a linear head at zero. Biases begin at zero.
    public var initialization: Initialization?

    /// - Parameters:
    ///   - hidden: Units of each hidden layer; none for a linear head.
    ///   - activation: Between the layers.
    ///   - initialization: How weights begin; nil for what suits.
    public init(hidden: [Int] = [], activation: Activation = .relu, initialization: Initialization? = nil) {
        self.hidden = hidden
        self.activation = activation
        self.initialization = initialization
    }

    /// The layers, ready to learn.
    ///
    /// - Parameters:
    ///   - name: That of the last layer, which the others' names begin with.
    ///   - source: The node that the first layer reads.
    package func head(named name: String, reading source: String, inputs: Int, outputs: Int, seed: UInt64) -> Head {
        var head = Head(nodes: [], weights: [:])
        var (source, count) = (source, inputs)
        for (index, units) in hidden.enumerated() {
            let layer = "\(name).hidden\(index + 1)"
            append(layer, source, count, units, initialization ?? .suited(to: activation), seed, to: &head)
            head.nodes.append(
                Node("\(layer).\(activation.rawValue)", stage: Stage.head, .activation(activation), inputs: [layer]))
            (source, count) = ("\(layer).\(activation.rawValue)", units)
        }
        append(name, source, count, outputs, initialization ?? (hidden.isEmpty ? .zero : .xavier), seed, to: &head)
        return head
    }

    private func append(
        _ name: String, _ source: String, _ inputs: Int, _ outputs: Int, _ initialization: Initialization,
        _ seed: UInt64, to head: inout Head
    ) {
        var random = RandomNumbers(seed: seed, stream: Self.stream &+ UInt64(head.nodes.count))
        head.nodes.append(
            Node(
                name, stage: Stage.head, .dense(inputs: inputs, outputs: outputs, hasBias: true), inputs: [source]))
        head.weights["\(name).weight"] = initialization.tensor([outputs, inputs], for: activation, &random)
        head.weights["\(name).bias"] = Tensor(shape: [outputs], repeating: 0)
    }

    /// Apart from the streams that shuffle epochs.
    private static let stream: UInt64 = 1 << 41
}

/// The nodes of a network's last stage, with their tensors.
package struct Head: Sendable {
    package var nodes: [Node]
    package var weights: Weights

    init(nodes: [Node], weights: Weights) {
        self.nodes = nodes
        self.weights = weights
    }

    /// One dense layer.
    ///
    /// - Parameters:
    ///   - name: The layer's.
    ///   - source: The node that it reads.
    package init(_ dense: DenseHead, named name: String, reading source: String) {
        let shape = dense.weight.shape
        nodes = [
            Node(
                name, stage: Stage.head, .dense(inputs: shape[1], outputs: shape[0], hasBias: true), inputs: [source])
        ]
        weights = ["\(name).weight": dense.weight, "\(name).bias": dense.bias]
    }

    /// The last stage of a model.
    package init(of model: Model) {
        nodes = model.network.nodes.filter { $0.stage == Stage.head }
        let names = Set(nodes.map(\.name))
        weights = model.weights.filter { name, _ in names.contains(where: { name.hasPrefix("\($0).") }) }
    }

    /// The head on raw features that does what this one does on scaled ones.
    package func folding(_ scaling: FittedScaling) -> Head {
        guard let first = nodes.first, case .dense(_, let outputs, let hasBias) = first.operation,
            let weight = weights["\(first.name).weight"], let bias = weights["\(first.name).bias"]
        else { return self }
        var head = self
        let folded = scaling.folded(weight: weight, bias: bias)
        head.weights["\(first.name).weight"] = folded.weight
        head.weights["\(first.name).bias"] = folded.bias
        head.nodes[0].operation = .dense(inputs: folded.weight.shape[1], outputs: outputs, hasBias: hasBias)
        if scaling.normalizesRows { head.normalizeRows(before: first.name) }
        return head
    }

    private mutating func normalizeRows(before name: String) {
        guard let index = nodes.firstIndex(where: { $0.name == name }) else { return }
        let unit = Node("\(name).unit", stage: Stage.head, .rowNormalization, inputs: nodes[index].inputs)
        nodes[index].inputs = [unit.name]
        nodes.insert(unit, at: index)
    }
}
