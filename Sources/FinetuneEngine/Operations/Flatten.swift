// An image as one row, channels fastest: forward and backward.

internal import CFinetuneDNNL

extension CompiledProgram {
    func compileFlatten(_ step: Step) throws -> CompiledValue {
        try makeFloats(step.input, step)
        let (_, channels, height, width) = try image(step.input, step)
        return CompiledValue(
            form: .rows(channels * height * width), operand: try copiedChannelsLast(step.input, step))
    }
}

extension CompiledTraining {
    func compileFlatten(_ step: Step) throws -> CompiledValue {
        let (layout, channels, height, width) = try image(step.input, step)
        let plain = try channelsLast(step.input, step)
        let y = try builder.copied(step.name, values[step.input].operand, layout, to: plain)
        tape.append { [self] in
            guard values[step.input].needsGradient, let dy = gradient(step.output) else { return }
            try contribute(dy.operand, plain, isShared: dy.isShared, to: step.input, step)
        }
        return CompiledValue(
            form: .rows(channels * height * width), operand: y, needsGradient: values[step.input].needsGradient)
    }
}
