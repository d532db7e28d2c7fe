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

    /// The gradient of a function, from its argument or, where `kind` is one of those, from its result.
    static func elementwiseBackward(
        _ library: OneDNN, _ function: ElementwiseFunction, by kind: dnnl_alg_kind_t, layout: Layout
    ) throws -> Primitive {
        let forward = try Primitive.elementwise(library, for: dnnl_forward_training, function, layout: layout)
        return try Primitive("compile an activation's gradient", library) { description, attributes in
            finetune_elementwise_backward(
                &description, library.engine, attributes, forward.description, kind, layout.handle, function.alpha,
                function.beta)
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
