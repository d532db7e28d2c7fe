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

    /// Writes `w·s`, where it folds, and `(b − μ)·s + β`.
    ///
    /// - Parameter isHalf: Whether folded filters are rounded to bfloat16; they are floats otherwise.
    func fold(into foldedWeight: UnsafeMutableRawPointer, isHalf: Bool, bias foldedBias: UnsafeMutablePointer<Float>) {
        guard let normalization else {
            for filter in 0..<filters { foldedBias[filter] = bias?[filter] ?? 0 }
            return
        }
        ParallelLoop.run(filters, grain: grain) { range in
            for filter in range {
                let factor = Double(normalization.gamma[filter]) * normalization.inverseDeviation(filter)
                let shift = Double(bias?[filter] ?? 0) - Double(normalization.mean[filter])
                foldedBias[filter] = Float(shift * factor + Double(normalization.beta[filter]))
                let (source, place) = (weight + filter * size, filter * size)
                if isHalf {
                    let halves = foldedWeight.assumingMemoryBound(to: UInt16.self)
                    RowKernels.scale(source, by: Float(factor), size, into: halves + place)
                } else {
                    RowKernels.scale(source, by: Float(factor), size, into: foldedWeight.floats + place)
                }
            }
        }
    }

    /// Turns the gradients of folded filters, which lie in `weightGradient`, and of the folded bias into those of
    /// every tensor.
    func unfold(bias foldedGradient: UnsafePointer<Float>) {
        guard let normalization else {
            if let biasGradient { biasGradient.update(from: foldedGradient, count: filters) }
            return
        }
        ParallelLoop.run(filters, grain: grain) { range in
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

    /// Filters that one thread takes at a time: some 16,000 numbers.
    private var grain: Int { max(1, 16384 / size) }
}
