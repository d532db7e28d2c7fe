// The largest number or the mean in a window: forward and backward.

internal import CFinetuneDNNL

extension CompiledProgram {
    func compile(pooling window: Window, _ algorithm: dnnl_alg_kind_t, _ step: Step) throws -> CompiledValue {
        // A mean of integers deserves more digits than theirs; the input of the whole program may still be fp32.
        if algorithm != dnnl_pooling_max { try makeFloats(step.input, step) }
        let (layout, channels, height, width) = try image(step.input, step)
        let quantization = values[step.input].quantization
        let type = quantization?.dataType ?? precision.dataType
        let size = try step.outputSize(window, height, width)
        let sourceLayout = step.input == 0 ? try Layout([batch, channels, height, width], type, .channelsLast) : layout
        let source = try reordered(step.input, to: sourceLayout, step)
        let wanted = try Layout(
            [batch, channels, size.height, size.width], type, quantization == nil ? .any : .channelsLast)
        let primitive = try Primitive.pooling(
            library, algorithm: algorithm, source: sourceLayout, destination: wanted, window: window,
            edges: window.edges(height: height, width: width))
        let destination = try primitive.layout(dnnl_query_dst_md)
        let target = builder.newBuffer(destination.byteCount)
        try builder.add(
            step.name, primitive, [(DNNL_ARG_SRC, source, sourceLayout), (DNNL_ARG_DST, target, destination)])
        return CompiledValue(
            form: .image(destination, channels: channels, height: size.height, width: size.width), operand: target,
            quantization: quantization)
    }
}

extension CompiledTraining {
    func compile(pooling window: Window, _ algorithm: dnnl_alg_kind_t, _ step: Step) throws -> CompiledValue {
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
        return CompiledValue(
            form: .image(destination, channels: channels, height: size.height, width: size.width), operand: y,
            needsGradient: values[step.input].needsGradient)
    }
}

extension Primitive {
    /// The mean over a window, with or without what lies outside the image.
    static func mean(countsPadding: Bool) -> dnnl_alg_kind_t {
        countsPadding ? dnnl_pooling_avg_include_padding : dnnl_pooling_avg_exclude_padding
    }
}

extension Step {
    /// The size of what a window makes of an image, checked.
    func outputSize(_ window: Window, _ height: Int, _ width: Int) throws -> (height: Int, width: Int) {
        let size = window.output(height: height, width: width)
        guard size.height > 0, size.width > 0 else {
            throw EngineError.tooSmall(name, height: height, width: width)
        }
        return size
    }
}
