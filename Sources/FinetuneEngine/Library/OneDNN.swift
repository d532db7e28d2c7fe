// The Swift face of oneDNN: layouts, memory and primitives that free themselves. Used on the engine's thread only.

internal import CFinetuneDNNL

/// Turns a status into the room's error.
private func check(_ status: dnnl_status_t, _ action: @autoclosure () -> String) throws {
    guard status == dnnl_success else { throw EngineError.library(action(), status: Int(status.rawValue)) }
}

/// The processor as oneDNN sees it, with the stream on which primitives run in order.
final class OneDNN {
    let engine: dnnl_engine_t
    let stream: dnnl_stream_t
    /// Names of kernels that `KernelName` does not know, of all primitives that were made, used or not.
    fileprivate(set) var unknownKernels: Set<String> = []

    init() throws {
        var engine: dnnl_engine_t?
        try check(dnnl_engine_create(&engine, dnnl_cpu, 0), "start oneDNN")
        guard let engine else { throw EngineError.library("start oneDNN", status: -1) }
        var stream: dnnl_stream_t?
        try check(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags.rawValue), "start oneDNN")
        guard let stream else { throw EngineError.library("start oneDNN", status: -1) }
        // fp32 is fp32: a variable of the environment could make oneDNN multiply it as bfloat16.
        try check(dnnl_set_default_fpmath_mode(dnnl_fpmath_mode_strict), "start oneDNN")
        self.engine = engine
        self.stream = stream
    }

    deinit {
        dnnl_stream_destroy(stream)
        dnnl_engine_destroy(engine)
    }
}

/// How the elements of a tensor lie in memory.
final class Layout {
    let handle: finetune_layout_t

    enum Format {
        /// Whatever suits the primitive that asks.
        case any
        /// Row-major in the order of the dimensions: `[n, c, h, w]`, filters `[o, i, h, w]` or `[g, o, i, h, w]`.
        case plain
        /// Channels last: the dimensions are `[n, c, h, w]`, memory is `[n, h, w, c]`; with groups, `[g, o, i, h, w]` and
        /// `[g, o, h, w, i]`.
        case channelsLast
        /// Images in blocks of as many channels as a vector holds, 8 or 16: the dimensions are `[n, c, h, w]`, memory is
        /// `[n, c/8, h, w, 8]`.
        case blocked
        /// A matrix whose columns lie one behind the other.
        case columnMajor
    }

    init(_ dimensions: [Int], _ type: dnnl_data_type_t, _ format: Format) throws {
        let dims = dimensions.map { dnnl_dim_t($0) }
        let tag: dnnl_format_tag_t =
            switch format {
            case .any: dnnl_format_tag_any
            case .channelsLast: dims.count == 5 ? dnnl_abdec : dnnl_acdb
            case .blocked: finetune_blocks_by_eight() != 0 ? dnnl_aBcd8b : dnnl_aBcd16b
            case .columnMajor: dnnl_ba
            case .plain: [dnnl_a, dnnl_ab, dnnl_abc, dnnl_abcd, dnnl_abcde][dims.count - 1]
            }
        guard let handle = finetune_layout_create(Int32(dims.count), dims, type, tag) else {
            throw EngineError.library("describe a tensor of \(dimensions)", status: -1)
        }
        self.handle = handle
    }

    init(copying handle: finetune_layout_t) { self.handle = handle }

    deinit { finetune_layout_free(handle) }

    var byteCount: Int { finetune_layout_bytes(handle) }

    var dataType: dnnl_data_type_t { finetune_layout_type(handle) }

    func equals(_ other: Layout) -> Bool { finetune_layout_equal(handle, other.handle) != 0 }
}

/// Memory of a layout at an address that somebody else keeps alive.
final class Memory {
    let layout: Layout
    let handle: dnnl_memory_t

    init(_ layout: Layout, at address: UnsafeMutableRawPointer?, _ library: OneDNN) throws {
        var handle: dnnl_memory_t?
        try check(finetune_memory_create(&handle, layout.handle, library.engine, address), "reserve memory")
        guard let handle else { throw EngineError.library("reserve memory", status: -1) }
        self.layout = layout
        self.handle = handle
    }

    deinit { dnnl_memory_destroy(handle) }

    func point(to address: UnsafeMutableRawPointer) { dnnl_memory_set_data_handle(handle, address) }
}

/// What a primitive does after its own sum: `y = function(sum·factor + y₀·factor₀ + added)`.
struct PostOperations {
    var addsDestination = false
    var destinationFactor: Float = 1
    /// The type in which the destination's old value is read, where it is not that of the new one.
    var destinationType = dnnl_data_type_undef
    /// The layout of another tensor of the result's shape that is added.
    var added: Layout?
    var activation: Activation?
    var factors: Factors?
}

