// What every compiled program is made of: instructions in order, the buffers they touch, constants, one arena.
//
// Inference and training are compiled by walks that add instructions here; `bind` then gives everything its memory,
// once, and what is left is to run the instructions in order.

internal import CFinetuneDNNL
internal import Synchronization

/// Collects the instructions of one program. Lives on the engine's thread.
final class ProgramBuilder {
    /// Where an instruction finds or leaves numbers.
    enum Operand {
        /// Memory of the arena, alive from the first to the last instruction that touches it.
        case buffer(Int, offset: Int = 0)
        /// The program's input, wherever the caller has it.
        case input
        /// Memory that outlives the program's instructions.
        case fixed(UnsafeMutableRawPointer)

        /// What lies some bytes further on.
        func advanced(by byteCount: Int) -> Operand {
            switch self {
            case .buffer(let index, let offset): .buffer(index, offset: offset + byteCount)
            case .fixed(let address): .fixed(address + byteCount)
            case .input: preconditionFailure("nothing is known of what lies inside the program's input")
            }
        }
    }

    enum Instruction {
        case primitive(Primitive, [(argument: Int32, operand: Operand, layout: Layout)])
        /// A loop of our own, which is given the addresses of its operands.
        case loop([Operand], ([UnsafeMutableRawPointer]) -> Void)
    }

    let library: OneDNN
    let batch: Int
    /// The kernel of each compiled primitive, in order.
    private(set) var kernels: [ChosenKernel] = []
    private let constants: PackedConstants
    private let inputMemory: Memory
    private var buffers: [BufferPlan.Buffer] = []
    private var instructions: [Instruction] = []
    private var retained: [AlignedBytes] = []

    /// - Parameters:
    ///   - input: How the caller lays out the program's input.
    ///   - constants: What programs of the same network have packed already.
    init(batch: Int, input: Layout, sharing constants: PackedConstants = PackedConstants()) throws {
        library = try OneDNN()
        self.constants = constants
        self.batch = batch
        inputMemory = try Memory(input, at: nil, library)
    }

    // MARK: Collecting

    func newBuffer(_ byteCount: Int) -> Operand {
        buffers.append(.init(byteCount: byteCount, firstUse: instructions.count, lastUse: instructions.count))
        return .buffer(buffers.count - 1, offset: 0)
    }

    /// Memory that lives as long as the program.
    func newFixed(_ byteCount: Int) -> Operand {
        let bytes = AlignedBytes(byteCount: byteCount)
        retained.append(bytes)
        return .fixed(bytes.address)
    }

    func add(
        _ step: String, _ primitive: Primitive, _ arguments: [(argument: Int32, operand: Operand, layout: Layout)]
    ) throws {
        kernels.append(primitive.choice(for: step))
        try addAgain(primitive, arguments)
    }

