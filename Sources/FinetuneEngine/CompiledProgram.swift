// A lowered network compiled for one batch size and image size: primitives, packed filters and one arena.
//
// Every layout is chosen by the convolution that wants it (blocked by channels as a rule); what follows takes it as
// it is, so that data is reordered only where two neighbours disagree. Filters are packed once, here.

internal import CFinetuneDNNL

/// What `InferenceProgram` runs. Lives on the engine's thread.
final class CompiledProgram {
    /// The shape of one image's result: `[features]`, or `[channels, height, width]`.
    private(set) var outputShape: [Int] = []
    /// Step and kernel of each compiled primitive, in order: what `doctor` and tests look at.
    private(set) var kernels: [(step: String, kernel: String)] = []
    let library: OneDNN
    let batch: Int
    private let precision: Precision
    let inputMemory: Memory
    private var values: [Value]
    var buffers: [BufferPlan.Buffer] = []
    var instructions: [Instruction] = []
    var constants: [AlignedBytes] = []
    var bound: [() throws -> Void] = []
    var arena = AlignedBytes(byteCount: 0)
    var outputAddress: UnsafePointer<Float>?

    /// Where a value is and what form it has.
    private struct Value {
        enum Form {
            case image(Layout, channels: Int, height: Int, width: Int)
            case rows(Int)
        }
        var form: Form
        /// Nil for the program's input, which lies wherever the caller has it.
        var buffer: Int?
        var lastStep: Int
    }

    enum Operand {
        case buffer(Int)
        case input
        case constant(Int)
    }

    enum Instruction {
        case primitive(Primitive, [(argument: Int32, operand: Operand, layout: Layout)])
        /// The mean over `pixels` of channels-last floats.
        case average(from: Int, to: Int, pixels: Int, channels: Int)
        case dense(from: Int, to: Int, weight: Tensor, bias: Tensor?)
        case rowActivation(Activation, from: Int, to: Int, count: Int)
    }

    init(_ lowering: Lowering, batch: Int, height: Int, width: Int, channels: Int, precision: Precision) throws {
        library = try OneDNN()
        self.batch = batch
        self.precision = precision
        let input = try Layout([batch, channels, height, width], dnnl_f32, .channelsLast)
        inputMemory = try Memory(input, at: nil, library)
        values = [
            Value(form: .image(input, channels: channels, height: height, width: width), buffer: nil, lastStep: -1)
        ]
        var lastStep: [Int: Int] = [:]
        for (index, step) in lowering.steps.enumerated() {
            lastStep[step.input] = index
            if case .convolution(_, let residual?, _) = step.kind { lastStep[residual] = index }
            switch step.kind {
            case .addition(let other), .channelScaling(let other): lastStep[other] = index
            default: break
            }
        }
        lastStep[lowering.result] = lowering.steps.count
        values[0].lastStep = lastStep[0] ?? -1
        for (index, step) in lowering.steps.enumerated() {
            let (form, buffer) = try compile(step, index)
            values.append(Value(form: form, buffer: buffer, lastStep: lastStep[step.output] ?? index))
        }
        let output = try plainResult(lowering.result)
        try bind(output)
    }

    // MARK: Running

    /// Runs the program on `batch` images of floats, channels last, and shows the result where it lies.
    func run(_ images: UnsafePointer<Float>) throws -> UnsafeBufferPointer<Float> {
        inputMemory.point(to: UnsafeMutableRawPointer(mutating: images))
        for instruction in bound { try instruction() }
        return UnsafeBufferPointer(start: outputAddress, count: batch * outputShape.reduce(1, *))
    }

    // MARK: Compiling

