// Convolutions, with the batch norm, the addition and the activation that are fused with them: forward and backward.

internal import CFinetuneDNNL

extension CompiledTraining {
    /// `y = activation(conv(x, w') + b' + residual)`.
    func compile(_ convolution: FoldedConvolution, residual: Int?, _ activation: Activation?, _ step: Step) throws
        -> CompiledValue
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
        let packed = try filterSet.packed(shapes.filters, weightLayout)
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
            let pass = ConvolutionPass(
                step: step, kernels: kernels, products: try kernels.products(), filters: filterSet, shapes: shapes,
                x: x, sourceLayout: sourceLayout, dy: dy.operand, layout: layout)
            if let parameters = filterSet.parameters {
                let db = builder.newFixed(filters * 4)
                let dw = ProgramBuilder.Operand.fixed(UnsafeMutableRawPointer(parameters.weightGradient))
                try addFilterGradient(pass, filters: dw, bias: db)
                builder.addLoop([db]) { parameters.unfold(bias: $0[0].floats) }
                for node in convolution.sourceNodes { gradientsAreReady(node) }
                if activation == .relu, case .fixed(let address) = db { addUnits(step.name, filters, address.floats) }
            }
            if needsInput { try contribute(try addInputGradient(pass), sourceLayout, to: step.input, step) }
            if let residual { try contribute(dy.operand, layout, isShared: dy.isShared, to: residual, step) }
        }
        return CompiledValue(
            form: .image(layout, channels: filters, height: size.height, width: size.width), operand: y,
            needsGradient: needsInput || needsResidual || filterSet.learns)
    }

    /// What the way back of one convolution is made of.
    private struct ConvolutionPass {
        let step: Step
        let kernels: ConvolutionKernels
        let products: ConvolutionProducts?
        let filters: Filters
        let shapes: FoldedConvolution.Shapes
        let x: ProgramBuilder.Operand
        let sourceLayout: Layout
        /// The gradient by the sum, before the activation.
        let dy: ProgramBuilder.Operand
        let layout: Layout
    }

    /// Adds what computes the gradients by the filters, as those are kept, and by the bias.
    private func addFilterGradient(
        _ pass: ConvolutionPass, filters: ProgramBuilder.Operand, bias: ProgramBuilder.Operand
    ) throws {
        let name = pass.step.name
        if let product = pass.products?.filters {
            try product.add(to: builder, name, x: pass.x, dy: pass.dy, filters: filters, bias: bias)
            return
        }
        let primitive = try pass.kernels.backwardWeights()
        let gradientLayout = try primitive.layout(dnnl_query_diff_weights_md)
        let packed = builder.newBuffer(gradientLayout.byteCount)
        try builder.add(
            name, primitive,
            [
                (DNNL_ARG_SRC, pass.x, pass.sourceLayout), (DNNL_ARG_DIFF_DST, pass.dy, pass.layout),
                (DNNL_ARG_DIFF_WEIGHTS, packed, gradientLayout),
                (DNNL_ARG_DIFF_BIAS, bias, try pass.shapes.bias()),
            ])
        _ = try builder.copied(name, packed, gradientLayout, to: try pass.shapes.kept(dnnl_f32), at: filters)
    }

    /// Adds what computes the gradient by the input, and returns where it is, in the input's layout.
    private func addInputGradient(_ pass: ConvolutionPass) throws -> ProgramBuilder.Operand {
        let dx = builder.newBuffer(pass.sourceLayout.byteCount)
        if let product = pass.products?.input {
            let packed = try pass.filters.packed(product.shape, product.filterLayout)
            try product.add(to: builder, pass.step.name, dy: pass.dy, packed, dx: dx)
            return dx
        }
        let primitive = try pass.kernels.backwardData()
        let weightLayout = try primitive.layout(dnnl_query_weights_md)
        let packed = try pass.filters.packed(pass.shapes.filters, weightLayout)
        try builder.add(
            pass.step.name, primitive,
            [
                (DNNL_ARG_DIFF_DST, pass.dy, pass.layout), (DNNL_ARG_WEIGHTS, packed, weightLayout),
                (DNNL_ARG_DIFF_SRC, dx, pass.sourceLayout),
            ])
        return dx
    }

    /// A convolution's filters: constants, or what the parameters say at every step.
    private struct Filters {
        /// Nil where they are constants.
        let parameters: ConvolutionParameters?
        let learns: Bool
        let bias: ProgramBuilder.Operand
        /// The filters in a layout of the given dimensions.
        let packed: ([Int], Layout) throws -> ProgramBuilder.Operand
    }

    private func makeFilters(_ convolution: FoldedConvolution, _ shapes: FoldedConvolution.Shapes, _ step: Step)
        throws -> Filters
    {
        guard let parameters = parameters(of: convolution), learns(convolution) else {
            return Filters(
                parameters: nil, learns: false,
                bias: try builder.pack("\(step.name) bias", try shapes.bias(), try shapes.bias()) {
                    convolution.foldedBias()
                },
                packed: { [builder] dimensions, layout in
                    try builder.pack("\(step.name) filters", try Layout(dimensions, dnnl_f32, .plain), layout) {
                        convolution.foldedWeight()
                    }
                })
        }
        let bias = builder.newFixed(convolution.filters * 4)
        let type = parameters.folds ? precision.dataType : dnnl_f32
        let factors = builder.newBuffer(convolution.filters * 4)
        builder.addLoop([factors, bias]) { parameters.fold(factors: $0[0].floats, bias: $0[1].floats) }
        var folded = ProgramBuilder.Operand.fixed(UnsafeMutableRawPointer(parameters.weight))
        if parameters.folds {
            folded = try builder.scaled(
                step.name, folded, try shapes.kept(dnnl_f32), to: try shapes.kept(type), by: factors,
                count: convolution.filters, areGrouped: !shapes.isWhole)
        }
        return Filters(
            parameters: parameters, learns: true, bias: bias,
            packed: { [builder, folded] dimensions, layout in
                let kept = try Layout(dimensions, type, dimensions.count == 2 ? .plain : .channelsLast)
                return try builder.reordered(step.name, folded, kept, to: layout)
            })
    }

    private func learns(_ convolution: FoldedConvolution) -> Bool {
        convolution.sourceNodes.contains { !parameters.learning(of: $0).isEmpty }
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