/// By what a primitive multiplies its own sum: one number, or one for each channel.
struct Factors {
    /// Nil where the program computes them before every run.
    let values: [Float]?
    /// The argument that oneDNN 3 multiplies, and the bits of its dimensions along which factors differ.
    fileprivate let argument, mask: Int32
    /// The bits of the result's dimensions along which they differ.
    fileprivate let resultMask: Int32

    /// A number for everything that is reordered.
    static func reorder(_ factor: Float) -> Factors {
        Factors(values: [factor], argument: DNNL_ARG_FROM, mask: 0, resultMask: 0)
    }

    /// A number for each filter that is reordered, another one in every run.
    static func reorderedFilters(areGrouped: Bool) -> Factors {
        let mask: Int32 = areGrouped ? 3 : 1
        return Factors(values: nil, argument: DNNL_ARG_FROM, mask: mask, resultMask: mask)
    }

    /// A number for each filter of a convolution.
    static func filters(_ values: [Float], areGrouped: Bool) -> Factors {
        Factors(values: values, argument: DNNL_ARG_WEIGHTS, mask: areGrouped ? 3 : 1, resultMask: 2)
    }

    /// Whether a convolution's bias is added to what was multiplied, rather than multiplied with it.
    static var leaveBias: Bool { finetune_factors_are_arguments() != 0 }

    /// The argument under which a run is given them; nil where the primitive has them.
    var runArgument: Int32? {
        values == nil || finetune_factors_are_arguments() != 0 ? finetune_factors_argument(argument) : nil
    }
}

extension PostOperations {
    /// Calls `body` with what the shim wants.
    fileprivate func withDescription<Result>(_ body: (UnsafePointer<finetune_post_t>) throws -> Result) rethrows
        -> Result
    {
        let functions = (activation?.functions ?? []).map {
            finetune_function_t(kind: $0.kind, alpha: $0.alpha, beta: $0.beta)
        }
        let known = factors.map { $0.values ?? [finetune_later_factor()] } ?? []
        return try known.withUnsafeBufferPointer { values in
            try functions.withUnsafeBufferPointer { functions in
                var description = finetune_post_t(
                    adds_destination: addsDestination ? 1 : 0, destination_factor: destinationFactor,
                    destination_type: destinationType, added: added?.handle, function_count: Int32(functions.count),
                    functions: functions.baseAddress, count: Int32(values.count), factors: values.baseAddress,
                    factors_argument: factors?.argument ?? 0, factors_mask: factors?.mask ?? 0,
                    result_mask: factors?.resultMask ?? 0)
                return try body(&description)
            }
        }
    }
}

/// A compiled operation, not yet bound to memory.
final class Primitive {
    let description: dnnl_primitive_desc_t
    /// The kernel that oneDNN chose.
    let kernel: KernelName
    /// What a run is given besides memory, where it is.
    let factors: Factors?
    private let handle: dnnl_primitive_t

    /// Builds a primitive from the description that `describe` makes with the given attributes.
    init(
        _ action: @autoclosure () -> String, _ library: OneDNN, _ post: PostOperations = PostOperations(),
        _ describe: (inout dnnl_primitive_desc_t?, dnnl_primitive_attr_t) -> dnnl_status_t
    ) throws {
        var attributes: dnnl_primitive_attr_t?
        try check(post.withDescription { finetune_attributes(&attributes, $0) }, action())
        guard let attributes else { throw EngineError.library(action(), status: -1) }
        defer { dnnl_primitive_attr_destroy(attributes) }
        var description: dnnl_primitive_desc_t?
        try check(describe(&description, attributes), action())
        var handle: dnnl_primitive_t?
        let status = dnnl_primitive_create(&handle, description)
        guard status == dnnl_success, let description, let handle else {
            dnnl_primitive_desc_destroy(description)
            throw EngineError.library(action(), status: Int(status.rawValue))
        }
        self.description = description
        self.handle = handle
        kernel = KernelName(finetune_primitive_kernel(description).map { String(cString: $0) } ?? "(no name)")
        factors = post.factors
        if !kernel.isKnown { library.unknownKernels.insert(kernel.text) }
    }

    deinit {
        dnnl_primitive_destroy(handle)
        dnnl_primitive_desc_destroy(description)
    }

    func layout(_ query: dnnl_query_t) throws -> Layout {
        guard let copy = finetune_primitive_layout(description, query) else {
            throw EngineError.library("ask for a layout", status: -1)
        }
        return Layout(copying: copy)
    }