    private func compile(_ step: Step, _ index: Int) throws -> (Value.Form, Int) {
        switch step.kind {
        case .convolution(let convolution, let residual, let activation):
            return try compile(convolution, residual: residual, activation, step, index)
        case .maxPooling(let window):
            return try compile(pooling: window, dnnl_pooling_max, step)
        case .averagePooling(let window, let countsPadding):
            let algorithm =
                countsPadding ? dnnl_pooling_avg_include_padding : dnnl_pooling_avg_exclude_padding
            return try compile(pooling: window, algorithm, step)
        case .activation(let activation):
            return try compile(activation, step)
        case .addition(let other):
            let (layout, _, _, _) = try image(step.input, step)
            return try compile(dnnl_binary_add, with: try reordered(other, to: layout, step), layout, step)
        case .channelScaling(let other):
            let (count, rows) = try rowsOf(other, step)
            let given = try Layout([batch, count, 1, 1], dnnl_f32, .plain)
            let factors = try Layout([batch, count, 1, 1], precision.dataType, .plain)
            var second = Operand.buffer(rows)
            if !given.equals(factors) {
                second = .buffer(newBuffer(factors.byteCount))
                let primitive = try Primitive.reorder(library, from: given, to: factors)
                add(primitive, step, [(DNNL_ARG_FROM, .buffer(rows), given), (DNNL_ARG_TO, second, factors)])
            }
            return try compile(dnnl_binary_mul, with: second, factors, step)
        case .globalAverage:
            let (_, channels, height, width) = try image(step.input, step)
            let plain = try channelsLastBuffer(step.input, step)
            let buffer = newBuffer(batch * channels * 4)
            touch(plain)
            instructions.append(.average(from: plain, to: buffer, pixels: height * width, channels: channels))
            return (.rows(channels), buffer)
        case .flatten:
            let (_, channels, height, width) = try image(step.input, step)
            return (.rows(channels * height * width), try channelsLastBuffer(step.input, step))
        case .dense(let weight, let bias):
            let (rows, source) = try rowsOf(step.input, step)
            guard rows == weight.shape[1] else {
                throw EngineError.unsupported(
                    step.name, "it reads \(weight.shape[1]) features and is given \(rows)")
            }
            let buffer = newBuffer(batch * weight.shape[0] * 4)
            touch(source)
            instructions.append(.dense(from: source, to: buffer, weight: weight, bias: bias))
            return (.rows(weight.shape[0]), buffer)
        }
    }

    /// The image that a step reads, combined with a second one of its shape or of one pixel.
    private func compile(_ algorithm: dnnl_alg_kind_t, with second: Operand, _ secondLayout: Layout, _ step: Step)
        throws -> (Value.Form, Int)
    {
        let (layout, channels, height, width) = try image(step.input, step)
        let primitive = try Primitive.binary(
            library, algorithm, first: layout, second: secondLayout, destination: layout)
        let buffer = newBuffer(layout.byteCount)
        add(
            primitive, step,
            [
                (DNNL_ARG_SRC_0, operand(step.input), layout), (DNNL_ARG_SRC_1, second, secondLayout),
                (DNNL_ARG_DST, .buffer(buffer), layout),
            ])
        return (.image(layout, channels: channels, height: height, width: width), buffer)
    }

    private func compile(
        _ convolution: FoldedConvolution, residual: Int?, _ activation: Activation?, _ step: Step, _ index: Int
    ) throws -> (Value.Form, Int) {
        let (_, channels, height, width) = try image(step.input, step)
        let window = convolution.window
        let size = try outputSize(window, height, width, step)
        let groups = convolution.groups
        let type = precision.dataType
        let filters = convolution.filters
        let filterShape = [filters, channels / groups, window.height, window.width]
        let packedShape =
            groups == 1 ? filterShape : [groups, filters / groups] + filterShape.dropFirst()
        let anySource = try Layout([batch, channels, height, width], type, .any)
        let anyWeights = try Layout(packedShape, type, .any)
        let biasLayout = try Layout([filters], dnnl_f32, .plain)
        let anyDestination = try Layout([batch, filters, size.height, size.width], type, .any)
        let post = PostOperations(addsDestination: residual != nil, activation: activation)
        func create(_ algorithm: dnnl_alg_kind_t) throws -> Primitive {
            try Primitive.convolution(
                library, algorithm: algorithm, source: anySource, weights: anyWeights, bias: biasLayout,
                destination: anyDestination, window: window, edges: window.edges(height: height, width: width),
                post: post)
        }
        var primitive: Primitive?
        if convolution.suitsWinograd(precision, height: size.height, width: size.width) {
            primitive = try? create(dnnl_convolution_winograd)  // Not every processor has the kernel; direct is exact.
        }
        let compiled = try primitive ?? create(dnnl_convolution_direct)
        let sourceLayout = try compiled.layout(dnnl_query_src_md)
        let weightLayout = try compiled.layout(dnnl_query_weights_md)
        let destination = try compiled.layout(dnnl_query_dst_md)

        let source = try reordered(step.input, to: sourceLayout, step)
        let weights = try pack(
            convolution.foldedWeight(), try Layout(packedShape, dnnl_f32, .plain), weightLayout)
        let bias = try pack(convolution.foldedBias(), biasLayout, biasLayout)
        let buffer =
            try residual.map { try accumulator($0, destination, step, index) } ?? newBuffer(destination.byteCount)
        add(
            compiled, step,
            [
                (DNNL_ARG_SRC, source, sourceLayout), (DNNL_ARG_WEIGHTS, weights, weightLayout),
                (DNNL_ARG_BIAS, bias, biasLayout), (DNNL_ARG_DST, .buffer(buffer), destination),
            ])
        return (.image(destination, channels: filters, height: size.height, width: size.width), buffer)
    }

