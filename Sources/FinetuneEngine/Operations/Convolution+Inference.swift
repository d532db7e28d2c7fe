// Convolutions of a compiled program: on floats, by whichever algorithm multiplies least, or on 8-bit integers.

internal import CFinetuneDNNL

extension CompiledProgram {
    /// A convolution on floats.
    func compile(
        _ convolution: FoldedConvolution, residual: Int?, _ activation: Activation?, _ step: Step
    ) throws -> CompiledValue {
        for value in step.inputs { try makeFloats(value, step) }
        let (_, channels, height, width) = try image(step.input, step)
        let window = convolution.window
        let size = try step.outputSize(window, height, width)
        let filters = convolution.filters
        let shapes = convolution.shapes(precision)
        let post = PostOperations(addsDestination: residual != nil, activation: activation)
        func create(_ algorithm: dnnl_alg_kind_t, _ format: Layout.Format = .any) throws -> Primitive {
            try Primitive.convolution(
                library, algorithm: algorithm,
                source: Layout(
                    [batch, channels, height, width], precision.dataType, channels % 16 == 0 ? format : .any),
                weights: try shapes.packed(), bias: try shapes.bias(),
                destination: Layout([batch, filters, size.height, size.width], precision.dataType, format),
                window: window, edges: window.edges(height: height, width: width), post: post)
        }
        if convolution.suitsTransforms(precision, activation, height: size.height, width: size.width) {
            return try compileByTransforms(convolution, residual: residual, activation, step)
        }
        var primitive: Primitive?
        if convolution.suitsWinograd(precision, height: size.height, width: size.width) {
            primitive = try? create(dnnl_convolution_winograd)  // Not every processor has the kernel; direct is exact.
        }
        // Winograd's transforms, oneDNN's and ours, need blocks of channels. All convolutions have them, so that nothing is
        // reordered. oneDNN 3.7 would choose channels last for 1×1, which is slower by a fifth on AVX2.
        if primitive == nil, precision == .fp32 {
            primitive = (try? create(dnnl_convolution_direct, .blocked)).flatMap { $0.kernel.isReference ? nil : $0 }
        }
        let compiled = try primitive ?? create(dnnl_convolution_direct)
        let sourceLayout = try compiled.layout(dnnl_query_src_md)
        let weightLayout = try compiled.layout(dnnl_query_weights_md)
        let destination = try compiled.layout(dnnl_query_dst_md)

        let source = try reordered(step.input, to: sourceLayout, step)
        let weights = try builder.pack("\(step.name) filters", try shapes.plain(), weightLayout) {
            convolution.foldedWeight()
        }
        let bias = try pack(bias: convolution, shapes, step)
        let target =
            try residual.map { try accumulator($0, destination, step) }
            ?? builder.newBuffer(destination.byteCount)
        try builder.add(
            step.name, compiled,
            [
                (DNNL_ARG_SRC, source, sourceLayout), (DNNL_ARG_WEIGHTS, weights, weightLayout),
                (DNNL_ARG_BIAS, bias, try shapes.bias()), (DNNL_ARG_DST, target, destination),
            ])
        return CompiledValue(
            form: .image(destination, channels: filters, height: size.height, width: size.width), operand: target)
    }

    private func pack(bias convolution: FoldedConvolution, _ shapes: FoldedConvolution.Shapes, _ step: Step) throws
        -> ProgramBuilder.Operand
    {
        try builder.pack("\(step.name) bias", try shapes.bias(), try shapes.bias()) { convolution.foldedBias() }
    }

