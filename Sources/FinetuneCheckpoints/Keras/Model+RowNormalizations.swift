// Batch norms on rows of features, which heads of Keras' models have: at inference they are part of a dense layer.

internal import FinetuneEngine
internal import FinetuneModels

extension Model {
    /// Puts batch norms on rows of features into the dense layers before or after them, in double precision; what
    /// stands between other layers stays.
    mutating func foldRowNormalizations() {
        let rows = network.rowNodes
        for node in network.nodes where rows.contains(node.name) {
            guard case .batchNormalization(let normalization) = node.operation, let input = node.inputs.first,
                let scale = weights[node.tensorName(.weight)]?.values,
                let offset = weights[node.tensorName(.bias)]?.values,
                let mean = weights[node.tensorName(.runningMean)]?.values,
                let variance = weights[node.tensorName(.runningVariance)]?.values
            else { continue }
            let factor = zip(scale, variance).map { Double($0) / (Double($1) + normalization.epsilon).squareRoot() }
            let move = zip(zip(offset, mean), factor).map { Double($0.0) - Double($0.1) * $1 }
            let readers = network.nodes.filter { $0.inputs.contains(node.name) }
            let before = network.nodes.first { $0.name == input }
            let isOnlyReader = network.nodes.count { $0.inputs.contains(input) } == 1
            if isOnlyReader, let before, foldBackward(before, factor, move) {
            } else if !readers.isEmpty, readers.allSatisfy({ $0.isDense }) {
                for reader in readers { foldForward(reader, factor, move) }
            } else {
                continue
            }
            network.nodes.removeAll { $0.name == node.name }
            for index in network.nodes.indices {
                network.nodes[index].inputs = network.nodes[index].inputs.map { $0 == node.name ? input : $0 }
            }
            for (name, _) in node.tensors { weights[name] = nil }
        }
    }

    /// `factor · (W x + b) + move`
    private mutating func foldBackward(_ node: Node, _ factor: [Double], _ move: [Double]) -> Bool {
        guard case .dense(let inputs, let outputs, _) = node.operation, outputs == factor.count,
            let weight = weights["\(node.name).weight"]?.values
        else { return false }
        let bias = weights["\(node.name).bias"]?.values ?? Array(repeating: 0, count: outputs)
        weights["\(node.name).weight"] = Tensor(
            shape: [outputs, inputs], values: weight.indices.map { Float(Double(weight[$0]) * factor[$0 / inputs]) })
        weights["\(node.name).bias"] = Tensor(
            shape: [outputs], values: bias.indices.map { Float(Double(bias[$0]) * factor[$0] + move[$0]) })
        setBias(of: node)
        return true
    }

    /// `W (factor · x + move) + b`
    private mutating func foldForward(_ node: Node, _ factor: [Double], _ move: [Double]) {
        guard case .dense(let inputs, let outputs, _) = node.operation, inputs == factor.count,
            let weight = weights["\(node.name).weight"]?.values
        else { return }
        let bias = weights["\(node.name).bias"]?.values ?? Array(repeating: 0, count: outputs)
        weights["\(node.name).weight"] = Tensor(
            shape: [outputs, inputs], values: weight.indices.map { Float(Double(weight[$0]) * factor[$0 % inputs]) })
        weights["\(node.name).bias"] = Tensor(
            shape: [outputs],
            values: bias.indices.map { row in
                let moved = (0..<inputs).reduce(0.0) { $0 + Double(weight[row * inputs + $1]) * move[$1] }
                return Float(Double(bias[row]) + moved)
            })
        setBias(of: node)
    }

    private mutating func setBias(of node: Node) {
        guard let index = network.nodes.firstIndex(where: { $0.name == node.name }),
            case .dense(let inputs, let outputs, _) = node.operation
        else { return }
        network.nodes[index].operation = .dense(inputs: inputs, outputs: outputs, hasBias: true)
    }
}

extension Node {
    fileprivate var isDense: Bool { if case .dense = operation { true } else { false } }
}
