// What every compiled program is made of: instructions in order, the buffers they touch, constants, one arena.
//
// Inference and training are compiled by walks that add instructions here; `bind` then gives everything its memory,
// once, and what is left is to run the instructions in order.

internal import CFinetuneDNNL

/// Collects the instructions of one program. Lives on the engine's thread.
final class ProgramBuilder {
    /// Where an instruction finds or leaves numbers.
    enum Operand {
        /// Memory of the arena, alive from the first to the last instruction that touches it.
        case buffer(Int)
        /// The program's input, wherever the caller has it.
        case input
        /// Memory that outlives the program's instructions.
        case fixed(UnsafeMutableRawPointer)
    }

    enum Instruction {
        case primitive(Primitive, [(argument: Int32, operand: Operand, layout: Layout)])
        /// A loop of our own, which is given the addresses of its operands.
        case loop([Operand], ([UnsafeMutableRawPointer]) -> Void)
    }

    let library: OneDNN
    let batch: Int
    /// Step and kernel of each compiled primitive, in order.
    private(set) var kernels: [(step: String, kernel: String)] = []
    private let inputMemory: Memory
    private var buffers: [BufferPlan.Buffer] = []
    private var instructions: [Instruction] = []
    private var retained: [AlignedBytes] = []

    /// - Parameter input: How the caller lays out the program's input.
    init(batch: Int, input: Layout) throws {
        library = try OneDNN()
        self.batch = batch
        inputMemory = try Memory(input, at: nil, library)
    }

    // MARK: Collecting

    func newBuffer(_ byteCount: Int) -> Operand {
        buffers.append(.init(byteCount: byteCount, firstUse: instructions.count, lastUse: instructions.count))
        return .buffer(buffers.count - 1)
    }

    /// Memory that lives as long as the program.
    func newFixed(_ byteCount: Int) -> Operand {
        let bytes = AlignedBytes(byteCount: byteCount)
        retained.append(bytes)
        return .fixed(bytes.address)
    }

    func add(
        _ step: String, _ primitive: Primitive, _ arguments: [(argument: Int32, operand: Operand, layout: Layout)]
    ) {
        for argument in arguments { touch(argument.operand) }
        kernels.append((step, primitive.kernel))
        instructions.append(.primitive(primitive, arguments))
    }

    func addLoop(_ operands: [Operand], _ body: @escaping ([UnsafeMutableRawPointer]) -> Void) {
        for operand in operands { touch(operand) }
        instructions.append(.loop(operands, body))
    }

    /// Adds a change of layout, and returns where the result is; nothing is added where the layouts are the same.
    func reordered(_ step: String, _ operand: Operand, _ from: Layout, to layout: Layout) throws -> Operand {
        from.equals(layout) ? operand : try copied(step, operand, from, to: layout)
    }

    /// Adds a copy, in another layout or the same.
    func copied(_ step: String, _ operand: Operand, _ from: Layout, to layout: Layout, at target: Operand? = nil)
        throws -> Operand
    {
        let target = target ?? newBuffer(layout.byteCount)
        add(
            step, try Primitive.reorder(library, from: from, to: layout),
            [(DNNL_ARG_FROM, operand, from), (DNNL_ARG_TO, target, layout)])
        return target
    }

    private func touch(_ operand: Operand) {
        if case .buffer(let index) = operand { buffers[index].lastUse = instructions.count }
    }

    /// Keeps a buffer's content until the program's end.
    func keep(_ operand: Operand) {
        if case .buffer(let index) = operand { buffers[index].lastUse = .max }
    }