    /// A 3×3 convolution by `Winograd`. Each of its matrix products is a convolution of one pixel over an image that is
    /// as wide as there are tiles: oneDNN has its fastest kernel for that.
    private func compileByTransforms(
        _ convolution: FoldedConvolution, residual: Int?, _ activation: Activation?, _ step: Step
    ) throws -> CompiledValue {
        let (_, channels, height, width) = try image(step.input, step)
        let (window, filters) = (convolution.window, convolution.filters)
        let size = try step.outputSize(window, height, width)
        let winograd = Winograd(
            batch: batch, channels: channels, filters: filters, height: height, width: width,
            edges: window.edges(height: height, width: width), outputHeight: size.height, outputWidth: size.width)
        let points = winograd.points
        let source = try Layout([batch, channels, height, width], dnnl_f32, .blocked)
        let destination = try Layout([batch, filters, size.height, size.width], dnnl_f32, .blocked)
        let transformed = try Layout([1, channels, 1, winograd.tiles], dnnl_f32, .blocked)
        let multiplied = try Layout([1, filters, 1, winograd.tiles], dnnl_f32, .blocked)
        let matrix = [filters, channels, 1, 1]
        let vector = try Layout([filters], dnnl_f32, .plain)
        let product = try Primitive.convolution(
            library, algorithm: dnnl_convolution_direct, source: transformed,
            weights: try Layout(matrix, dnnl_f32, .any), bias: vector, destination: multiplied, window: Window(1, 1),
            edges: .none, post: PostOperations())
        let weightLayout = try product.layout(dnnl_query_weights_md)
        let weights = try builder.pack(
            "\(step.name) transformed filters", try Layout(matrix, dnnl_f32, .plain), weightLayout, count: points
        ) { winograd.transformed(convolution.foldedWeight()) }
        let noBias = try builder.pack("\(step.name) zeros", vector, vector) {
            Tensor(shape: [filters], repeating: 0)
        }
        let bias = try pack(bias: convolution, convolution.shapes(precision), step)

        let input = try reordered(step.input, to: source, step)
        let added = try residual.map { try reordered($0, to: destination, step) }
        let v = builder.newBuffer(transformed.byteCount * points)
        let m = builder.newBuffer(multiplied.byteCount * points)
        builder.addLoop([input, v]) { winograd.transformInput($0[0].floats, into: $0[1].floats) }
        for point in 0..<points {
            let arguments = [
                (DNNL_ARG_SRC, v.advanced(by: point * transformed.byteCount), transformed),
                (DNNL_ARG_WEIGHTS, weights.advanced(by: point * weightLayout.byteCount), weightLayout),
                (DNNL_ARG_BIAS, noBias, vector),
                (DNNL_ARG_DST, m.advanced(by: point * multiplied.byteCount), multiplied),
            ]
            if point == 0 {
                try builder.add(step.name, product, arguments)
            } else {
                try builder.addAgain(product, arguments)
            }
        }
        let target = builder.newBuffer(destination.byteCount)
        let slope = activation.map { $0 == .relu ? 0 : Activation.leakySlope } ?? 1
        builder.addLoop([m, bias, target] + [added].compactMap(\.self)) { addresses in
            winograd.transformOutput(
                addresses[0].floats, bias: addresses[1].floats,
                residual: addresses.count > 3 ? UnsafePointer(addresses[3].floats) : nil, slope: slope,
                into: addresses[2].floats)
        }
        return CompiledValue(
            form: .image(destination, channels: filters, height: size.height, width: size.width), operand: target)
    }

    // MARK: Integers

