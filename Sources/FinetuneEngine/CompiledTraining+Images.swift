// Operations on images other than convolutions: forward and backward.

internal import CFinetuneDNNL
internal import FinetuneRanks

extension CompiledTraining {
    /// A batch norm that stands alone: by stored statistics, or by the batch's own, which then move the stored ones.
    func compile(_ normalization: BatchNormalization, _ name: String, _ activation: Activation?, _ step: Step) throws
        -> Value
    {
        let (layout, channels, height, width) = try image(step.input, step)
        guard let gamma = parameters["\(name).weight"], let beta = parameters["\(name).bias"],
            let storedMean = statistics.address("\(name).running_mean"),
            let storedVariance = statistics.address("\(name).running_var")
        else { throw EngineError.missingTensor("\(name).weight") }
        let isLive = live.contains(name)
        // What the ranks found together is given to the kernel, as stored statistics are.
        let isShared = isLive && ranks.count > 1
        let samples = batch * height * width * ranks.count
        let mode = Primitive.NormalizationMode(usesStored: !isLive || isShared, rectifies: activation == .relu)
        let forward = try Primitive.normalization(library, mode, epsilon: normalization.epsilon, layout: layout)
        let row = try Layout([channels], dnnl_f32, .plain)
        func place(_ pointer: UnsafeMutablePointer<Float>) -> ProgramBuilder.Operand { .fixed(.init(pointer)) }
        let scale = place(parameters.values + gamma.offset)
        let shift = place(parameters.values + beta.offset)
        let mean = isLive ? builder.newFixed(channels * 4) : place(storedMean)
        let variance = isLive ? builder.newFixed(channels * 4) : place(storedVariance)
        let x = values[step.input].operand
        let y = builder.newBuffer(layout.byteCount)
        var marks: [(Int32, ProgramBuilder.Operand, Layout)] = []
        if mode.rectifies {
            let workspace = try forward.layout(dnnl_query_workspace_md)
            marks = [(DNNL_ARG_WORKSPACE, builder.newBuffer(workspace.byteCount), workspace)]
        }
        if isShared { try addStatisticsOverRanks(of: x, layout, channels, mean, variance, scale, shift, step) }
        try builder.add(
            step.name, forward,
            [
                (DNNL_ARG_SRC, x, layout), (DNNL_ARG_SCALE, scale, row), (DNNL_ARG_SHIFT, shift, row),
                (DNNL_ARG_MEAN, mean, row), (DNNL_ARG_VARIANCE, variance, row), (DNNL_ARG_DST, y, layout),
            ] + marks)
        if isLive {
            let kept = normalization.statisticsKept
            let correction =
                normalization.storesUnbiasedVariance && samples > 1 ? Double(samples) / Double(samples - 1) : 1
            builder.addLoop([mean, variance]) { addresses in
                RowKernels.mix(storedMean, kept, addresses[0].floats, 1 - kept, channels)
                RowKernels.mix(storedVariance, kept, addresses[1].floats, (1 - kept) * correction, channels)
            }
        }

        tape.append { [self] in
            guard let own = gradient(step.output) else { return }
            let primitive = try Primitive.normalizationBackward(
                library, of: forward, mode, epsilon: normalization.epsilon, layout: layout)
            let dx = own.isShared ? builder.newBuffer(layout.byteCount) : own.operand
            let biasGradient = gradients.values + beta.offset
            let shifts =
                finetune_normalization_backward_reads_shift() != 0 ? [(DNNL_ARG_SHIFT, shift, row)] : []
            try builder.add(
                step.name, primitive,
                [
                    (DNNL_ARG_SRC, x, layout), (DNNL_ARG_SCALE, scale, row),
                    (DNNL_ARG_MEAN, mean, row), (DNNL_ARG_VARIANCE, variance, row),
                    (DNNL_ARG_DIFF_DST, own.operand, layout),
                    (DNNL_ARG_DIFF_SRC, dx, layout), (DNNL_ARG_DIFF_SCALE, place(gradients.values + gamma.offset), row),
                    (DNNL_ARG_DIFF_SHIFT, place(biasGradient), row),
                ] + shifts + marks)
            if isShared {
                try addGradientOfStatistics(
                    to: dx, x, layout, mean, variance, epsilon: normalization.epsilon,
                    samples: samples, gamma, beta, step)
            }
            gradientsAreReady(name)
            if mode.rectifies { addUnits(step.name, channels, biasGradient) }
            try contribute(dx, layout, to: step.input, step)
        }
        return Value(
            form: values[step.input].form, operand: y,
            needsGradient: values[step.input].needsGradient || gamma.learns || beta.learns)
    }

