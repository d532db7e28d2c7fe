// What the compilers of inference and training share: values between operations, and where they lie.

internal import CFinetuneDNNL

/// A value between two operations of a compiled program.
struct CompiledValue {
    enum Form {
        case image(Layout, channels: Int, height: Int, width: Int)
        /// Floats, one row an image.
        case rows(Int)
    }

    var form: Form
    var operand: ProgramBuilder.Operand
    /// How an image's numbers are kept where they are integers, channels last; nil for floats. For inference.
    var quantization: Quantization?
    /// Whether something that learns comes before it. For training.
    var needsGradient = false
    /// The gradient of the loss by it, once something that reads it has contributed. For training.
    var gradient: Gradient?

    /// The gradient of the loss by a value, in the value's layout.
    struct Gradient {
        var operand: ProgramBuilder.Operand
        /// Whether another value's gradient is the same memory, which then must not be changed.
        var isShared: Bool
    }
}

/// A walk over steps that compiles each.
protocol StepCompiler: AnyObject {
    var builder: ProgramBuilder { get }
    /// Of what is not quantized.
    var precision: Precision { get }
    /// By their numbers in the lowering.
    var values: [CompiledValue] { get }
}

extension StepCompiler {
    var batch: Int { builder.batch }
    var library: OneDNN { builder.library }

    /// - Throws: `EngineError` if the value is rows.
    func image(_ value: Int, _ step: Step) throws -> (Layout, channels: Int, height: Int, width: Int) {
        guard case .image(let layout, let channels, let height, let width) = values[value].form else {
            throw EngineError.unsupported(step.name, "it reads rows where an image is expected")
        }
        return (layout, channels, height, width)
    }

    /// The length of each row.
    ///
    /// - Throws: `EngineError` if the value is an image.
    func rows(_ value: Int, _ step: Step) throws -> Int {
        guard case .rows(let count) = values[value].form else {
            throw EngineError.unsupported(step.name, "it reads an image where rows are expected")
        }
        return count
    }

    /// The layout of an image's floats, channels last: what leaves the blocked layouts does so in full precision.
    func channelsLast(_ value: Int, _ step: Step) throws -> Layout {
        let (_, channels, height, width) = try image(value, step)
        return try Layout([batch, channels, height, width], dnnl_f32, .channelsLast)
    }

    /// A copy of an image in that layout.
    func copiedChannelsLast(_ value: Int, _ step: Step) throws -> ProgramBuilder.Operand {
        try builder.copied(
            step.name, values[value].operand, image(value, step).0, to: channelsLast(value, step))
    }
}
