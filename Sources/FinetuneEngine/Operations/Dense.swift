// Dense layers, with dropout of what they read: forward and backward.

extension CompiledProgram {
    func compileDense(weight: Tensor, bias: Tensor?, _ step: Step) throws -> CompiledValue {
        let count = try rows(step.input, step)
        guard count == weight.shape[1] else {
            throw EngineError.unsupported(step.name, "it reads \(weight.shape[1]) features and is given \(count)")
        }
        let outputs = weight.shape[0]
        let target = builder.newBuffer(batch * outputs * 4)
        builder.addLoop([values[step.input].operand, target]) { [batch] addresses in
            for image in 0..<batch {
                DenseLayer.forward(
                    addresses[0].floats + image * count, weight: weight, bias: bias,
                    into: addresses[1].floats + image * outputs)
            }
        }
        return CompiledValue(form: .rows(outputs), operand: target)
    }
}

extension CompiledTraining {
    /// `y = x·Wᵀ + b`, `dW = dyᵀ·x`, `db = Σ dy`, `dx = dy·W`
    ///
    /// Dropout, where there is some, is applied to `x` first.
    func compileDense(_ step: Step) throws -> CompiledValue {
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
        return CompiledValue(
            form: .rows(outputs), operand: y,
            needsGradient: values[step.input].needsGradient || weight.learns || bias?.learns == true)
    }
}