    private func compile(pooling window: Window, _ algorithm: dnnl_alg_kind_t, _ step: Step) throws -> (Value.Form, Int)
    {
        let (layout, channels, height, width) = try image(step.input, step)
        let size = try outputSize(window, height, width, step)
        // The input of the whole program may still be fp32.
        let sourceLayout =
            step.input == 0 ? try Layout([batch, channels, height, width], precision.dataType, .channelsLast) : layout
        let source = try reordered(step.input, to: sourceLayout, step)
        let any = try Layout([batch, channels, size.height, size.width], precision.dataType, .any)
        let primitive = try Primitive.pooling(
            library, algorithm: algorithm, source: sourceLayout, destination: any, window: window,
            edges: window.edges(height: height, width: width))
        let destination = try primitive.layout(dnnl_query_dst_md)
        let buffer = newBuffer(destination.byteCount)
        add(primitive, step, [(DNNL_ARG_SRC, source, sourceLayout), (DNNL_ARG_DST, .buffer(buffer), destination)])
        return (.image(destination, channels: channels, height: size.height, width: size.width), buffer)
    }

    private func compile(_ activation: Activation, _ step: Step) throws -> (Value.Form, Int) {
        if case .rows(let count) = values[step.input].form {
            let (_, source) = try rowsOf(step.input, step)
            let buffer = newBuffer(batch * count * 4)
            touch(source)
            instructions.append(.rowActivation(activation, from: source, to: buffer, count: batch * count))
            return (.rows(count), buffer)
        }
        let (layout, channels, height, width) = try image(step.input, step)
        let primitive = try Primitive.activation(library, activation, layout: layout)
        let buffer = newBuffer(layout.byteCount)
        add(
            primitive, step,
            [
                (DNNL_ARG_SRC, operand(step.input), layout), (DNNL_ARG_DST, .buffer(buffer), layout),
            ])
        return (.image(layout, channels: channels, height: height, width: width), buffer)
    }

    /// The buffer that a convolution adds its result to: the residual's own where nobody reads it afterwards.
    private func accumulator(_ residual: Int, _ layout: Layout, _ step: Step, _ index: Int) throws -> Int {
        let (found, _, _, _) = try image(residual, step)
        if found.equals(layout), values[residual].lastStep == index, residual != step.input,
            let buffer = values[residual].buffer
        {
            return buffer
        }
        let buffer = newBuffer(layout.byteCount)
        let primitive = try Primitive.reorder(library, from: found, to: layout)
        add(primitive, step, [(DNNL_ARG_FROM, operand(residual), found), (DNNL_ARG_TO, .buffer(buffer), layout)])
        return buffer
    }

    private func outputSize(_ window: Window, _ height: Int, _ width: Int, _ step: Step) throws -> (
        height: Int, width: Int
    ) {
        let size = window.output(height: height, width: width)
        guard size.height > 0, size.width > 0 else {
            throw EngineError.tooSmall(step.name, height: height, width: width)
        }
        return size
    }

