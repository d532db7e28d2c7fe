// Batch norms that stand alone in a training: forward and backward, over all ranks.

internal import CFinetuneDNNL
internal import FinetuneRanks

extension Lowering {
    /// A batch norm that no convolution takes in.
    mutating func lower(_ normalization: BatchNormalization, _ node: Node, _ input: Int) throws {
        let scaling = try scaling(normalization, node)
        guard case .training = purpose else { return try lowerConvolution(node, .scaling(scaling), input) }
        guard channelsOfValue[input] == normalization.channels else {
            throw EngineError.unsupported(
                node.name, "it reads \(normalization.channels) channels and is given \(channelsOfValue[input])")
        }
        var last = node
        let activation = absorbActivation(after: &last, only: .relu)
        emit(
            last, .batchNormalization(normalization, name: node.name, activation: activation), input,
            isNonnegative: activation?.isNonnegative ?? false)
    }
}

extension CompiledTraining {
    /// A batch norm that stands alone: by stored statistics, or by the batch's own, which then move the stored ones.
    func compile(_ normalization: BatchNormalization, _ name: String, _ activation: Activation?, _ step: Step) throws
        -> CompiledValue
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
        return CompiledValue(
            form: values[step.input].form, operand: y,
            needsGradient: values[step.input].needsGradient || gamma.learns || beta.learns)
    }

    // MARK: Statistics of all ranks, which the next layer waits for

    /// Computes the mean and the variance of the whole batch's channels, from those of each rank's images.
    func addStatisticsOverRanks(
        of x: ProgramBuilder.Operand, _ layout: Layout, _ channels: Int, _ mean: ProgramBuilder.Operand,
        _ variance: ProgramBuilder.Operand, _ scale: ProgramBuilder.Operand, _ shift: ProgramBuilder.Operand,
        _ step: Step
    ) throws {
        let row = try Layout([channels], dnnl_f32, .plain)
        let own = try Primitive.normalization(
            library, .init(usesStored: false, rectifies: false), epsilon: 1, layout: layout)
        try builder.add(
            step.name, own,
            [
                (DNNL_ARG_SRC, x, layout), (DNNL_ARG_SCALE, scale, row), (DNNL_ARG_SHIFT, shift, row),
                (DNNL_ARG_MEAN, mean, row), (DNNL_ARG_VARIANCE, variance, row),
                (DNNL_ARG_DST, builder.newBuffer(layout.byteCount), layout),
            ])
        builder.addLoop([mean, variance]) { [ranks] addresses in
            let (mean, variance) = (addresses[0].floats, addresses[1].floats)
            let all = ranks.gather(
                (0..<channels).map { Double(mean[$0]) } + (0..<channels).map { Double(variance[$0]) })
            for channel in 0..<channels {
                let whole = all.reduce(0) { $0 + $1[channel] } / Double(all.count)
                let square = all.reduce(0) { sum, rank in
                    let distance = rank[channel] - whole
                    return sum + rank[channels + channel] + distance * distance
                }
                mean[channel] = Float(whole)
                variance[channel] = Float(square / Double(all.count))
            }
        }
    }

    /// Adds to a gradient what goes through the statistics, which the kernel took for constants:
    /// `−γ/σ · (Σdy + x̂·Σ(dy·x̂)) / samples`, sums over the whole batch (Ioffe and Szegedy 2015).
    func addGradientOfStatistics(
        to dx: ProgramBuilder.Operand, _ x: ProgramBuilder.Operand, _ layout: Layout, _ mean: ProgramBuilder.Operand,
        _ variance: ProgramBuilder.Operand, epsilon: Double, samples: Int, _ gamma: ParameterMemory.Entry,
        _ beta: ParameterMemory.Entry, _ step: Step
    ) throws {
        let channels = gamma.count
        let row = try Layout([channels], dnnl_f32, .plain)
        let (scale, shift) = (builder.newFixed(channels * 4), builder.newFixed(channels * 4))
        let (parameters, gradients) = (parameters.values, gradients.values)
        builder.addLoop([variance, scale, shift]) { [ranks] addresses in
            let own = [gamma.offset, beta.offset].flatMap { offset in
                (0..<channels).map { Double(gradients[offset + $0]) }
            }
            let sums = ranks.sum(own)
            for channel in 0..<channels {
                let deviation = (Double(addresses[0].floats[channel]) + epsilon).squareRoot()
                let factor = -Double(parameters[gamma.offset + channel]) / deviation / Double(samples)
                addresses[1].floats[channel] = Float(factor * sums[channel])
                addresses[2].floats[channel] = Float(factor * sums[channels + channel])
            }
        }
        let addend = builder.newBuffer(layout.byteCount)
        let affine = try Primitive.normalization(
            library, .init(usesStored: true, rectifies: false), epsilon: epsilon, layout: layout)
        try builder.add(
            step.name, affine,
            [
                (DNNL_ARG_SRC, x, layout), (DNNL_ARG_SCALE, scale, row), (DNNL_ARG_SHIFT, shift, row),
                (DNNL_ARG_MEAN, mean, row), (DNNL_ARG_VARIANCE, variance, row), (DNNL_ARG_DST, addend, layout),
            ])
        let sum = try Primitive.binary(library, dnnl_binary_add, first: layout, second: layout, destination: layout)
        try builder.add(
            step.name, sum,
            [(DNNL_ARG_SRC_0, dx, layout), (DNNL_ARG_SRC_1, addend, layout), (DNNL_ARG_DST, dx, layout)])
    }
}
