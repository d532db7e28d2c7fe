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

    func compileRowNormalization(_ step: Step) throws -> Value {
        let (x, columns) = (values[step.input].operand, try rows(step.input, step))
        let y = builder.newBuffer(batch * columns * 4)
        builder.addLoop([x, y]) { [batch] addresses in
            RowKernels.normalize(addresses[0].floats, rows: batch, columns: columns, into: addresses[1].floats)
        }
        tape.append { [self] in
            guard values[step.input].needsGradient, let dy = gradient(step.output) else { return }
            let dx = builder.newBuffer(batch * columns * 4)
            builder.addLoop([x, y, dy.operand, dx]) { [batch] addresses in
                RowKernels.normalizeBackward(
                    addresses[0].floats, addresses[1].floats, addresses[2].floats, rows: batch, columns: columns,
                    into: addresses[3].floats)
            }
            try contribute(dx, nil, to: step.input, step)
        }
        return Value(form: .rows(columns), operand: y, needsGradient: values[step.input].needsGradient)
    }

    /// `y = x·Wᵀ + b`, `dW = dyᵀ·x`, `db = Σ dy`, `dx = dy·W`
    ///
    /// Dropout, where there is some, is applied to `x` first.
    func compileDense(_ step: Step) throws -> Value {
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
        let dropout = dropout[step.name]
        // Another sequence of random numbers for each layer.
        let stream = UInt64(step.output) &* 0xD1B5_4A32_D192_ED03
        if let dropout {
            let kept = builder.newBuffer(batch * inputs * 4)
            builder.addLoop([x, kept]) { [batch, feed] addresses in
                dropout.apply(
                    addresses[0].floats, batch * inputs, first: feed.firstRow * inputs, key: feed.dropoutKey ^ stream,
                    into: addresses[1].floats)
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
            gradientsAreReady(step.name)
            guard values[step.input].needsGradient else { return }
            let dx = builder.newBuffer(batch * inputs * 4)
            builder.addLoop([dy.operand, dx]) { [batch, feed] addresses in
                let dx = addresses[1].floats
                LinearAlgebra.multiplyPlain(
                    addresses[0].floats, w, rows: batch, inner: outputs, columns: inputs, into: dx)
                dropout?.applyBackward(
                    dx, batch * inputs, first: feed.firstRow * inputs, key: feed.dropoutKey ^ stream)
            }
            try contribute(dx, nil, to: step.input, step)
        }
        return Value(
            form: .rows(outputs), operand: y,
            needsGradient: values[step.input].needsGradient || weight.learns || bias?.learns == true)
    }
}
