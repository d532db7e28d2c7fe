// Dropout: some inputs of a layer are taken away in training, and nothing is in inference.

internal import FinetuneFiles

/// How inputs of a dense layer are dropped.
package struct Dropout: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        /// What is kept is scaled by `1/(1 − rate)` (Srivastava et al. 2014): `torch.nn.Dropout`.
        case inverted
        /// What is dropped becomes SELU's lowest value, and all is brought back to mean 0 and variance 1 (Klambauer et
        /// al. 2017): `torch.nn.AlphaDropout`.
        case alpha
    }

    package let kind: Kind
    /// The share of inputs that is dropped, 0..<1.
    package let rate: Double

    package init(_ kind: Kind, rate: Double) {
        precondition((0..<1).contains(rate), "a share of \(rate) cannot be dropped")
        self.kind = kind
        self.rate = rate
    }

    /// `y = factor·x + offset` where an input is kept; `dropped` where it is not.
    var constants: (factor: Float, offset: Float, dropped: Float) {
        switch kind {
        case .inverted: return (Float(1 / (1 - rate)), 0, 0)
        case .alpha:
            let lowest = -Activation.seluScale * Activation.seluAlpha
            let factor = 1 / ((1 - rate) * (1 + rate * lowest * lowest)).squareRoot()
            let offset = -factor * lowest * rate
            return (Float(factor), Float(offset), Float(factor * lowest + offset))
        }
    }

    /// Drops inputs; the same key drops the same.
    ///
    /// - Parameter first: The number of the first input among those of the whole batch.
    func apply(
        _ x: UnsafePointer<Float>, _ count: Int, first: Int = 0, key: UInt64, into y: UnsafeMutablePointer<Float>
    ) {
        let constants = constants
        forEach(count, first: first, key: key) { index, isKept in
            y[index] = isKept ? constants.factor * x[index] + constants.offset : constants.dropped
        }
    }

    /// The gradient by the inputs, in the place of that by the result.
    func applyBackward(_ gradient: UnsafeMutablePointer<Float>, _ count: Int, first: Int = 0, key: UInt64) {
        let factor = constants.factor
        forEach(count, first: first, key: key) { index, isKept in
            gradient[index] = isKept ? factor * gradient[index] : 0
        }
    }

    private func forEach(_ count: Int, first: Int, key: UInt64, _ body: (Int, Bool) -> Void) {
        let threshold = UInt64(rate * 0x1p53)
        for index in 0..<count { body(index, RandomNumbers.number(first + index, key: key) >> 11 >= threshold) }
    }
}