    /// The kernel, for a step of a program.
    func choice(for step: String) -> ChosenKernel {
        let source = finetune_primitive_layout(description, dnnl_query_src_md).map(Layout.init(copying:))
        return ChosenKernel(
            step: step, name: kernel.text,
            isConvolution: finetune_primitive_kind(description) == dnnl_convolution,
            source: source.flatMap { Precision(holding: $0.dataType) })
    }

    /// Runs the operation on memory bound by argument index (`DNNL_ARG_SRC` …).
    func run(_ arguments: [dnnl_exec_arg_t], _ library: OneDNN) throws {
        try check(
            dnnl_primitive_execute(handle, library.stream, Int32(arguments.count), arguments),
            "run \(kernel.text)")
    }

    // MARK: The primitives

    static func convolution(
        _ library: OneDNN, for purpose: dnnl_prop_kind_t = dnnl_forward_inference, algorithm: dnnl_alg_kind_t,
        source: Layout, weights: Layout, bias: Layout, destination: Layout, window: Window, edges: Edges,
        post: PostOperations
    ) throws -> Primitive {
        try Primitive("compile a convolution", library, post) { description, attributes in
            finetune_convolution(
                &description, library.engine, attributes, purpose, algorithm, source.handle, weights.handle,
                bias.handle, destination.handle, window.strides, window.dilates, edges.before, edges.after)
        }
    }

    static func pooling(
        _ library: OneDNN, for purpose: dnnl_prop_kind_t = dnnl_forward_inference, algorithm: dnnl_alg_kind_t,
        source: Layout, destination: Layout, window: Window, edges: Edges
    ) throws -> Primitive {
        try Primitive("compile a pooling", library) { description, attributes in
            finetune_pooling(
                &description, library.engine, attributes, purpose, algorithm, source.handle, destination.handle,
                window.strides, window.kernel, edges.before, edges.after)
        }
    }

    /// One of the functions that an activation is made of.
    static func elementwise(
        _ library: OneDNN, for purpose: dnnl_prop_kind_t = dnnl_forward_inference, _ function: ElementwiseFunction,
        layout: Layout
    ) throws -> Primitive {
        try Primitive("compile an activation", library) { description, attributes in
            finetune_elementwise(
                &description, library.engine, attributes, purpose, function.kind, layout.handle, function.alpha,
                function.beta)
        }
    }

    static func binary(
        _ library: OneDNN, _ algorithm: dnnl_alg_kind_t, first: Layout, second: Layout, destination: Layout,
        activation: Activation? = nil
    ) throws -> Primitive {
        try Primitive("combine two images", library, PostOperations(activation: activation)) {
            description, attributes in
            finetune_binary(
                &description, library.engine, attributes, algorithm, first.handle, second.handle, destination.handle)
        }
    }

    /// The product of two matrices.
    static func product(_ library: OneDNN, _ first: Layout, _ second: Layout, _ destination: Layout) throws
        -> Primitive
    {
        try Primitive("compile a product of matrices", library) { description, attributes in
            finetune_product(
                &description, library.engine, attributes, first.handle, second.handle, destination.handle)
        }
    }

    /// - Parameter factors: By what numbers are multiplied on the way; nil leaves them as they are.
    static func reorder(
        _ library: OneDNN, from source: Layout, to destination: Layout, factors: Factors? = nil
    ) throws -> Primitive {
        let post = PostOperations(factors: factors)
        return try Primitive("compile a change of layout", library, post) { description, attributes in
            finetune_reorder(&description, library.engine, attributes, source.handle, destination.handle)
        }
    }
}

extension Edges {
    var before: [dnnl_dim_t] { [dnnl_dim_t(top), dnnl_dim_t(left)] }
    var after: [dnnl_dim_t] { [dnnl_dim_t(bottom), dnnl_dim_t(right)] }
}

extension Window {
    var strides: [dnnl_dim_t] { [dnnl_dim_t(stride), dnnl_dim_t(stride)] }
    var dilates: [dnnl_dim_t] { [dnnl_dim_t(dilation - 1), dnnl_dim_t(dilation - 1)] }
    var kernel: [dnnl_dim_t] { [dnnl_dim_t(height), dnnl_dim_t(width)] }
}

extension Quantization {
    var dataType: dnnl_data_type_t { isSigned ? dnnl_s8 : dnnl_u8 }
}

extension Precision {
    /// Of what is not quantized.
    var dataType: dnnl_data_type_t {
        switch self {
        case .fp32: dnnl_f32
        case .bf16: dnnl_bf16
        case .int8: Self.native.dataType
        }
    }

    /// The precision whose numbers have a type; nil where none has.
    init?(holding type: dnnl_data_type_t) {
        switch type {
        case dnnl_f32: self = .fp32
        case dnnl_bf16: self = .bf16
        case dnnl_s8, dnnl_u8: self = .int8
        default: return nil
        }
    }
}
