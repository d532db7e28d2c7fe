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
                let (weight, bias) = folded(convolution, source, normalization, node.name)
            else { continue }
            convolution.hasBias = true
            model.network.nodes[place].operation = .convolution(convolution)
            model.weights["\(source).weight"] = weight
            model.weights["\(source).bias"] = bias
            for role in ["weight", "bias", "running_mean", "running_var"] {
                model.weights["\(node.name).\(role)"] = nil
            }
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

    /// Filters and biases; nil where a tensor is missing.
    private func folded(
        _ convolution: Convolution, _ source: String, _ normalization: BatchNormalization, _ name: String
    ) -> (weight: Tensor, bias: Tensor)? {
        guard let weight = weights["\(source).weight"], let gamma = weights["\(name).weight"]?.values,
            let beta = weights["\(name).bias"]?.values, let mean = weights["\(name).running_mean"]?.values,
            let variance = weights["\(name).running_var"]?.values
        else { return nil }
        let old = weights["\(source).bias"]?.values
        let factors = gamma.indices.map {
            Double(gamma[$0]) / (Double(variance[$0]) + normalization.epsilon).squareRoot()
        }
        let size = weight.count / convolution.filters
        let filters = weight.values.enumerated().map { Float(Double($1) * factors[$0 / size]) }
        let biases = factors.indices.map { filter in
            Float((Double(old?[filter] ?? 0) - Double(mean[filter])) * factors[filter] + Double(beta[filter]))
        }
        return (Tensor(shape: weight.shape, values: filters), Tensor(shape: [convolution.filters], values: biases))
    }
}
