// A lowered network compiled for one batch size and image size: primitives, packed filters and one arena.
//
// Every layout is chosen by the convolution that wants it (blocked by channels as a rule, channels last for integers);
// what follows takes it as it is, so that data is reordered only where two neighbours disagree. Filters are packed once,
// here.

internal import CFinetuneDNNL

/// What `InferenceProgram` runs. Lives on the engine's thread.
final class CompiledProgram: StepCompiler {
    /// The shape of one image's result: `[features]`, or `[channels, height, width]`.
    private(set) var outputShape: [Int] = []
    let builder: ProgramBuilder
    /// Of what is not quantized.
    let precision: Precision
    let plan: QuantizationPlan
    private(set) var values: [CompiledValue]
    /// The last step that reads each value.
    private var lastReader: [Int: Int] = [:]
    private var program: BoundProgram?
    private var output: UnsafePointer<Float>?

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
        let form = CompiledValue.Form.image(layout, channels: input.channels, height: input.height, width: input.width)
        values = [CompiledValue(form: form, operand: .input)]
        for step in lowering.steps {
            for value in step.inputs { lastReader[value] = step.output }
        }
        // The result is read when all is done.
        lastReader[lowering.result] = .max
        for step in lowering.steps {
            values.append(try compile(step))
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

    /// Whether no other step is still to read a value.
    func isLast(_ step: Step, toRead value: Int) -> Bool { lastReader[value] == step.output }

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

    private func compile(_ step: Step) throws -> CompiledValue {
        switch step.kind {
        case .convolution(let convolution, let residual, let activation):
            try compileOnIntegers(convolution, residual: residual, activation, step)
                ?? compile(convolution, residual: residual, activation, step)
        case .batchNormalization: preconditionFailure("inference folds every batch norm")
        case .maxPooling(let window): try compile(pooling: window, dnnl_pooling_max, step)
        case .averagePooling(let window, let countsPadding):
            try compile(pooling: window, Primitive.mean(countsPadding: countsPadding), step)
        case .activation(let activation): try compile(activation, step)
        case .addition(let other, let activation): try compile(sumWith: other, activation, step)
        case .channelScaling(let other): try compile(scalingBy: other, step)
        case .globalAverage: try compileGlobalAverage(step)
        case .flatten: try compileFlatten(step)
        case .rowNormalization: try compileRowNormalization(step)
        case .dense(let weight, let bias): try compileDense(weight: weight, bias: bias, step)
        }
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
