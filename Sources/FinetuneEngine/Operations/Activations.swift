// Element-wise functions, with the numbers of `torch.nn`: forward and backward.

internal import CFinetuneDNNL
internal import Glibc

extension Lowering {
    /// An activation that nothing before it takes in.
    mutating func lower(_ activation: Activation, _ node: Node, _ input: Int) {
        emit(node, .activation(activation), input, isNonnegative: activation.isNonnegative)
    }

    /// The activation that follows a step and reads nothing else, if that can compute it; it becomes part of the step.
    mutating func absorbActivation(after last: inout Node, only kind: Activation? = nil) -> Activation? {
        guard let next = soleReader(of: last), case .activation(let function) = next.operation,
            kind == nil || kind == function, canFuse(function)
        else { return nil }
        last = absorb(next)
        return function
    }

    /// Whether a step may compute a function of its result in place. A training needs its gradient, and what the step had
    /// before it is gone.
    private func canFuse(_ function: Activation) -> Bool {
        if case .training = purpose { function.gradientOfResult != nil } else { true }
    }
}

extension CompiledProgram {
    func compile(_ activation: Activation, _ step: Step) throws -> CompiledValue {
        try makeFloats(step.input, step)
        var result = values[step.input]
        switch result.form {
        case .rows(let count):
            let source = result.operand
            result.operand = builder.newBuffer(batch * count * 4)
            builder.addLoop([source, result.operand]) { [batch] addresses in
                RowKernels.apply(activation, addresses[0].floats, batch * count, into: addresses[1].floats)
            }
        case .image(let layout, _, _, _):
            for function in activation.functions {
                let target = builder.newBuffer(layout.byteCount)
                try builder.add(
                    step.name, try Primitive.elementwise(library, function, layout: layout),
                    [(DNNL_ARG_SRC, result.operand, layout), (DNNL_ARG_DST, target, layout)])
                result.operand = target
            }
        }
        return result
    }
}

extension CompiledTraining {
    /// The gradient by the argument of an activation that is part of a step, given the gradient by its result `y`.
    func backward(
        _ activation: Activation?, _ gradient: Gradient, y: ProgramBuilder.Operand, _ layout: Layout, _ step: Step
    ) throws -> Gradient {
        guard let activation else { return gradient }
        guard let kind = activation.gradientOfResult, let function = activation.functions.first else {
            preconditionFailure("\(activation) is no part of a step in a training")
        }
        let target = gradient.isShared ? builder.newBuffer(layout.byteCount) : gradient.operand
        try builder.add(
            step.name, try Primitive.elementwiseBackward(library, function, by: kind, layout: layout),
            [
                (DNNL_ARG_DST, y, layout), (DNNL_ARG_DIFF_DST, gradient.operand, layout),
                (DNNL_ARG_DIFF_SRC, target, layout),
            ])
        return Gradient(operand: target, isShared: false)
    }

    /// The gradient by the argument of an activation, function after function from the last.
    private func backward(
        _ activation: Activation, _ gradient: Gradient, arguments: [ProgramBuilder.Operand], _ layout: Layout,
        _ step: Step
    ) throws -> Gradient {
        var gradient = gradient
        for (function, argument) in zip(activation.functions, arguments).reversed() {
            let target = gradient.isShared ? builder.newBuffer(layout.byteCount) : gradient.operand
            try builder.add(
                step.name, try Primitive.elementwiseBackward(library, function, by: function.kind, layout: layout),
                [
                    (DNNL_ARG_SRC, argument, layout), (DNNL_ARG_DIFF_DST, gradient.operand, layout),
                    (DNNL_ARG_DIFF_SRC, target, layout),
                ])
            gradient = Gradient(operand: target, isShared: false)
        }
        return gradient
    }

    /// Counts rectified units of rows by the sum of their arguments' gradients over the batch, which is what a bias
    /// before them would get.
    private func countUnits(_ name: String, _ count: Int, _ gradient: ProgramBuilder.Operand) {
        let sums = builder.newFixed(count * 4)
        builder.addLoop([gradient, sums]) { [batch] addresses in
            RowKernels.sumRows(addresses[0].floats, rows: batch, columns: count, into: addresses[1].floats)
        }
        if case .fixed(let address) = sums { addUnits(name, count, address.floats) }
    }