    private func image(_ value: Int, _ step: Step) throws -> (Layout, channels: Int, height: Int, width: Int) {
        guard case .image(let layout, let channels, let height, let width) = values[value].form else {
            throw EngineError.unsupported(step.name, "it reads rows where an image is expected")
        }
        return (layout, channels, height, width)
    }

    private func rowsOf(_ value: Int, _ step: Step) throws -> (count: Int, buffer: Int) {
        guard case .rows(let count) = values[value].form, let buffer = values[value].buffer else {
            throw EngineError.unsupported(step.name, "it reads an image where rows are expected")
        }
        return (count, buffer)
    }

    private func operand(_ value: Int) -> Operand { values[value].buffer.map(Operand.buffer) ?? .input }

    /// The value in another layout; itself where it has that layout.
    private func reordered(_ value: Int, to layout: Layout, _ step: Step) throws -> Operand {
        let (found, _, _, _) = try image(value, step)
        if found.equals(layout) { return operand(value) }
        let buffer = newBuffer(layout.byteCount)
        let primitive = try Primitive.reorder(library, from: found, to: layout)
        add(primitive, step, [(DNNL_ARG_FROM, operand(value), found), (DNNL_ARG_TO, .buffer(buffer), layout)])
        return .buffer(buffer)
    }

    /// A buffer with the value as floats, channels last: what leaves the blocked layouts does so in full precision.
    private func channelsLastBuffer(_ value: Int, _ step: Step) throws -> Int {
        let (found, channels, height, width) = try image(value, step)
        let layout = try Layout([batch, channels, height, width], dnnl_f32, .channelsLast)
        let buffer = newBuffer(layout.byteCount)
        let primitive = try Primitive.reorder(library, from: found, to: layout)
        add(primitive, step, [(DNNL_ARG_FROM, operand(value), found), (DNNL_ARG_TO, .buffer(buffer), layout)])
        return buffer
    }

    /// The buffer of the result as plain floats.
    private func plainResult(_ value: Int) throws -> Int {
        switch values[value].form {
        case .rows(let count):
            outputShape = [count]
            return try rowsOf(value, Step(name: "result", kind: .flatten, input: value, output: value)).buffer
        case .image(let found, let channels, let height, let width):
            outputShape = [channels, height, width]
            let layout = try Layout([batch, channels, height, width], dnnl_f32, .plain)
            let buffer = newBuffer(layout.byteCount)
            let primitive = try Primitive.reorder(library, from: found, to: layout)
            let step = Step(name: "result", kind: .flatten, input: value, output: value)
            add(primitive, step, [(DNNL_ARG_FROM, operand(value), found), (DNNL_ARG_TO, .buffer(buffer), layout)])
            return buffer
        }
    }

    /// Puts a constant into the layout that a primitive wants.
    private func pack(_ tensor: Tensor, _ from: Layout, _ to: Layout) throws -> Operand {
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
        constants.append(packed)
        return .constant(constants.count - 1)
    }

    private func newBuffer(_ byteCount: Int) -> Int {
        buffers.append(.init(byteCount: byteCount, firstUse: instructions.count, lastUse: instructions.count))
        return buffers.count - 1
    }

    private func touch(_ buffer: Int) { buffers[buffer].lastUse = instructions.count }

    private func add(
        _ primitive: Primitive, _ step: Step, _ arguments: [(argument: Int32, operand: Operand, layout: Layout)]
    ) {
        for case (_, .buffer(let buffer), _) in arguments { touch(buffer) }
        kernels.append((step.name, primitive.kernel))
        instructions.append(.primitive(primitive, arguments))
    }
}

extension FoldedConvolution {
    /// Whether the Winograd transform computes this convolution with fewer multiplications: 3×3, stride 1, in fp32,
    /// whole blocks of channels (Lavin and Gray 2016). Its rounding error is a few times that of the direct sum.
    ///
    /// Small images, where many filters meet few pixels, are left to the direct kernel: transformed filters take four
    /// times the memory there, for little.
    fileprivate func suitsWinograd(_ precision: Precision, height: Int, width: Int) -> Bool {
        precision == .fp32 && groups == 1 && height * width > 64 && window.height == 3 && window.width == 3
            && window.stride == 1
            && window.dilation == 1 && inputChannels % 16 == 0 && filters % 16 == 0
    }
}
