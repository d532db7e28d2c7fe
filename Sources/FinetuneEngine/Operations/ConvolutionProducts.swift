// The gradients of a convolution as matrix products, for processors whose kernels for these are faster.
//
// Channels last, images are a matrix with one row for each pixel. Where x has for rows the windows of all results, which
// is the images' own matrix where a window is a pixel,
//
//     dw = dyᵀ·x      db = 1·dy      dx = dy·w
//
// and where windows are more than pixels, dx are the sums of what all windows give to each pixel.
//
// With tiles of bfloat16 (AMX), oneDNN 2.6 computes these products in a half to a fifth of the time of its gradients of
// convolutions.

internal import CFinetuneDNNL

/// The gradients of one convolution that are matrix products of bfloat16.
struct ConvolutionProducts {
    let filters: FilterProduct?
    let input: InputProduct?

    /// - Throws: `EngineError` where oneDNN refuses a product.
    init?(_ library: OneDNN, _ windows: Windows, filters count: Int) throws {
        // Copies of overlapping windows cost more than a product gains where there are many: measured on a ResNet-50,
        // 3×3 gains at results of 14×14 pixels by the filters and of 7×7 by the input, and loses at the next size.
        func suits(_ most: Int) -> Bool { windows.arePlain || windows.perImage <= most }
        filters = suits(256) ? try FilterProduct(library, windows, filters: count) : nil
        input = suits(64) ? try InputProduct(library, windows, filters: count) : nil
        if filters == nil, input == nil { return nil }
    }
}

/// The gradient by filters and bias.
struct FilterProduct {
    private let windows: Windows
    private let product, sum: Primitive
    private let gradient, transposed, rows, ones, bias, image: Layout

    /// Nil where no tiles are multiplied.
    init?(_ library: OneDNN, _ windows: Windows, filters: Int) throws {
        let (pixels, size) = (windows.count, windows.size)
        transposed = try Layout([filters, pixels], dnnl_bf16, .columnMajor)
        image = try Layout([pixels, filters], dnnl_bf16, .plain)
        rows = try Layout([pixels, size], dnnl_bf16, .plain)
        gradient = try Layout([filters, size], dnnl_f32, .plain)
        ones = try Layout([1, pixels], dnnl_bf16, .plain)
        bias = try Layout([1, filters], dnnl_f32, .plain)
        product = try Primitive.product(library, transposed, rows, gradient)
        sum = try Primitive.product(library, ones, image, bias)
        self.windows = windows
        guard product.kernel.multipliesTiles, !sum.kernel.isReference else { return nil }
    }

    /// Adds what computes it.
    ///
    /// - Parameters:
    ///   - target: Where the gradient by the filters goes: floats `[filters, height, width, channels]`.
    ///   - biasTarget: Where that by the bias goes, floats.
    func add(
        to builder: ProgramBuilder, _ step: String, x: ProgramBuilder.Operand, dy: ProgramBuilder.Operand,
        filters target: ProgramBuilder.Operand, bias biasTarget: ProgramBuilder.Operand
    ) throws {
        let floats = try Layout([1, windows.count], dnnl_f32, .plain)
        let one = try builder.pack("ones", floats, ones) {
            Tensor(shape: [1, windows.count], values: [Float](repeating: 1, count: windows.count))
        }
        try builder.add(
            step, sum, [(DNNL_ARG_SRC, one, ones), (DNNL_ARG_WEIGHTS, dy, image), (DNNL_ARG_DST, biasTarget, bias)])
        var matrix = x
        if !windows.arePixels {
            matrix = builder.newBuffer(rows.byteCount)
            builder.addLoop([x, matrix]) { [windows] in windows.copy($0[0], to: $0[1]) }
        }
        try builder.add(
            step, product,
            [(DNNL_ARG_SRC, dy, transposed), (DNNL_ARG_WEIGHTS, matrix, rows), (DNNL_ARG_DST, target, gradient)])
    }
}

/// The gradient by the input.
struct InputProduct {
    private let windows: Windows
    private let product: Primitive
    private let dy, columns: Layout
    /// How it wants the filters, a matrix `[filters, window]`.
    let shape: [Int], filterLayout: Layout

    /// Nil where no tiles are multiplied.
    init?(_ library: OneDNN, _ windows: Windows, filters: Int) throws {
        dy = try Layout([windows.count, filters], dnnl_bf16, .plain)
        // What several windows give to one pixel is rounded once.
        columns = try Layout([windows.count, windows.size], windows.arePixels ? dnnl_bf16 : dnnl_f32, .plain)
        shape = [filters, windows.size]
        // Many filters are read where they lie: packing them takes longer than the product gains.
        product = try Primitive.product(
            library, dy, try Layout(shape, dnnl_bf16, windows.arePlain ? .any : .plain), columns)
        filterLayout = try product.layout(dnnl_query_weights_md)
        self.windows = windows
        guard product.kernel.multipliesTiles else { return nil }
    }

    /// Adds what computes it, given the filters in the product's layout.
    func add(
        to builder: ProgramBuilder, _ step: String, dy gradient: ProgramBuilder.Operand,
        _ filters: ProgramBuilder.Operand, dx: ProgramBuilder.Operand
    ) throws {
        let sums = windows.arePixels ? dx : builder.newBuffer(columns.byteCount)
        try builder.add(
            step, product,
            [(DNNL_ARG_SRC, gradient, dy), (DNNL_ARG_WEIGHTS, filters, filterLayout), (DNNL_ARG_DST, sums, columns)])
        if !windows.arePixels {
            builder.addLoop([sums, dx]) { [windows] in windows.add(UnsafePointer($0[0].floats), to: $0[1]) }
        }
    }
}