    func compile(pooling window: Window, _ algorithm: dnnl_alg_kind_t, _ step: Step) throws -> Value {
        let (layout, channels, height, width) = try image(step.input, step)
        let size = try step.outputSize(window, height, width)
        let edges = window.edges(height: height, width: width)
        // The input of the whole program is still fp32.
        let sourceLayout =
            step.input == 0 ? try Layout([batch, channels, height, width], precision.dataType, .channelsLast) : layout
        let x = try reordered(step.input, to: sourceLayout, step)
        let forward = try Primitive.pooling(
            library, for: dnnl_forward_training, algorithm: algorithm, source: sourceLayout,
            destination: try Layout([batch, channels, size.height, size.width], precision.dataType, .any),
            window: window, edges: edges)
        let destination = try forward.layout(dnnl_query_dst_md)
        let y = builder.newBuffer(destination.byteCount)
        var marks: [(Int32, ProgramBuilder.Operand, Layout)] = []
        if algorithm == dnnl_pooling_max {
            let workspace = try forward.layout(dnnl_query_workspace_md)
            marks = [(DNNL_ARG_WORKSPACE, builder.newBuffer(workspace.byteCount), workspace)]
        }
        try builder.add(
            step.name, forward, [(DNNL_ARG_SRC, x, sourceLayout), (DNNL_ARG_DST, y, destination)] + marks)

        tape.append { [self] in
            guard values[step.input].needsGradient, let dy = gradient(step.output) else { return }
            let dx = builder.newBuffer(sourceLayout.byteCount)
            let primitive = try Primitive.poolingBackward(
                library, of: forward, algorithm: algorithm, source: sourceLayout, destination: destination,
                window: window, edges: edges)
            try builder.add(
                step.name, primitive,
                [(DNNL_ARG_DIFF_DST, dy.operand, destination), (DNNL_ARG_DIFF_SRC, dx, sourceLayout)] + marks)
            try contribute(dx, sourceLayout, to: step.input, step)
        }
        return Value(
            form: .image(destination, channels: channels, height: size.height, width: size.width), operand: y,
            needsGradient: values[step.input].needsGradient)
    }

    /// `y = activation(a + b)`
    func compile(sumWith other: Int, _ activation: Activation?, _ step: Step) throws -> Value {
        let (layout, _, _, _) = try image(step.input, step)
        let second = try reordered(other, to: layout, step)
        let y = builder.newBuffer(layout.byteCount)
        let primitive = try Primitive.binary(
            library, dnnl_binary_add, first: layout, second: layout, destination: layout, activation: activation)
        try builder.add(
            step.name, primitive,
            [
                (DNNL_ARG_SRC_0, values[step.input].operand, layout), (DNNL_ARG_SRC_1, second, layout),
                (DNNL_ARG_DST, y, layout),
            ])

        tape.append { [self] in
            guard let own = gradient(step.output) else { return }
            let dy = try backward(activation, own, y: y, layout, step)
            let isShared = dy.isShared || (values[step.input].needsGradient && values[other].needsGradient)
            try contribute(dy.operand, layout, isShared: isShared, to: step.input, step)
            try contribute(dy.operand, layout, isShared: isShared, to: other, step)
        }
        return Value(
            form: values[step.input].form, operand: y,
            needsGradient: values[step.input].needsGradient || values[other].needsGradient)
    }

    /// `y[c] = x[c]·s[c]`, `dx = dy·s`, `ds[c] = Σ dy·x`
    func compile(scalingBy other: Int, _ step: Step) throws -> Value {
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
        return Value(
            form: values[step.input].form, operand: y,
            needsGradient: values[step.input].needsGradient || values[other].needsGradient)
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

    func compile(_ activation: Activation, _ step: Step) throws -> Value {
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
            return Value(form: form, operand: y, needsGradient: values[step.input].needsGradient)
        case .image(let layout, _, _, _):
            let y = builder.newBuffer(layout.byteCount)
            let forward = try Primitive.activation(library, for: dnnl_forward_training, activation, layout: layout)
            try builder.add(step.name, forward, [(DNNL_ARG_SRC, x, layout), (DNNL_ARG_DST, y, layout)])
            tape.append { [self] in
                guard let own = gradient(step.output) else { return }
                let dx = try backward(activation, own, y: y, layout, step)
                try contribute(dx.operand, layout, isShared: dx.isShared, to: step.input, step)
            }
            return Value(form: form, operand: y, needsGradient: values[step.input].needsGradient)
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
            return Value(form: form, operand: y, needsGradient: values[step.input].needsGradient)
        }
    }
}