    func compile(_ activation: Activation, _ step: Step) throws -> CompiledValue {
        let x = values[step.input].operand
        let form = values[step.input].form
        switch form {
        case .image(let layout, _, _, _):
            // What each function reads.
            var arguments: [ProgramBuilder.Operand] = []
            var y = x
            for function in activation.functions {
                arguments.append(y)
                let target = builder.newBuffer(layout.byteCount)
                try builder.add(
                    step.name,
                    try Primitive.elementwise(library, for: dnnl_forward_training, function, layout: layout),
                    [(DNNL_ARG_SRC, y, layout), (DNNL_ARG_DST, target, layout)])
                y = target
            }
            tape.append { [self, y, arguments] in
                guard let own = gradient(step.output) else { return }
                let dx =
                    activation.gradientOfResult != nil
                    ? try backward(activation, own, y: y, layout, step)
                    : try backward(activation, own, arguments: arguments, layout, step)
                try contribute(dx.operand, layout, isShared: dx.isShared, to: step.input, step)
            }
            return CompiledValue(form: form, operand: y, needsGradient: values[step.input].needsGradient)
        case .rows(let size):
            let count = batch * size
            let y = builder.newBuffer(count * 4)
            builder.addLoop([x, y]) { RowKernels.apply(activation, $0[0].floats, count, into: $0[1].floats) }
            tape.append { [self] in
                guard let dy = gradient(step.output) else { return }
                let dx = builder.newBuffer(count * 4)
                builder.addLoop([x, y, dy.operand, dx]) {
                    RowKernels.applyBackward(
                        activation, $0[0].floats, $0[1].floats, $0[2].floats, count, into: $0[3].floats)
                }
                if activation == .relu { countUnits(step.name, size, dx) }
                try contribute(dx, nil, to: step.input, step)
            }
            return CompiledValue(form: form, operand: y, needsGradient: values[step.input].needsGradient)
        }
    }
}

/// A function of every number of an image, as oneDNN has it.
struct ElementwiseFunction {
    var kind: dnnl_alg_kind_t
    var alpha: Float = 0
    var beta: Float = 0
}

extension Activation {
    /// The functions that it is made of, in the order in which they are applied.
    var functions: [ElementwiseFunction] {
        switch self {
        case .relu: [.init(kind: dnnl_eltwise_relu)]
        case .relu6: [.init(kind: dnnl_eltwise_clip_v2, alpha: 0, beta: 6)]
        case .leakyReLU: [.init(kind: dnnl_eltwise_relu, alpha: Self.leakySlope)]
        case .elu: [.init(kind: dnnl_eltwise_elu, alpha: 1)]
        case .selu:
            [
                .init(kind: dnnl_eltwise_elu, alpha: Float(Self.seluAlpha)),
                .init(kind: dnnl_eltwise_linear, alpha: Float(Self.seluScale)),
            ]
        case .gelu: [.init(kind: dnnl_eltwise_gelu_erf)]
        case .geluTanh: [.init(kind: dnnl_eltwise_gelu_tanh)]
        case .quickGELU: [.init(kind: dnnl_eltwise_swish, alpha: Self.quickFactor)]
        case .silu: [.init(kind: dnnl_eltwise_swish, alpha: 1)]
        // oneDNN 2 has these numbers whatever it is given.
        case .hardSwish: [.init(kind: dnnl_eltwise_hardswish, alpha: 1.0 / 6, beta: 0.5)]
        case .hardSigmoid:
            [
                .init(kind: dnnl_eltwise_linear, alpha: 1.0 / 6, beta: 0.5),
                .init(kind: dnnl_eltwise_clip_v2, alpha: 0, beta: 1),
            ]
        case .tanh: [.init(kind: dnnl_eltwise_tanh)]
        case .sigmoid: [.init(kind: dnnl_eltwise_logistic)]
        }
    }

