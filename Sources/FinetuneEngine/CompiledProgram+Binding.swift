// The last step of compiling: instructions meet memory, all of it allocated here, once.

internal import CFinetuneDNNL

extension CompiledProgram {
    /// Gives every buffer its place in one arena and every instruction its memory; what is left is to run them in order.
    ///
    /// - Parameter output: The buffer that holds the result.
    func bind(_ output: Int) throws {
        buffers[output].lastUse = instructions.count
        var scratchpadBytes = 0
        for case .primitive(let primitive, _) in instructions {
            scratchpadBytes = max(scratchpadBytes, try primitive.layout(dnnl_query_scratchpad_md).byteCount)
        }
        let plan = BufferPlan(buffers)
        guard plan.byteCount + scratchpadBytes < AlignedBytes.physicalMemory else {
            throw EngineError.tooMuchMemory(plan.byteCount + scratchpadBytes)
        }
        arena = AlignedBytes(byteCount: plan.byteCount)
        let scratchpad = AlignedBytes(byteCount: scratchpadBytes)
        constants.append(scratchpad)
        func floats(_ buffer: Int) -> UnsafeMutablePointer<Float> {
            (arena.address + plan.offsets[buffer]).assumingMemoryBound(to: Float.self)
        }
        outputAddress = UnsafePointer(floats(output))
        for instruction in instructions {
            switch instruction {
            case .primitive(let primitive, let arguments):
                var memories: [Memory] = []
                var bindings: [dnnl_exec_arg_t] = []
                for (argument, operand, layout) in arguments {
                    let memory: Memory =
                        switch operand {
                        case .input: inputMemory
                        case .buffer(let buffer): try Memory(layout, at: arena.address + plan.offsets[buffer], library)
                        case .constant(let index): try Memory(layout, at: constants[index].address, library)
                        }
                    memories.append(memory)
                    bindings.append(dnnl_exec_arg_t(arg: argument, memory: memory.handle))
                }
                let scratch = try Memory(primitive.layout(dnnl_query_scratchpad_md), at: scratchpad.address, library)
                bindings.append(dnnl_exec_arg_t(arg: DNNL_ARG_SCRATCHPAD, memory: scratch.handle))
                bound.append { [library, memories] in
                    try withExtendedLifetime((memories, scratch)) { try primitive.run(bindings, library) }
                }
            case .average(let from, let to, let pixels, let channels):
                let (source, target) = (floats(from), floats(to))
                bound.append { [batch] in
                    for image in 0..<batch {
                        RowKernels.mean(
                            source + image * pixels * channels, pixels, channels, into: target + image * channels)
                    }
                }
            case .dense(let from, let to, let weight, let bias):
                let (source, target) = (floats(from), floats(to))
                bound.append { [batch] in
                    for image in 0..<batch {
                        DenseLayer.forward(
                            source + image * weight.shape[1], weight: weight, bias: bias,
                            into: target + image * weight.shape[0])
                    }
                }
            case .rowActivation(let activation, let from, let to, let count):
                let (source, target) = (floats(from), floats(to))
                bound.append { RowKernels.apply(activation, source, count, into: target) }
            }
        }
        instructions = []
    }
}
