// A lowered network compiled for one batch size and image size: primitives, packed filters and one arena.
//
// Every layout is chosen by the convolution that wants it (blocked by channels as a rule, channels last for integers);
// what follows takes it as it is, so that data is reordered only where two neighbours disagree. Filters are packed once,
// here.

internal import CFinetuneDNNL

/// What `InferenceProgram` runs. Lives on the engine's thread.
final class CompiledProgram {
    /// The shape of one image's result: `[features]`, or `[channels, height, width]`.
    private(set) var outputShape: [Int] = []
    let builder: ProgramBuilder
    /// Of what is not quantized.
    let precision: Precision
    let plan: QuantizationPlan
    private(set) var values: [Value]
    private var program: BoundProgram?
    private var output: UnsafePointer<Float>?

    /// Where a value is and what form it has.
    struct Value {
        enum Form {
            case image(Layout, channels: Int, height: Int, width: Int)
            case rows(Int)
        }
        var form: Form
        var operand: ProgramBuilder.Operand
        var lastStep: Int
        /// How an image's numbers are kept where they are integers, channels last; nil for floats.
        var quantization: Quantization?
    }

    /// What a step gives.
    typealias Made = (form: Value.Form, operand: ProgramBuilder.Operand, quantization: Quantization?)

    /// - Parameters:
    ///   - ranges: In an int8 program the range of each step's values by its name: see `QuantizationPlan`.
    ///   - constants: Shared with programs of the same network.
    ///   - observer: Is shown what every step gives, of images. Not for int8.
    init(
        _ lowering: Lowering, input: ImageBatchShape, precision: Precision, ranges: [String: Float] = [:],
        sharing constants: PackedConstants, observer: RangeObserver? = nil
    ) throws {
        self.precision = precision == .int8 ? .native : precision
        plan =
            precision == .int8
            ? QuantizationPlan(lowering, ranges: ranges, hasWideSums: finetune_has_wide_integer_sums() != 0)
            : QuantizationPlan()
        let layout = try input.layout()
        builder = try ProgramBuilder(batch: input.batch, input: layout, sharing: constants)
        let form = Value.Form.image(layout, channels: input.channels, height: input.height, width: input.width)
        values = [Value(form: form, operand: .input, lastStep: -1)]
        var lastStep: [Int: Int] = [:]
        for (index, step) in lowering.steps.enumerated() {
            for value in step.inputs { lastStep[value] = index }
        }
        lastStep[lowering.result] = lowering.steps.count
        values[0].lastStep = lastStep[0] ?? -1
        for (index, step) in lowering.steps.enumerated() {
            let (form, operand, quantization) = try compile(step, index)
            values.append(
                Value(
                    form: form, operand: operand, lastStep: lastStep[step.output] ?? index, quantization: quantization))
            if let observer { observe(step, observer) }
        }
        let result = try plainResult(lowering.result)
        builder.keep(result)
        let program = try builder.bind()
        output = UnsafePointer(program.floats(result))
        self.program = program
    }

    /// The kernel of each compiled primitive, in order.
    var kernels: [ChosenKernel] { builder.kernels }

    var batch: Int { builder.batch }
    var library: OneDNN { builder.library }

    // MARK: Running

    /// Runs the program on `batch` images of floats, channels last, and shows the result where it lies.
    func run(_ images: UnsafePointer<Float>) throws -> UnsafeBufferPointer<Float> {
        try program?.run(images)
        return UnsafeBufferPointer(start: output, count: batch * outputShape.reduce(1, *))
    }

    // MARK: Compiling

    /// Shows an observer what a step gives, in whatever layout.
    private func observe(_ step: Step, _ observer: RangeObserver) {
        guard case .image(let layout, _, _, _) = values[step.output].form else { return }
        let count = layout.byteCount / (precision == .bf16 ? 2 : 4)
        builder.addLoop([values[step.output].operand]) { [batch, precision] in
            observer.observe(step.name, $0[0], count: count, precision, batch: batch)
        }
    }

