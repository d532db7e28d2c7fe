// Which kernels of oneDNN compute a convolution in training: forward with what is fused into it, and both gradients.

internal import CFinetuneDNNL

/// The kernels of one convolution, in layouts that suit the way forward and the way back.
struct ConvolutionKernels {
    fileprivate struct Settings {
        let library: OneDNN
        let shapes: FoldedConvolution.Shapes
        /// `[batch, channels, height, width]`
        let input: [Int]
        let output: [Int]
        let window: Window
        let edges: Edges
        let precision: Precision
        var algorithm = dnnl_convolution_direct
        var format = Layout.Format.any
    }

    private let settings: Settings
    /// `y = activation(conv(x, w) + b + residual)`
    let forward: Primitive
    /// Whether the residual is expected in the destination, rather than beside it.
    let addsCopy: Bool

    /// - Parameters:
    ///   - input: `[batch, channels, height, width]`
    ///   - residual: The layout of what is added before the activation.
    ///   - learns: Whether the gradient by the filters will be asked for.
    ///   - needsInput: Whether the gradient by the input will be asked for.
    init(
        _ library: OneDNN, _ convolution: FoldedConvolution, input: [Int], _ precision: Precision, residual: Layout?,
        _ activation: Activation?, learns: Bool, needsInput: Bool
    ) throws {
        let window = convolution.window
        let size = window.output(height: input[2], width: input[3])
        var settings = Settings(
            library: library, shapes: convolution.shapes(precision), input: input,
            output: [input[0], convolution.filters, size.height, size.width], window: window,
            edges: window.edges(height: input[2], width: input[3]), precision: precision)
        if convolution.suitsWinograd(precision, height: size.height, width: size.width) {
            var winograd = settings
            winograd.algorithm = dnnl_convolution_winograd
            let post = PostOperations(addsDestination: residual != nil, activation: activation)
            // Not every processor has the kernel. It adds to a copy only.
            if let forward = try? winograd.forward(post) {
                self.init(settings: winograd, forward: forward, addsCopy: true)
                return
            }
        }
        // The layouts that suit the way forward can leave no fast kernel for the way back.
        if try settings.isSlow(learns: learns, needsInput: needsInput) {
            settings.format = .channelsLast
            if try settings.isSlow(learns: learns, needsInput: needsInput) { settings.format = .any }
        }
        let plain = try settings.forward(PostOperations(activation: activation))
        guard let residual else {
            self.init(settings: settings, forward: plain, addsCopy: false)
            return
        }
        // Among kernels that multiply tiles, the fastest of 1×1 adds to its destination only.
        let layout = try plain.layout(dnnl_query_dst_md)
        if residual.equals(layout),
            let adding = try? settings.forward(PostOperations(added: layout, activation: activation)),
            !adding.kernel.isReference, !adding.kernel.mayUnrollImages,
            adding.kernel == plain.kernel || !plain.kernel.multipliesTiles
        {
            self.init(settings: settings, forward: adding, addsCopy: false)
        } else {
            let post = PostOperations(addsDestination: true, activation: activation)
            self.init(settings: settings, forward: try settings.forward(post), addsCopy: true)
        }
    }

    private init(settings: Settings, forward: Primitive, addsCopy: Bool) {
        (self.settings, self.forward, self.addsCopy) = (settings, forward, addsCopy)
    }

    /// The gradient by the filters and the bias.
    func backwardWeights() throws -> Primitive { try settings.backwardWeights(of: forward) }

    /// The gradient by the input.
    func backwardData() throws -> Primitive { try settings.backwardData(of: forward) }

    /// Its gradients as matrix products, as far as those are faster; nil where none is.
    func products() throws -> ConvolutionProducts? {
        guard settings.precision == .bf16, settings.shapes.isWhole,
            try settings.isChannelsLast(settings.input, forward.layout(dnnl_query_src_md)),
            try settings.isChannelsLast(settings.output, forward.layout(dnnl_query_dst_md))
        else { return nil }
        let windows = Windows(settings.window, settings.edges, input: settings.input, output: settings.output)
        return try ConvolutionProducts(settings.library, windows, filters: settings.output[1])
    }
}

extension ConvolutionKernels.Settings {
    fileprivate func forward(_ post: PostOperations) throws -> Primitive {
        try Primitive.convolution(
            library, for: dnnl_forward_training, algorithm: algorithm,
            source: try Layout(input, precision.dataType, format), weights: try shapes.packed(),
            bias: try shapes.bias(), destination: try Layout(output, precision.dataType, format), window: window,
            edges: edges, post: post)
    }

    fileprivate func backwardWeights(of forward: Primitive) throws -> Primitive {
        try Primitive.convolutionBackwardWeights(
            library, of: forward, algorithm: algorithm, source: try forward.layout(dnnl_query_src_md),
            weights: try shapes.packed(dnnl_f32), bias: try shapes.bias(),
            destination: try forward.layout(dnnl_query_dst_md), window: window, edges: edges)
    }

    fileprivate func backwardData(of forward: Primitive) throws -> Primitive {
        try Primitive.convolutionBackwardData(
            library, of: forward, algorithm: algorithm, source: try forward.layout(dnnl_query_src_md),
            weights: try shapes.packed(), destination: try forward.layout(dnnl_query_dst_md), window: window,
            edges: edges)
    }

    fileprivate func isChannelsLast(_ shape: [Int], _ layout: Layout) throws -> Bool {
        layout.equals(try Layout(shape, precision.dataType, .channelsLast))
    }

    /// Whether one of the kernels that are needed is not among the fast ones.
    fileprivate func isSlow(learns: Bool, needsInput: Bool) throws -> Bool {
        let plain = try forward(PostOperations())
        return try plain.kernel.isReference || (learns && backwardWeights(of: plain).kernel.isReference)
            || (needsInput && backwardData(of: plain).kernel.isReference)
    }
}
