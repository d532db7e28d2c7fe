// The sum of two images: forward and backward.

internal import CFinetuneDNNL

extension Lowering {
    /// A sum that no convolution takes in.
    mutating func lower(sumOf inputs: [Int], _ node: Node) throws {
        guard inputs.count == 2 else { throw EngineError.unsupported(node.name, "it adds \(inputs.count) inputs") }
        let channels = inputs.map { channelsOfValue[$0] }
        guard channels[0] == channels[1] else {
            throw EngineError.unsupported(node.name, "it adds \(channels[0]) and \(channels[1]) channels")
        }
        var last = node
        let activation = absorbActivation(after: &last)
        emit(
            last, .addition(inputs[1], activation: activation), inputs[0],
            isNonnegative: activation?.isNonnegative ?? false)
    }
}

extension CompiledProgram {
    /// `y = activation(a + b)`
    func compile(sumWith other: Int, _ activation: Activation?, _ step: Step) throws -> CompiledValue {
        for value in step.inputs { try makeFloats(value, step) }
        let (layout, _, _, _) = try image(step.input, step)
        return try combine(dnnl_binary_add, with: try reordered(other, to: layout, step), layout, activation, step)
    }

    /// The image that a step reads, combined with a second one of its shape or of one pixel.
    func combine(
        _ algorithm: dnnl_alg_kind_t, with second: ProgramBuilder.Operand, _ secondLayout: Layout,
        _ activation: Activation?, _ step: Step
    ) throws -> CompiledValue {
        let (layout, channels, height, width) = try image(step.input, step)
        let primitive = try Primitive.binary(
            library, algorithm, first: layout, second: secondLayout, destination: layout, activation: activation)
        let target = builder.newBuffer(layout.byteCount)
        try builder.add(
            step.name, primitive,
            [
                (DNNL_ARG_SRC_0, values[step.input].operand, layout), (DNNL_ARG_SRC_1, second, secondLayout),
                (DNNL_ARG_DST, target, layout),
            ])
        return CompiledValue(
            form: .image(layout, channels: channels, height: height, width: width), operand: target)
    }
}

extension CompiledTraining {
    /// `y = activation(a + b)`
    func compile(sumWith other: Int, _ activation: Activation?, _ step: Step) throws -> CompiledValue {
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
        return CompiledValue(
            form: values[step.input].form, operand: y,
            needsGradient: values[step.input].needsGradient || values[other].needsGradient)
    }
}