    private func compile(_ step: Step, _ index: Int) throws -> Made {
        switch step.kind {
        case .convolution(let convolution, let residual, let activation):
            return try compileOnIntegers(convolution, residual: residual, activation, step, index)
                ?? compile(convolution, residual: residual, activation, step, index)
        case .batchNormalization:
            preconditionFailure("inference folds every batch norm")
        case .maxPooling(let window):
            return try compile(pooling: window, dnnl_pooling_max, step)
        case .averagePooling(let window, let countsPadding):
            let algorithm =
                countsPadding ? dnnl_pooling_avg_include_padding : dnnl_pooling_avg_exclude_padding
            return try compile(pooling: window, algorithm, step)
        default:
            for value in step.inputs { try makeFloats(value, step) }
            let (form, operand) = try compileOnFloats(step)
            return (form, operand, nil)
        }
    }

    private func compileOnFloats(_ step: Step) throws -> (Value.Form, ProgramBuilder.Operand) {
        switch step.kind {
        case .convolution, .batchNormalization, .maxPooling, .averagePooling:
            preconditionFailure("\(step.name) is compiled elsewhere")
        case .activation(let activation):
            return try compile(activation, step)
        case .addition(let other, let activation):
            let (layout, _, _, _) = try image(step.input, step)
            let second = try reordered(other, to: layout, step)
            return try compile(dnnl_binary_add, with: second, layout, activation, step)
        case .channelScaling(let other):
            let (count, rows) = try rowsOf(other, step)
            let given = try Layout([batch, count, 1, 1], dnnl_f32, .plain)
            let factors = try Layout([batch, count, 1, 1], precision.dataType, .plain)
            let second = try builder.reordered(step.name, rows, given, to: factors)
            return try compile(dnnl_binary_mul, with: second, factors, nil, step)
        case .globalAverage:
            let (_, channels, height, width) = try image(step.input, step)
            let plain = try channelsLast(step.input, step)
            let means = builder.newBuffer(batch * channels * 4)
            builder.addLoop([plain, means]) { [batch] addresses in
                RowKernels.means(
                    addresses[0].floats, images: batch, pixels: height * width, channels: channels,
                    into: addresses[1].floats)
            }
            return (.rows(channels), means)
        case .flatten:
            let (_, channels, height, width) = try image(step.input, step)
            return (.rows(channels * height * width), try channelsLast(step.input, step))
        case .rowNormalization:
            let (count, source) = try rowsOf(step.input, step)
            let target = builder.newBuffer(batch * count * 4)
            builder.addLoop([source, target]) { [batch] addresses in
                RowKernels.normalize(addresses[0].floats, rows: batch, columns: count, into: addresses[1].floats)
            }
            return (.rows(count), target)
        case .dense(let weight, let bias):
            let (rows, source) = try rowsOf(step.input, step)
            guard rows == weight.shape[1] else {
                throw EngineError.unsupported(
                    step.name, "it reads \(weight.shape[1]) features and is given \(rows)")
            }
            let outputs = weight.shape[0]
            let target = builder.newBuffer(batch * outputs * 4)
            builder.addLoop([source, target]) { [batch] addresses in
                for image in 0..<batch {
                    DenseLayer.forward(
                        addresses[0].floats + image * rows, weight: weight, bias: bias,
                        into: addresses[1].floats + image * outputs)
                }
            }
            return (.rows(outputs), target)
        }
    }

    /// The image that a step reads, combined with a second one of its shape or of one pixel.
    private func compile(
        _ algorithm: dnnl_alg_kind_t, with second: ProgramBuilder.Operand, _ secondLayout: Layout,
        _ activation: Activation?, _ step: Step
    ) throws -> (Value.Form, ProgramBuilder.Operand) {
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
        return (.image(layout, channels: channels, height: height, width: width), target)
    }

    private func compile(pooling window: Window, _ algorithm: dnnl_alg_kind_t, _ step: Step) throws -> Made {
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
        let form = Value.Form.image(destination, channels: channels, height: size.height, width: size.width)
        return (form, target, quantization)
    }

