// Element-wise functions, with the numbers of `torch.nn`: forward and backward.

internal import CFinetuneDNNL
internal import Glibc

extension Lowering {
    /// An activation that nothing before it takes in.
    mutating func lower(_ activation: Activation, _ node: Node, _ input: Int) {
        emit(node, .activation(activation), input, isNonnegative: activation == .relu)
    }

    /// The activation that follows a step and reads nothing else, if that can compute it; it becomes part of the step.
    mutating func absorbActivation(after last: inout Node, only kind: Activation? = nil) -> Activation? {
        guard let next = soleReader(of: last), case .activation(let function) = next.operation,
            kind == nil || kind == function, function.algorithm != nil
        else { return nil }
        last = absorb(next)
        return function
    }
}

extension CompiledProgram {
    func compile(_ activation: Activation, _ step: Step) throws -> CompiledValue {
        try makeFloats(step.input, step)
        let source = values[step.input].operand
        var result = values[step.input]
        switch result.form {
        case .rows(let count):
            result.operand = builder.newBuffer(batch * count * 4)
            builder.addLoop([source, result.operand]) { [batch] addresses in
                RowKernels.apply(activation, addresses[0].floats, batch * count, into: addresses[1].floats)
            }
        case .image(let layout, let channels, let height, let width):
            guard activation.algorithm != nil else {
                let plain = try channelsLast(step.input, step)
                let (x, count) = (try copiedChannelsLast(step.input, step), batch * channels * height * width)
                builder.addLoop([x]) { RowKernels.apply(activation, $0[0].floats, count, into: $0[0].floats) }
                result.operand = try builder.reordered(step.name, x, plain, to: layout)
                return result
            }
            let primitive = try Primitive.activation(library, activation, layout: layout)
            result.operand = builder.newBuffer(layout.byteCount)
            try builder.add(
                step.name, primitive, [(DNNL_ARG_SRC, source, layout), (DNNL_ARG_DST, result.operand, layout)])
        }
        return result
    }
}

extension CompiledTraining {
    /// The gradient by an image activation's argument, given the gradient by its result `y`.
    func backward(
        _ activation: Activation?, _ gradient: Gradient, y: ProgramBuilder.Operand, _ layout: Layout, _ step: Step
    ) throws -> Gradient {
        guard let activation else { return gradient }
        let target = gradient.isShared ? builder.newBuffer(layout.byteCount) : gradient.operand
        try builder.add(
            step.name, try Primitive.activationBackward(library, activation, layout: layout),
            [
                (DNNL_ARG_DST, y, layout), (DNNL_ARG_DIFF_DST, gradient.operand, layout),
                (DNNL_ARG_DIFF_SRC, target, layout),
            ])
        return Gradient(operand: target, isShared: false)
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
        case .image(let layout, _, _, _) where activation.algorithm == nil:
            let plain = try channelsLast(step.input, step)
            let count = plain.byteCount / 4
            let argument = try builder.copied(step.name, x, layout, to: plain)
            let result = builder.newBuffer(plain.byteCount)
            builder.addLoop([argument, result]) {
                RowKernels.apply(activation, $0[0].floats, count, into: $0[1].floats)
            }
            tape.append { [self] in
                guard let own = gradient(step.output) else { return }
                let dx = try builder.copied(step.name, own.operand, layout, to: plain)
                builder.addLoop([argument, result, dx]) {
                    RowKernels.applyBackward(
                        activation, $0[0].floats, $0[1].floats, $0[2].floats, count, into: $0[2].floats)
                }
                try contribute(dx, plain, to: step.input, step)
            }
            let y = try builder.copied(step.name, result, plain, to: layout)
            return CompiledValue(form: form, operand: y, needsGradient: values[step.input].needsGradient)
        case .image(let layout, _, _, _):
            let y = builder.newBuffer(layout.byteCount)
            let forward = try Primitive.activation(library, for: dnnl_forward_training, activation, layout: layout)
            try builder.add(step.name, forward, [(DNNL_ARG_SRC, x, layout), (DNNL_ARG_DST, y, layout)])
            tape.append { [self] in
                guard let own = gradient(step.output) else { return }
                let dx = try backward(activation, own, y: y, layout, step)
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
