// Operations that end in rows: pooling over the whole image, flattening, dense layers with dropout.

internal import CFinetuneDNNL

extension CompiledTraining {
    func compileGlobalAverage(_ step: Step) throws -> Value {
        let (layout, channels, height, width) = try image(step.input, step)
        let (plain, pixels) = (try channelsLast(step.input, step), height * width)
        let x = try builder.copied(step.name, values[step.input].operand, layout, to: plain)
        let y = builder.newBuffer(batch * channels * 4)
        builder.addLoop([x, y]) { [batch] addresses in
            RowKernels.means(
                addresses[0].floats, images: batch, pixels: pixels, channels: channels, into: addresses[1].floats)
        }
        tape.append { [self] in
            guard values[step.input].needsGradient, let dy = gradient(step.output) else { return }
            let dx = builder.newBuffer(plain.byteCount)
            builder.addLoop([dy.operand, dx]) { [batch] addresses in
                RowKernels.meansBackward(
                    addresses[0].floats, images: batch, pixels: pixels, channels: channels, into: addresses[1].floats)
            }
            try contribute(dx, plain, to: step.input, step)
        }
        return Value(form: .rows(channels), operand: y, needsGradient: values[step.input].needsGradient)
    }

    func compileFlatten(_ step: Step) throws -> Value {
        let (layout, channels, height, width) = try image(step.input, step)
        let plain = try channelsLast(step.input, step)
        let y = try builder.copied(step.name, values[step.input].operand, layout, to: plain)
        tape.append { [self] in
            guard values[step.input].needsGradient, let dy = gradient(step.output) else { return }
            try contribute(dy.operand, plain, isShared: dy.isShared, to: step.input, step)
        }
        return Value(
            form: .rows(channels * height * width), operand: y, needsGradient: values[step.input].needsGradient)
    }

    /// `y = x·Wᵀ + b`, `dW = dyᵀ·x`, `db = Σ dy`, `dx = dy·W`
    ///
    /// - Parameter drops: Whether dropout is applied to `x` first.
    func compileDense(_ step: Step, drops: Bool) throws -> Value {
        guard let weight = parameters["\(step.name).weight"] else {
            throw EngineError.missingTensor("\(step.name).weight")
        }
        let bias = parameters["\(step.name).bias"]
        let (outputs, inputs) = (weight.shape[0], weight.shape[1])
        let found = try rows(step.input, step)
        guard found == inputs else {
            throw EngineError.unsupported(step.name, "it reads \(inputs) features and is given \(found)")
        }
        var x = values[step.input].operand
        let rate = dropout
        if drops {
            let kept = builder.newBuffer(batch * inputs * 4)
            builder.addLoop([x, kept]) { [batch, feed] addresses in
                RowKernels.drop(
                    addresses[0].floats, batch * inputs, rate, key: feed.dropoutKey, into: addresses[1].floats)
            }
            x = kept
        }
        let y = builder.newBuffer(batch * outputs * 4)
        let w = parameters.values + weight.offset
        let b = bias.map { parameters.values + $0.offset }
        builder.addLoop([x, y]) { [batch] addresses in
            let y = addresses[1].floats
            for row in 0..<batch { for k in 0..<outputs { y[row * outputs + k] = b?[k] ?? 0 } }
            LinearAlgebra.multiply(
                addresses[0].floats, w, rows: batch, inner: inputs, columns: outputs, adding: 1, into: y)
        }

        let dw = gradients.values + weight.offset
        let db = bias.map { gradients.values + $0.offset }
        tape.append { [self] in
            guard let dy = gradient(step.output) else { return }
            builder.addLoop([x, dy.operand]) { [batch] addresses in
                let dy = addresses[1].floats
                LinearAlgebra.multiplyTransposed(
                    dy, addresses[0].floats, rows: batch, m: outputs, n: inputs, into: dw)
                if let db { RowKernels.sumRows(dy, rows: batch, columns: outputs, into: db) }
            }
            guard values[step.input].needsGradient else { return }
            let dx = builder.newBuffer(batch * inputs * 4)
            builder.addLoop([dy.operand, dx]) { [batch, feed] addresses in
                let dx = addresses[1].floats
                LinearAlgebra.multiplyPlain(
                    addresses[0].floats, w, rows: batch, inner: outputs, columns: inputs, into: dx)
                if drops { RowKernels.drop(dx, batch * inputs, rate, key: feed.dropoutKey, into: dx) }
            }
            try contribute(dx, nil, to: step.input, step)
        }
        return Value(
            form: .rows(outputs), operand: y,
            needsGradient: values[step.input].needsGradient || weight.learns || bias?.learns == true)
    }
}
