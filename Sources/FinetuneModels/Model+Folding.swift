// Batch norms as part of the convolutions before them, as deployed networks have them.

internal import FinetuneEngine

extension Model {
    /// The same network without the batch norms that follow a convolution alone: `γ·(w·x + b − μ)/σ + β` is a convolution
    /// with the filters `w·γ/σ` and the bias `(b − μ)·γ/σ + β`, computed in double precision.
    ///
    /// - Returns: Also how many batch norms became part of a convolution, and how many are left.
    package func folded() -> (model: Model, folded: Int, left: Int) {
        var model = self
        var count = 0
        for node in network.nodes {
            guard case .batchNormalization(let normalization) = node.operation, let source = node.inputs.first,
                let place = model.network.nodes.firstIndex(where: { $0.name == source }),
                case .convolution(var convolution) = model.network.nodes[place].operation,
                network.nodes.count(where: { $0.inputs.contains(source) }) == 1,
                let weight = weights["\(source).weight"], let gamma = weights[node.tensorName(.weight)],
                let beta = weights[node.tensorName(.bias)], let mean = weights[node.tensorName(.runningMean)],
                let variance = weights[node.tensorName(.runningVariance)]
            else { continue }
            convolution.hasBias = true
            model.network.nodes[place].operation = .convolution(convolution)
            (model.weights["\(source).weight"], model.weights["\(source).bias"]) = normalization.folded(
                into: weight, weights["\(source).bias"], gamma: gamma, beta: beta, mean: mean, variance: variance)
            for (name, _) in node.tensors { model.weights[name] = nil }
            model.network.nodes.removeAll { $0.name == node.name }
            for index in model.network.nodes.indices {
                model.network.nodes[index].inputs = model.network.nodes[index].inputs.map {
                    $0 == node.name ? source : $0
                }
            }
            if model.trainedPart?.boundary == node.name { model.trainedPart?.boundary = source }
            count += 1
        }
        // What was measured at the nodes of the other network does not fit this one.
        if count > 0 { model.quantization = nil }
        let left = model.network.nodes.count { if case .batchNormalization = $0.operation { true } else { false } }
        return (model, count, left)
    }
}
