// The channels of an image times a row of factors: forward and backward.

internal import CFinetuneDNNL

extension Lowering {
    mutating func lower(gate inputs: [Int], _ node: Node) throws {
        guard inputs.count == 2, channelsOfValue[inputs[1]] == channelsOfValue[inputs[0]] else {
            throw EngineError.unsupported(
                node.name, "it has no factor for each of \(channelsOfValue[inputs[0]]) channels")
        }
        emit(node, .channelScaling(inputs[1]), inputs[0])
    }
}

extension CompiledProgram {
    /// `y[c] = x[c]·s[c]`
    func compile(scalingBy other: Int, _ step: Step) throws -> CompiledValue {
        for value in step.inputs { try makeFloats(value, step) }
        let count = try rows(other, step)
        let given = try Layout([batch, count, 1, 1], dnnl_f32, .plain)
        let factors = try Layout([batch, count, 1, 1], precision.dataType, .plain)
        let second = try builder.reordered(step.name, values[other].operand, given, to: factors)
        return try combine(dnnl_binary_mul, with: second, factors, nil, step)
    }
}

extension CompiledTraining {
    /// `y[c] = x[c]·s[c]`, `dx = dy·s`, `ds[c] = Σ dy·x`
    func compile(scalingBy other: Int, _ step: Step) throws -> CompiledValue {
        let (layout, channels, height, width) = try image(step.input, step)
        guard try rows(other, step) == channels else {
            throw EngineError.unsupported(step.name, "it has no factor for each of \(channels) channels")
        }
        let given = try Layout([batch, channels, 1, 1], dnnl_f32, .plain)
        let factorLayout = try Layout([batch, channels, 1, 1], precision.dataType, .plain)
        let factors = try builder.reordered(step.name, values[other].operand, given, to: factorLayout)
        let x = values[step.input].operand
        func multiply(_ a: ProgramBuilder.Operand, into target: ProgramBuilder.Operand) throws {
            let primitive = try Primitive.binary(
                library, dnnl_binary_mul, first: layout, second: factorLayout, destination: layout)
            try builder.add(
                step.name, primitive,
                [(DNNL_ARG_SRC_0, a, layout), (DNNL_ARG_SRC_1, factors, factorLayout), (DNNL_ARG_DST, target, layout)])
        }
        let y = builder.newBuffer(layout.byteCount)
        try multiply(x, into: y)

        tape.append { [self] in
            guard let dy = gradient(step.output) else { return }
            if values[other].needsGradient {
                let plain = try channelsLast(step.input, step)
                let image = try builder.copied(step.name, x, layout, to: plain)
                let slope = try builder.copied(step.name, dy.operand, layout, to: plain)
                let ds = builder.newBuffer(batch * channels * 4)
                builder.addLoop([image, slope, ds]) { [batch] addresses in
                    RowKernels.productSums(
                        addresses[0].floats, addresses[1].floats, images: batch, pixels: height * width,
                        channels: channels, into: addresses[2].floats)
                }
                try contribute(ds, nil, to: other, step)
            }
            guard values[step.input].needsGradient else { return }
            let dx = dy.isShared ? builder.newBuffer(layout.byteCount) : dy.operand
            try multiply(dy.operand, into: dx)
            try contribute(dx, layout, to: step.input, step)
        }
        return CompiledValue(
            form: values[step.input].form, operand: y,
            needsGradient: values[step.input].needsGradient || values[other].needsGradient)
    }
}

extension RowKernels {
    /// For each image the sum over pixels of `a·b`, channels last.
    static func productSums(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, images: Int, pixels: Int, channels: Int,
        into y: UnsafeMutablePointer<Float>
    ) {
        for image in 0..<images {
            let y = y + image * channels
            y.update(repeating: 0, count: channels)
            for pixel in 0..<pixels {
                let start = (image * pixels + pixel) * channels
                for channel in 0..<channels { y[channel] += a[start + channel] * b[start + channel] }
            }
        }
    }
}
