// The gradients of oneDNN's primitives, each made from the forward primitive that it belongs to.

internal import CFinetuneDNNL

extension Primitive {
    /// The gradient of a convolution by its input.
    static func convolutionBackwardData(
        _ library: OneDNN, of forward: Primitive, algorithm: dnnl_alg_kind_t, source: Layout, weights: Layout,
        destination: Layout, window: Window, edges: Edges
    ) throws -> Primitive {
        try Primitive("compile a convolution's gradient", library) { description, attributes in
            finetune_convolution_backward_data(
                &description, library.engine, attributes, forward.description, algorithm, source.handle,
                weights.handle, destination.handle, window.strides, window.dilates, edges.before, edges.after)
        }
    }

    /// The gradient of a convolution by its filters and its bias.
    static func convolutionBackwardWeights(
        _ library: OneDNN, of forward: Primitive, algorithm: dnnl_alg_kind_t, source: Layout, weights: Layout,
        bias: Layout, destination: Layout, window: Window, edges: Edges
    ) throws -> Primitive {
        try Primitive("compile the gradient of a convolution's filters", library) { description, attributes in
            finetune_convolution_backward_weights(
                &description, library.engine, attributes, forward.description, algorithm, source.handle,
                weights.handle, bias.handle, destination.handle, window.strides, window.dilates, edges.before,
                edges.after)
        }
    }

    static func poolingBackward(
        _ library: OneDNN, of forward: Primitive, algorithm: dnnl_alg_kind_t, source: Layout, destination: Layout,
        window: Window, edges: Edges
    ) throws -> Primitive {
        try Primitive("compile a pooling's gradient", library) { description, attributes in
            finetune_pooling_backward(
                &description, library.engine, attributes, forward.description, algorithm, source.handle,
                destination.handle, window.strides, window.kernel, edges.before, edges.after)
        }
    }

    /// The gradient of an activation, from the activation's result.
    static func activationBackward(_ library: OneDNN, _ activation: Activation, layout: Layout) throws -> Primitive {
        let forward = try Primitive.activation(library, for: dnnl_forward_training, activation, layout: layout)
        guard let function = activation.gradientAlgorithm else {
            throw EngineError.library("compile the gradient of \(activation)", status: -1)
        }
        return try Primitive("compile an activation's gradient", library) { description, attributes in
            finetune_elementwise_backward(
                &description, library.engine, attributes, forward.description, function.kind, layout.handle,
                function.alpha)
        }
    }

    /// How a batch norm is computed.
    struct NormalizationMode {
        /// Whether stored statistics are used rather than the batch's own.
        var usesStored: Bool
        /// Whether a ReLU follows.
        var rectifies: Bool

        fileprivate var flags: UInt32 {
            dnnl_use_scale.rawValue | dnnl_use_shift.rawValue | (usesStored ? dnnl_use_global_stats.rawValue : 0)
                | (rectifies ? dnnl_fuse_norm_relu.rawValue : 0)
        }
    }

    static func normalization(_ library: OneDNN, _ mode: NormalizationMode, epsilon: Double, layout: Layout) throws
        -> Primitive
    {
        try Primitive("compile a batch norm", library) { description, attributes in
            finetune_normalization(
                &description, library.engine, attributes, layout.handle, Float(epsilon), mode.flags)
        }
    }

    static func normalizationBackward(
        _ library: OneDNN, of forward: Primitive, _ mode: NormalizationMode, epsilon: Double, layout: Layout
    ) throws -> Primitive {
        try Primitive("compile a batch norm's gradient", library) { description, attributes in
            finetune_normalization_backward(
                &description, library.engine, attributes, forward.description, layout.handle, Float(epsilon),
                mode.flags)
        }
    }
}

extension Activation {
    /// The gradient that is computed from the result rather than from the argument, which a fused activation never
    /// stores.
    fileprivate var gradientAlgorithm: (kind: dnnl_alg_kind_t, alpha: Float)? {
        switch self {
        case .relu: (dnnl_eltwise_relu_use_dst_for_bwd, 0)
        case .leakyReLU: (dnnl_eltwise_relu_use_dst_for_bwd, Self.leakySlope)
        case .elu: (dnnl_eltwise_elu_use_dst_for_bwd, 1)
        case .tanh: (dnnl_eltwise_tanh_use_dst_for_bwd, 0)
        case .sigmoid: (dnnl_eltwise_logistic_use_dst_for_bwd, 0)
        case .selu, .gelu: nil
        }
    }
}
