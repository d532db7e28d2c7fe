// Element-wise functions on rows of floats, with the numbers of `torch.nn`.

internal import Glibc

extension RowKernels {
    /// `y = f(x)`; they may be the same.
    static func apply(
        _ activation: Activation, _ x: UnsafePointer<Float>, _ count: Int, into y: UnsafeMutablePointer<Float>
    ) {
        ParallelLoop.run(count, grain: activation.grain) { range in
            let start = range.lowerBound
            applyPart(activation, x + start, range.count, into: y + start)
        }
    }

    /// The gradient by the argument `x` of an activation whose result was `y`; `dy` and `dx` may be the same.
    static func applyBackward(
        _ activation: Activation, _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
        _ count: Int, into dx: UnsafeMutablePointer<Float>
    ) {
        ParallelLoop.run(count, grain: activation.grain) { range in
            let start = range.lowerBound
            applyBackwardPart(activation, x + start, y + start, dy + start, range.count, into: dx + start)
        }
    }

    private static func applyPart(
        _ activation: Activation, _ x: UnsafePointer<Float>, _ count: Int, into y: UnsafeMutablePointer<Float>
    ) {
        switch activation {
        case .relu: for index in 0..<count { y[index] = Float.maximum(x[index], 0) }
        case .leakyReLU:
            for index in 0..<count { y[index] = x[index] > 0 ? x[index] : Activation.leakySlope * x[index] }
        case .elu: for index in 0..<count { y[index] = x[index] > 0 ? x[index] : expm1(x[index]) }
        case .selu:
            let (scale, low) = (Float(Activation.seluScale), Float(Activation.seluScale * Activation.seluAlpha))
            for index in 0..<count { y[index] = x[index] > 0 ? scale * x[index] : low * expm1(x[index]) }
        case .gelu: for index in 0..<count { y[index] = x[index] * normalShare(x[index]) }
        case .tanh: for index in 0..<count { y[index] = Glibc.tanh(x[index]) }
        case .sigmoid: for index in 0..<count { y[index] = 1 / (1 + exp(-x[index])) }
        }
    }

    private static func applyBackwardPart(
        _ activation: Activation, _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
        _ count: Int, into dx: UnsafeMutablePointer<Float>
    ) {
        switch activation {
        case .relu: for index in 0..<count { dx[index] = y[index] > 0 ? dy[index] : 0 }
        case .leakyReLU:
            for index in 0..<count { dx[index] = x[index] > 0 ? dy[index] : Activation.leakySlope * dy[index] }
        case .elu: for index in 0..<count { dx[index] = x[index] > 0 ? dy[index] : dy[index] * (y[index] + 1) }
        case .selu:
            let (scale, low) = (Float(Activation.seluScale), Float(Activation.seluScale * Activation.seluAlpha))
            for index in 0..<count { dx[index] = dy[index] * (x[index] > 0 ? scale : y[index] + low) }
        case .gelu:
            let peak = Float(1 / (2 * Double.pi).squareRoot())
            for index in 0..<count {
                let x = x[index]
                dx[index] = dy[index] * (normalShare(x) + x * peak * exp(-0.5 * x * x))
            }
        case .tanh: for index in 0..<count { dx[index] = dy[index] * (1 - y[index] * y[index]) }
        case .sigmoid: for index in 0..<count { dx[index] = dy[index] * y[index] * (1 - y[index]) }
        }
    }

    /// Φ(x), the share of a normal distribution below x.
    private static func normalShare(_ x: Float) -> Float { 0.5 * erfc(-x * Float(0.5.squareRoot())) }

    /// Each row divided by its Euclidean length, or by 10⁻¹² where that is shorter.
    static func normalize(
        _ x: UnsafePointer<Float>, rows: Int, columns: Int, into y: UnsafeMutablePointer<Float>
    ) {
        for row in 0..<rows {
            let (x, y) = (x + row * columns, y + row * columns)
            scale(x, by: 1 / length(x, columns), columns, into: y)
        }
    }

    /// `dx = (dy − y·(y·dy)) / ‖x‖`
    static func normalizeBackward(
        _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, rows: Int, columns: Int,
        into dx: UnsafeMutablePointer<Float>
    ) {
        for row in 0..<rows {
            let start = row * columns
            let (y, dy, dx) = (y + start, dy + start, dx + start)
            let (factor, along) = (1 / length(x + start, columns), Float(dot(y, dy, columns)))
            for column in 0..<columns { dx[column] = (dy[column] - y[column] * along) * factor }
        }
    }

    private static func length(_ x: UnsafePointer<Float>, _ count: Int) -> Float {
        Float(max((0..<count).reduce(0.0) { $0 + Double(x[$1]) * Double(x[$1]) }.squareRoot(), 1e-12))
    }
}

extension Activation {
    /// Numbers that are worth a thread.
    fileprivate var grain: Int { self == .relu || self == .leakyReLU ? 32768 : 2048 }
}

extension Activation {
    /// What the activation makes of some values, and the gradient by them.
    ///
    /// - Parameters:
    ///   - x: Any number of values.
    ///   - dy: The gradient by each result.
    package func gradient(_ x: [Float], _ dy: [Float]) -> (y: [Float], dx: [Float]) {
        precondition(x.count == dy.count, "\(x.count) values got \(dy.count) gradients")
        var y = x
        var dx = dy
        RowKernels.apply(self, x, x.count, into: &y)
        RowKernels.applyBackward(self, x, y, dy, x.count, into: &dx)
        return (y, dx)
    }
}
