// Convolutions, with the batch norm, the addition and the activation that are fused with them: forward and backward.

internal import CFinetuneDNNL

extension CompiledTraining {
    /// `y = activation(conv(x, w') + b' + residual)`.
    func compile(_ convolution: FoldedConvolution, residual: Int?, _ activation: Activation?, _ step: Step) throws
        -> Value
    {
        let (_, channels, height, width) = try image(step.input, step)
        let size = try step.outputSize(convolution.window, height, width)
        let filters = convolution.filters
        let shapes = convolution.shapes(precision)
        let biasLayout = try shapes.bias()
        let needsInput = values[step.input].needsGradient
        let needsResidual = residual.map { values[$0].needsGradient } ?? false
        let kernels = try ConvolutionKernels(
            library, convolution, input: [batch, channels, height, width], precision,
            residual: try residual.map { try image($0, step).0 }, activation, learns: learns(convolution),
            needsInput: needsInput)
        let forward = kernels.forward
        let sourceLayout = try forward.layout(dnnl_query_src_md)
        let weightLayout = try forward.layout(dnnl_query_weights_md)
        let layout = try forward.layout(dnnl_query_dst_md)

        let x = try reordered(step.input, to: sourceLayout, step)
        let filterSet = try makeFilters(convolution, shapes, step)
        let packed = try filterSet.packed(weightLayout)
        var y = builder.newBuffer(layout.byteCount)
        var arguments = [
            (DNNL_ARG_SRC, x, sourceLayout), (DNNL_ARG_WEIGHTS, packed, weightLayout),
            (DNNL_ARG_BIAS, filterSet.bias, biasLayout),
        ]
        if let residual {
            let found = try image(residual, step).0
            if kernels.addsCopy {
                y = try builder.copied(step.name, values[residual].operand, found, to: layout)
            } else {
                let argument = DNNL_ARG_ATTR_MULTIPLE_POST_OP_BASE | DNNL_ARG_SRC_1
                arguments.append((argument, values[residual].operand, layout))
            }
        }
        try builder.add(step.name, forward, arguments + [(DNNL_ARG_DST, y, layout)])

        tape.append { [self] in
            guard let own = gradient(step.output) else { return }
            let dy = try backward(activation, own, y: y, layout, step)
            if let parameters = filterSet.parameters {
                let db = builder.newFixed(filters * 4)
                let primitive = try kernels.backwardWeights()
                let gradientLayout = try primitive.layout(dnnl_query_diff_weights_md)
                let packed = builder.newBuffer(gradientLayout.byteCount)
                try builder.add(
                    step.name, primitive,
                    [
                        (DNNL_ARG_SRC, x, sourceLayout), (DNNL_ARG_DIFF_DST, dy.operand, layout),
                        (DNNL_ARG_DIFF_WEIGHTS, packed, gradientLayout), (DNNL_ARG_DIFF_BIAS, db, biasLayout),
                    ])
                let plain = ProgramBuilder.Operand.fixed(UnsafeMutableRawPointer(parameters.weightGradient))
                _ = try builder.copied(step.name, packed, gradientLayout, to: try shapes.plain(), at: plain)
                builder.addLoop([db]) { parameters.unfold(bias: $0[0].floats) }
                for node in convolution.sourceNodes { gradientsAreReady(node) }
                if activation == .relu, case .fixed(let address) = db { addUnits(step.name, filters, address.floats) }
            }
            if needsInput {
                let primitive = try kernels.backwardData()
                let weightLayout = try primitive.layout(dnnl_query_weights_md)
                let dx = builder.newBuffer(sourceLayout.byteCount)
                try builder.add(
                    step.name, primitive,
                    [
                        (DNNL_ARG_DIFF_DST, dy.operand, layout),
                        (DNNL_ARG_WEIGHTS, try filterSet.packed(weightLayout), weightLayout),
                        (DNNL_ARG_DIFF_SRC, dx, sourceLayout),
                    ])
                try contribute(dx, sourceLayout, to: step.input, step)
            }
            if let residual { try contribute(dy.operand, layout, isShared: dy.isShared, to: residual, step) }
        }
        return Value(
            form: .image(layout, channels: filters, height: size.height, width: size.width), operand: y,
            needsGradient: needsInput || needsResidual || filterSet.learns)
    }

    /// A convolution's filters: constants, or what the parameters say at every step.
    private struct Filters {
        /// Nil where they are constants.
        let parameters: ConvolutionParameters?
        let learns: Bool
        let bias: ProgramBuilder.Operand
        /// The filters in a layout.
        let packed: (Layout) throws -> ProgramBuilder.Operand
    }

    private func makeFilters(_ convolution: FoldedConvolution, _ shapes: FoldedConvolution.Shapes, _ step: Step)
        throws -> Filters
    {
        let plain = try shapes.plain()
        guard let parameters = parameters(of: convolution), learns(convolution) else {
            return Filters(
                parameters: nil, learns: false,
                bias: try builder.pack("\(step.name) bias", try shapes.bias(), try shapes.bias()) {
                    convolution.foldedBias()
                },
                packed: { [builder] layout in
                    try builder.pack("\(step.name) filters", plain, layout) { convolution.foldedWeight() }
                })
        }
        let bias = builder.newFixed(convolution.filters * 4)
        var folded = ProgramBuilder.Operand.fixed(UnsafeMutableRawPointer(parameters.weight))
        if parameters.normalization != nil { folded = builder.newBuffer(plain.byteCount) }
        builder.addLoop([folded, bias]) { parameters.fold(into: $0[0].floats, bias: $0[1].floats) }
        return Filters(
            parameters: parameters, learns: true, bias: bias,
            packed: { [builder] in try builder.reordered(step.name, folded, plain, to: $0) })
    }

    private func learns(_ convolution: FoldedConvolution) -> Bool {
        convolution.sourceNodes.contains { node in
            ["weight", "bias"].contains { parameters["\(node).\($0)"]?.learns == true }
        }
    }

    private func parameters(of convolution: FoldedConvolution) -> ConvolutionParameters? {
        guard let source = convolution.source, let weight = parameters["\(source.convolution).weight"] else {
            return nil
        }
        let bias = parameters["\(source.convolution).bias"]
        var normalization: ConvolutionParameters.Normalization?
        if let (name, epsilon) = source.normalization, let gamma = parameters["\(name).weight"],
            let beta = parameters["\(name).bias"], let mean = statistics.address("\(name).running_mean"),
            let variance = statistics.address("\(name).running_var")
        {
            normalization = .init(
                gamma: parameters.values + gamma.offset, beta: parameters.values + beta.offset,
                gammaGradient: gradients.values + gamma.offset, betaGradient: gradients.values + beta.offset,
                mean: mean, variance: variance, epsilon: epsilon)
        }
        return ConvolutionParameters(
            filters: convolution.filters, size: weight.count / convolution.filters,
            weight: parameters.values + weight.offset, weightGradient: gradients.values + weight.offset,
            bias: bias.map { parameters.values + $0.offset }, biasGradient: bias.map { gradients.values + $0.offset },
            normalization: normalization)
    }
}

extension FoldedConvolution {
    /// The nodes whose parameters it is made of; none for constants.
    fileprivate var sourceNodes: [String] {
        source.map { [$0.convolution] + ($0.normalization.map { [$0.name] } ?? []) } ?? []
    }
}