    /// Puts a constant into the layout that a primitive wants, now.
    func pack(_ tensor: Tensor, _ from: Layout, _ to: Layout) throws -> Operand {
        let packed = AlignedBytes(byteCount: to.byteCount)
        try tensor.withUnsafeBufferPointer { values in
            let source = try Memory(from, at: UnsafeMutableRawPointer(mutating: values.baseAddress), library)
            let target = try Memory(to, at: packed.address, library)
            let primitive = try Primitive.reorder(library, from: from, to: to)
            let scratchpad = try primitive.layout(dnnl_query_scratchpad_md)
            let workspace = AlignedBytes(byteCount: scratchpad.byteCount)
            let scratch = try Memory(scratchpad, at: workspace.address, library)
            try primitive.run(
                [
                    dnnl_exec_arg_t(arg: DNNL_ARG_FROM, memory: source.handle),
                    dnnl_exec_arg_t(arg: DNNL_ARG_TO, memory: target.handle),
                    dnnl_exec_arg_t(arg: DNNL_ARG_SCRATCHPAD, memory: scratch.handle),
                ], library)
            dnnl_stream_wait(library.stream)
            withExtendedLifetime(workspace) {}
        }
        retained.append(packed)
        return .fixed(packed.address)
    }

    // MARK: Binding

    /// Gives every buffer its place in one arena and every instruction its memory.
    ///
    /// - Throws: `EngineError` where this machine has not enough memory.
    func bind() throws -> BoundProgram {
        var scratchpadBytes = 0
        for case .primitive(let primitive, _) in instructions {
            scratchpadBytes = max(scratchpadBytes, try primitive.layout(dnnl_query_scratchpad_md).byteCount)
        }
        let plan = BufferPlan(buffers)
        guard plan.byteCount + scratchpadBytes < Machine.physicalMemory else {
            throw EngineError.tooMuchMemory(plan.byteCount + scratchpadBytes)
        }
        let arena = AlignedBytes(byteCount: plan.byteCount)
        let scratchpad = AlignedBytes(byteCount: scratchpadBytes)
        var program = BoundProgram(
            input: inputMemory, arena: arena, offsets: plan.offsets, retained: retained + [arena, scratchpad])
        for instruction in instructions {
            switch instruction {
            case .primitive(let primitive, let arguments):
                var memories: [Memory] = []
                var bindings: [dnnl_exec_arg_t] = []
                for (argument, operand, layout) in arguments {
                    let memory =
                        if case .input = operand {
                            inputMemory
                        } else {
                            try Memory(layout, at: program.address(of: operand), library)
                        }
                    memories.append(memory)
                    bindings.append(dnnl_exec_arg_t(arg: argument, memory: memory.handle))
                }
                let scratch = try Memory(primitive.layout(dnnl_query_scratchpad_md), at: scratchpad.address, library)
                bindings.append(dnnl_exec_arg_t(arg: DNNL_ARG_SCRATCHPAD, memory: scratch.handle))
                program.instructions.append { [library, memories] in
                    try withExtendedLifetime((memories, scratch)) { try primitive.run(bindings, library) }
                }
            case .loop(let operands, let body):
                let addresses = operands.map(program.address)
                program.instructions.append { body(addresses) }
            }
        }
        return program
    }
}

/// A program whose every instruction knows its memory.
struct BoundProgram {
    fileprivate let input: Memory
    fileprivate let arena: AlignedBytes
    fileprivate let offsets: [Int]
    fileprivate let retained: [AlignedBytes]
    fileprivate var instructions: [() throws -> Void] = []

    fileprivate init(input: Memory, arena: AlignedBytes, offsets: [Int], retained: [AlignedBytes]) {
        (self.input, self.arena, self.offsets, self.retained) = (input, arena, offsets, retained)
    }

    /// Runs all instructions on an input of floats, channels last.
    func run(_ images: UnsafePointer<Float>) throws {
        input.point(to: UnsafeMutableRawPointer(mutating: images))
        for instruction in instructions { try instruction() }
    }

    func address(of operand: ProgramBuilder.Operand) -> UnsafeMutableRawPointer {
        switch operand {
        case .buffer(let index): arena.address + offsets[index]
        case .fixed(let address): address
        case .input: preconditionFailure("a loop reads the program's input where the caller has it")
        }
    }

    func floats(_ operand: ProgramBuilder.Operand) -> UnsafeMutablePointer<Float> {
        address(of: operand).assumingMemoryBound(to: Float.self)
    }
}

extension UnsafeMutableRawPointer {
    var floats: UnsafeMutablePointer<Float> { assumingMemoryBound(to: Float.self) }
}