    private func compile(_ activation: Activation, _ step: Step) throws -> (Value.Form, ProgramBuilder.Operand) {
        let source = values[step.input].operand
        switch values[step.input].form {
        case .rows(let count):
            let target = builder.newBuffer(batch * count * 4)
            builder.addLoop([source, target]) { [batch] addresses in
                RowKernels.apply(activation, addresses[0].floats, batch * count, into: addresses[1].floats)
            }
            return (.rows(count), target)
        case .image(let layout, let channels, let height, let width):
            guard activation.algorithm != nil else {
                let plain = try Layout([batch, channels, height, width], dnnl_f32, .channelsLast)
                let (x, count) = (try channelsLast(step.input, step), batch * channels * height * width)
                builder.addLoop([x]) { RowKernels.apply(activation, $0[0].floats, count, into: $0[0].floats) }
                return (values[step.input].form, try builder.reordered(step.name, x, plain, to: layout))
            }
            let primitive = try Primitive.activation(library, activation, layout: layout)
            let target = builder.newBuffer(layout.byteCount)
            try builder.add(step.name, primitive, [(DNNL_ARG_SRC, source, layout), (DNNL_ARG_DST, target, layout)])
            return (values[step.input].form, target)
        }
    }

    func image(_ value: Int, _ step: Step) throws -> (Layout, channels: Int, height: Int, width: Int) {
        guard case .image(let layout, let channels, let height, let width) = values[value].form else {
            throw EngineError.unsupported(step.name, "it reads rows where an image is expected")
        }
        return (layout, channels, height, width)
    }

    private func rowsOf(_ value: Int, _ step: Step) throws -> (count: Int, ProgramBuilder.Operand) {
        guard case .rows(let count) = values[value].form else {
            throw EngineError.unsupported(step.name, "it reads an image where rows are expected")
        }
        return (count, values[value].operand)
    }

    /// The value in another layout; itself where it has that layout.
    func reordered(_ value: Int, to layout: Layout, _ step: Step) throws -> ProgramBuilder.Operand {
        try builder.reordered(step.name, values[value].operand, image(value, step).0, to: layout)
    }

    /// Makes integers of a value's floats, for all steps that are still to read it.
    func makeIntegers(_ value: Int, _ quantization: Quantization, _ step: Step) throws {
        guard values[value].quantization != quantization else { return }
        try makeFloats(value, step)
        try convert(value, to: quantization.dataType, quantization, factor: 1 / quantization.scale, step)
    }

    /// Makes floats of a value's integers, for all steps that are still to read it.
    func makeFloats(_ value: Int, _ step: Step) throws {
        guard let quantization = values[value].quantization else { return }
        try convert(value, to: precision.dataType, nil, factor: quantization.scale, step)
    }

    private func convert(
        _ value: Int, to type: dnnl_data_type_t, _ quantization: Quantization?, factor: Float, _ step: Step
    ) throws {
        let (found, channels, height, width) = try image(value, step)
        let layout = try Layout([batch, channels, height, width], type, .channelsLast)
        values[value].operand = try builder.copied(step.name, values[value].operand, found, to: layout, factor: factor)
        values[value].form = .image(layout, channels: channels, height: height, width: width)
        values[value].quantization = quantization
    }

    /// The value, which is floats, channels last: what leaves the blocked layouts does so in full precision.
    private func channelsLast(_ value: Int, _ step: Step) throws -> ProgramBuilder.Operand {
        let (found, channels, height, width) = try image(value, step)
        let layout = try Layout([batch, channels, height, width], dnnl_f32, .channelsLast)
        return try builder.copied(step.name, values[value].operand, found, to: layout)
    }

    /// The result as plain floats.
    private func plainResult(_ value: Int) throws -> ProgramBuilder.Operand {
        switch values[value].form {
        case .rows(let count):
            outputShape = [count]
            return values[value].operand
        case .image(let found, let channels, let height, let width):
            outputShape = [channels, height, width]
            let layout = try Layout([batch, channels, height, width], dnnl_f32, .plain)
            return try builder.copied(
                "result", values[value].operand, found, to: layout, factor: values[value].quantization?.scale)
        }
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
