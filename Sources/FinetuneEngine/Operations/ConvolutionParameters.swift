// The filters of a folded convolution while they learn: folded before each step, their gradients unfolded after it.
//
// With stored statistics a batch norm is y = (conv(x) + b − μ)·s + β, s = γ/√(σ² + ε), so that conv and batch norm
// together are one convolution with filters w·s and bias (b − μ)·s + β. The chain rule then gives every gradient from
// those of the folded filters w' and bias b' alone, with no pass over the images:
//
//     dw = dw'·s      db = db'·s      dβ = db'      dγ = (⟨dw', w⟩ + (b − μ)·db') / √(σ² + ε)

/// Addresses of one convolution's tensors, and the arithmetic between them.
struct ConvolutionParameters {
    let filters: Int
    /// Floats of one filter.
    let size: Int
    let weight: UnsafeMutablePointer<Float>
    let weightGradient: UnsafeMutablePointer<Float>
    let bias: UnsafeMutablePointer<Float>?
    let biasGradient: UnsafeMutablePointer<Float>?
    let normalization: Normalization?

    struct Normalization {
        let gamma, beta, gammaGradient, betaGradient: UnsafeMutablePointer<Float>
        let mean, variance: UnsafeMutablePointer<Float>
        let epsilon: Double

        func inverseDeviation(_ filter: Int) -> Double { 1 / (Double(variance[filter]) + epsilon).squareRoot() }
    }

    /// Whether folded filters are others than the weight.
    var folds: Bool { normalization != nil }

    /// Writes `s`, where it folds, and the folded bias `(b − μ)·s + β`.
    func fold(factors: UnsafeMutablePointer<Float>, bias foldedBias: UnsafeMutablePointer<Float>) {
        for filter in 0..<filters {
            guard let normalization else {
                foldedBias[filter] = bias?[filter] ?? 0
                continue
            }
            let factor = Double(normalization.gamma[filter]) * normalization.inverseDeviation(filter)
            let shift = Double(bias?[filter] ?? 0) - Double(normalization.mean[filter])
            foldedBias[filter] = Float(shift * factor + Double(normalization.beta[filter]))
            factors[filter] = Float(factor)
        }
    }

    /// Turns the gradients of folded filters, which lie in `weightGradient`, and of the folded bias into those of
    /// every tensor.
    func unfold(bias foldedGradient: UnsafePointer<Float>) {
        guard let normalization else {
            if let biasGradient { biasGradient.update(from: foldedGradient, count: filters) }
            return
        }
        // A thread takes some 16,000 numbers at a time.
        ParallelLoop.run(filters, grain: max(1, 16384 / size)) { range in
            for filter in range {
                let inverse = normalization.inverseDeviation(filter)
                let factor = Double(normalization.gamma[filter]) * inverse
                let slope = Double(foldedGradient[filter])
                let gradient = weightGradient + filter * size
                let product = RowKernels.dot(gradient, weight + filter * size, size)
                let shift = Double(bias?[filter] ?? 0) - Double(normalization.mean[filter])
                normalization.gammaGradient[filter] = Float((product + shift * slope) * inverse)
                normalization.betaGradient[filter] = foldedGradient[filter]
                biasGradient?[filter] = Float(slope * factor)
                RowKernels.scale(gradient, by: Float(factor), size, into: gradient)
            }
        }
    }
}