    /// Adds a run of a primitive that is listed already.
    func addAgain(_ primitive: Primitive, _ arguments: [(argument: Int32, operand: Operand, layout: Layout)]) throws {
        var arguments = arguments
        if let factors = primitive.factors, let values = factors.values, let argument = factors.runArgument {
            let memory = AlignedBytes(byteCount: values.count * 4)
            memory.address.floats.update(from: values, count: values.count)
            retained.append(memory)
            arguments.append((argument, .fixed(memory.address), try Layout([values.count], dnnl_f32, .plain)))
        }
        for argument in arguments { touch(argument.operand) }
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
    ///
    /// - Parameter factor: By what every number is multiplied; nil leaves them as they are.
    func copied(
        _ step: String, _ operand: Operand, _ from: Layout, to layout: Layout, factor: Float? = nil,
        at target: Operand? = nil
    ) throws -> Operand {
        let target = target ?? newBuffer(layout.byteCount)
        try add(
            step, try Primitive.reorder(library, from: from, to: layout, factors: factor.map(Factors.reorder)),
            [(DNNL_ARG_FROM, operand, from), (DNNL_ARG_TO, target, layout)])
        return target
    }

    /// Adds a copy of filters, each of them multiplied by a factor that the program has computed.
    func scaled(
        _ step: String, _ filters: Operand, _ from: Layout, to layout: Layout, by factors: Operand, count: Int,
        areGrouped: Bool
    ) throws -> Operand {
        let target = newBuffer(layout.byteCount)
        let kind = Factors.reorderedFilters(areGrouped: areGrouped)
        var arguments = [(DNNL_ARG_FROM, filters, from), (DNNL_ARG_TO, target, layout)]
        if let argument = kind.runArgument {
            arguments.append((argument, factors, try Layout([count], dnnl_f32, .plain)))
        }
        try add(step, try Primitive.reorder(library, from: from, to: layout, factors: kind), arguments)
        return target
    }

    private func touch(_ operand: Operand) {
        if case .buffer(let index, _) = operand { buffers[index].lastUse = instructions.count }
    }

    /// Keeps a buffer's content until the program's end.
    func keep(_ operand: Operand) {
        if case .buffer(let index, _) = operand { buffers[index].lastUse = .max }
    }

    /// Puts a constant into the layout that a primitive wants, now. One that another program has packed alike is shared.
    ///
    /// - Parameters:
    ///   - name: Stands for the constant among those that are shared.
    ///   - count: How many constants of those layouts lie one behind the other, before and after.
    func pack(_ name: String, _ from: Layout, _ to: Layout, count: Int = 1, _ constant: () -> Tensor) throws -> Operand
    {
        try pack(name, to) {
            let tensor = constant()
            return try tensor.withUnsafeBufferPointer {
                try packed(UnsafeRawPointer($0.baseAddress), from, to, count: count)
            }
        }
    }

    /// `pack` for integers.
    func pack(_ name: String, integers: () -> [Int8], _ from: Layout, _ to: Layout) throws -> Operand {
        try pack(name, to) { try integers().withUnsafeBytes { try packed($0.baseAddress, from, to) } }
    }

    private func pack(_ name: String, _ layout: Layout, _ make: () throws -> AlignedBytes) throws -> Operand {
        let bytes = try constants.find(name, layout, make)
        retained.append(bytes)
        return .fixed(bytes.address)
    }

    private func packed(_ constants: UnsafeRawPointer?, _ from: Layout, _ to: Layout, count: Int = 1) throws
        -> AlignedBytes
    {
        let packed = AlignedBytes(byteCount: to.byteCount * count)
        let source = try Memory(from, at: UnsafeMutableRawPointer(mutating: constants), library)
        let target = try Memory(to, at: packed.address, library)
        let primitive = try Primitive.reorder(library, from: from, to: to)
        let scratchpad = try primitive.layout(dnnl_query_scratchpad_md)
        let workspace = AlignedBytes(byteCount: scratchpad.byteCount)
        let scratch = try Memory(scratchpad, at: workspace.address, library)
        for index in 0..<count {
            if let constants {
                source.point(to: UnsafeMutableRawPointer(mutating: constants + index * from.byteCount))
            }
            target.point(to: packed.address + index * to.byteCount)
            try primitive.run(
                [
                    dnnl_exec_arg_t(arg: DNNL_ARG_FROM, memory: source.handle),
                    dnnl_exec_arg_t(arg: DNNL_ARG_TO, memory: target.handle),
                    dnnl_exec_arg_t(arg: DNNL_ARG_SCRATCHPAD, memory: scratch.handle),
                ], library)
        }
        dnnl_stream_wait(library.stream)
        withExtendedLifetime(workspace) {}
        return packed
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

/// Filters as primitives want them, by name: programs of one network hold them once.
///
/// Programs that are compiled at once wait for each other here, and find what the other has packed. So that nobody's
/// processor is idle meanwhile, whoever packs leads as many threads as there are programs.
package final class PackedConstants: Sendable {
    private let constants = Mutex<[String: Constant]>([:])
    private let programs: Int

    private struct Constant: @unchecked Sendable {
        // Unchecked: neither is changed after it was made.
        let layout: Layout
        let bytes: AlignedBytes
    }

    /// - Parameter programs: How many are compiled at once, each by a thread of its own.
    package init(programs: Int = 1) { self.programs = programs }

    /// What is held under a name in a layout, or what `make` then makes.
    fileprivate func find(_ name: String, _ layout: Layout, _ make: () throws -> AlignedBytes) throws -> AlignedBytes {
        let constant = try constants.withLock { constants in
            if let found = constants[name], found.layout.equals(layout) { return found }
            let bytes = try programs > 1 ? ParallelLoop.withThreads(programs, make) : make()
            let made = Constant(layout: layout, bytes: bytes)
            constants[name] = made
            return made
        }
        return constant.bytes
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
        case .buffer(let index, let offset): arena.address + offsets[index] + offset
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

extension UnsafeMutablePointer<Float> {
    /// The same memory, which begins at a multiple of 32 bytes, as vectors.
    var lanes: UnsafeMutablePointer<SIMD8<Float>> {
        UnsafeMutableRawPointer(self).assumingMemoryBound(to: SIMD8<Float>.self)
    }
}