    /// The function by which oneDNN tells the gradient from the result; nil where that takes the argument.
    var gradientOfResult: dnnl_alg_kind_t? {
        switch self {
        case .relu, .leakyReLU: dnnl_eltwise_relu_use_dst_for_bwd
        case .relu6: dnnl_eltwise_clip_v2_use_dst_for_bwd
        case .elu: dnnl_eltwise_elu_use_dst_for_bwd
        case .tanh: dnnl_eltwise_tanh_use_dst_for_bwd
        case .sigmoid: dnnl_eltwise_logistic_use_dst_for_bwd
        case .selu, .gelu, .geluTanh, .quickGELU, .silu, .hardSwish, .hardSigmoid: nil
        }
    }
}

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
        case .relu6: for index in 0..<count { y[index] = Float.minimum(Float.maximum(x[index], 0), 6) }
        case .leakyReLU:
            for index in 0..<count { y[index] = x[index] > 0 ? x[index] : Activation.leakySlope * x[index] }
        case .elu: for index in 0..<count { y[index] = x[index] > 0 ? x[index] : expm1(x[index]) }
        case .selu:
            let (scale, low) = (Float(Activation.seluScale), Float(Activation.seluScale * Activation.seluAlpha))
            for index in 0..<count { y[index] = x[index] > 0 ? scale * x[index] : low * expm1(x[index]) }
        case .gelu: for index in 0..<count { y[index] = x[index] * normalShare(x[index]) }
        case .geluTanh: for index in 0..<count { y[index] = x[index] * tanhShare(x[index]).value }
        case .quickGELU: for index in 0..<count { y[index] = x[index] * logistic(Activation.quickFactor * x[index]) }
        case .silu: for index in 0..<count { y[index] = x[index] * logistic(x[index]) }
        case .hardSwish: for index in 0..<count { y[index] = x[index] * hardShare(x[index]) }
        case .hardSigmoid: for index in 0..<count { y[index] = hardShare(x[index]) }
        case .tanh: for index in 0..<count { y[index] = Glibc.tanh(x[index]) }
        case .sigmoid: for index in 0..<count { y[index] = logistic(x[index]) }
        }
    }

    private static func applyBackwardPart(
        _ activation: Activation, _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
        _ count: Int, into dx: UnsafeMutablePointer<Float>
    ) {
        switch activation {
        case .relu: for index in 0..<count { dx[index] = y[index] > 0 ? dy[index] : 0 }
        case .relu6: for index in 0..<count { dx[index] = y[index] > 0 && y[index] < 6 ? dy[index] : 0 }
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
        case .geluTanh:
            for index in 0..<count {
                let share = tanhShare(x[index])
                dx[index] = dy[index] * (share.value + x[index] * share.slope)
            }
        case .quickGELU:
            for index in 0..<count { dx[index] = dy[index] * gatedSlope(x[index], Activation.quickFactor) }
        case .silu: for index in 0..<count { dx[index] = dy[index] * gatedSlope(x[index], 1) }
        case .hardSwish:
            for index in 0..<count {
                let x = x[index]
                dx[index] = dy[index] * (x <= -3 ? 0 : x < 3 ? (2 * x + 3) / 6 : 1)
            }
        case .hardSigmoid: for index in 0..<count { dx[index] = abs(x[index]) < 3 ? dy[index] / 6 : 0 }
        case .tanh: for index in 0..<count { dx[index] = dy[index] * (1 - y[index] * y[index]) }
        case .sigmoid: for index in 0..<count { dx[index] = dy[index] * y[index] * (1 - y[index]) }
        }
    }

    private static func logistic(_ x: Float) -> Float { 1 / (1 + exp(-x)) }

    /// `min(max(x + 3, 0), 6)/6`
    private static func hardShare(_ x: Float) -> Float { Float.minimum(Float.maximum(x + 3, 0), 6) / 6 }

    /// The derivative of `x·sigmoid(a·x)`.
    private static func gatedSlope(_ x: Float, _ factor: Float) -> Float {
        let share = logistic(factor * x)
        return share + factor * x * share * (1 - share)
    }

    /// `½·(1 + tanh(√(2/π)·(x + 0.044715·x³)))`, by which GELU's approximation multiplies, and its derivative.
    private static func tanhShare(_ x: Float) -> (value: Float, slope: Float) {
        let root = Float((2 / Double.pi).squareRoot())
        let t = Glibc.tanh(root * (x + 0.044715 * x * x * x))
        return (0.5 * (1 + t), 0.5 * (1 - t * t) * root * (1 + 3 * 0.044715 * x * x))
    }

    /// Φ(x), the share of a normal distribution below x.
    private static func normalShare(_ x: Float) -> Float { 0.5 * erfc(-x * Float(0.5.squareRoot())) }
}

extension Activation {
    /// Numbers that are worth a thread.
    fileprivate var grain: Int {
        switch self {
        case .relu, .relu6, .leakyReLU, .hardSwish, .hardSigmoid: 32768
        case .elu, .selu, .gelu, .geluTanh, .quickGELU, .silu, .tanh, .sigmoid: 2048
        }
    }
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