    /// A convolution whose sums are of 8-bit integers; nil where the plan has none or oneDNN no fast kernel.
    ///
    /// With source, filter f and result at the scales s, s_f and t, the integers are `y = (Σ + b/(s·s_f))·s·s_f/t`, to
    /// which a residual is added at its own scale, by t.
    func compileOnIntegers(
        _ convolution: FoldedConvolution, residual: Int?, _ activation: Activation?, _ step: Step
    ) throws -> CompiledValue? {
        guard let read = plan.source(of: step) else { return nil }
        let made = plan[step.output]
        // Integers are added to integers, floats to floats.
        let added = residual.flatMap { made == nil ? nil : plan[$0] }
        guard residual == nil || made == nil || added != nil else { return nil }
        let (_, channels, height, width) = try image(step.input, step)
        let (window, filters) = (convolution.window, convolution.filters)
        let size = try step.outputSize(window, height, width)
        let shapes = convolution.shapes(.int8)
        let weight = QuantizedFilters(convolution.foldedWeight(), hasWideSums: finetune_has_wide_integer_sums() != 0)
        let scale = made?.scale ?? 1
        let source = try Layout([batch, channels, height, width], read.dataType, .channelsLast)
        let resultShape = [batch, filters, size.height, size.width]
        let destination = try Layout(resultShape, made?.dataType ?? precision.dataType, .channelsLast)
        // Unsigned integers end at 0 as a ReLU does.
        var post = PostOperations(
            addsDestination: residual != nil, activation: made?.isSigned == false ? nil : activation)
        post.factors = .filters(
            weight.scales.map { read.scale * $0 / scale }, areGrouped: shapes.filters.count == 5)
        if let added {
            post.destinationFactor = added.scale / scale
            post.destinationType = added.dataType
        }
        guard
            let primitive = try? Primitive.convolution(
                library, algorithm: dnnl_convolution_direct, source: source, weights: try shapes.packed(dnnl_s8),
                bias: try shapes.bias(), destination: destination, window: window,
                edges: window.edges(height: height, width: width), post: post),
            !primitive.kernel.isReference
        else { return nil }

        try makeIntegers(step.input, read, step)
        let weightLayout = try primitive.layout(dnnl_query_weights_md)
        let weights = try builder.pack(
            "\(step.name) integers", integers: weight.integers, try Layout(shapes.filters, dnnl_s8, .plain),
            weightLayout)
        let bias = try builder.pack("\(step.name) scaled bias", try shapes.bias(), try shapes.bias()) {
            let bias = convolution.foldedBias()
            let values = zip(bias.values, weight.scales).map { $0 / (Factors.leaveBias ? scale : read.scale * $1) }
            return Tensor(shape: bias.shape, values: values)
        }
        let target: ProgramBuilder.Operand
        if let residual {
            if let added { try makeIntegers(residual, added, step) } else { try makeFloats(residual, step) }
            let type = added?.dataType ?? precision.dataType
            target = try accumulator(residual, try Layout(resultShape, type, .channelsLast), step)
        } else {
            target = builder.newBuffer(destination.byteCount)
        }
        try builder.add(
            step.name, primitive,
            [
                (DNNL_ARG_SRC, values[step.input].operand, source), (DNNL_ARG_WEIGHTS, weights, weightLayout),
                (DNNL_ARG_BIAS, bias, try shapes.bias()), (DNNL_ARG_DST, target, destination),
            ])
        return CompiledValue(
            form: .image(destination, channels: filters, height: size.height, width: size.width), operand: target,
            quantization: made)
    }

    /// The buffer that a convolution adds its result to: the residual's own where nobody reads it afterwards.
    private func accumulator(_ residual: Int, _ layout: Layout, _ step: Step) throws -> ProgramBuilder.Operand {
        let (found, _, _, _) = try image(residual, step)
        let value = values[residual]
        if found.equals(layout), isLast(step, toRead: residual), residual != step.input, case .buffer = value.operand {
            return value.operand
        }
        return try builder.copied(step.name, value.operand, found, to: layout)
    }
}

extension FoldedConvolution {
    /// The layouts of a convolution's filters and bias.
    struct Shapes {
        let filters: [Int]
        let count: Int
        let precision: Precision
        /// Whether every filter sees all channels.
        var isWhole: Bool { filters.count == 4 }

        /// As oneDNN likes them, in the program's precision or another type.
        func packed(_ type: dnnl_data_type_t? = nil) throws -> Layout {
            try Layout(filters, type ?? precision.dataType, .any)
        }
        /// As tensors are: floats, row-major.
        func plain() throws -> Layout { try Layout(filters, dnnl_f32, .plain) }
        /// As `ParameterMemory` keeps them.
        func kept(_ type: dnnl_data_type_t) throws -> Layout { try Layout(filters, type, .channelsLast) }
        func bias() throws -> Layout { try Layout([count], dnnl_f32, .plain) }
    }

    func shapes(_ precision: Precision) -> Shapes {
        let shape = [filters, weight.shape[1], window.height, window.width]
        return Shapes(
            filters: groups == 1 ? shape : [groups, filters / groups] + shape.dropFirst(), count: filters,
            precision: precision)
    }

    /// Whether oneDNN's Winograd kernel computes this convolution with fewer multiplications (Lavin and Gray 2016). Its
    /// rounding error is a few times that of the direct sum.
    ///
    /// Small images, where many filters meet few pixels, are left to the direct kernel: transformed filters take four
    /// times the memory there, for little.
    func suitsWinograd(_ precision: Precision, height: Int, width: Int) -> Bool {
        hasTransforms(precision) && height * width > 64 && inputChannels % 16 == 0 && filters % 16 == 0
    }

    /// Whether it is one that Winograd's transforms are for: 3×3, stride 1, in fp32, whole blocks of channels.
    func hasTransforms(_ precision: Precision) -> Bool {
        precision == .fp32 && groups == 1 && window.height == 3 && window.width == 3 && window.stride == 1
            && window.dilation == 1 && inputChannels % 8 == 0 && filters % 8 == 0
    }
}
