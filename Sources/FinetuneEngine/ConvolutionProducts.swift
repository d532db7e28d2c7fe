// The gradients of a convolution as matrix products, for processors whose kernels for these are faster.
//
// Channels last, images are a matrix with one row for each pixel. Where x has for rows the windows of all results, which
// is the images' own matrix where a window is a pixel,
//
//     dw = dyᵀ·x      db = 1·dy      dx = dy·w
//
// With tiles of bfloat16 (AMX), oneDNN 2.6 computes these products in a half to a fifth of the time of its gradients of
// convolutions.

internal import CFinetuneDNNL
internal import Glibc

/// The gradients of one convolution that are matrix products of bfloat16.
struct ConvolutionProducts {
    let filters: FilterProduct?
    let input: InputProduct?

    /// - Throws: `EngineError` where oneDNN refuses a product.
    init?(_ library: OneDNN, _ windows: Windows, filters count: Int) throws {
        let filters = windows.areWorthCopying ? try FilterProduct(library, windows, filters: count) : nil
        let input = windows.arePixels ? try InputProduct(library, windows, filters: count) : nil
        (self.filters, self.input) = (filters, input)
        if filters == nil, input == nil { return nil }
    }
}

/// The gradient by filters and bias.
struct FilterProduct {
    private let windows: Windows
    private let product, sum: Primitive
    private let filters: Int
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
        (self.windows, self.filters) = (windows, filters)
        guard product.isTiled, !sum.isSlow else { return nil }
    }

    /// Adds what computes it.
    ///
    /// - Parameters:
    ///   - target: Where the gradient by the filters goes: floats `[filters, channels, height, width]`.
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
        // A window's numbers are channels last, like the image's.
        let isPlain = windows.height == 1 && windows.width == 1
        let sums = isPlain ? target : builder.newBuffer(gradient.byteCount)
        try builder.add(
            step, product,
            [(DNNL_ARG_SRC, dy, transposed), (DNNL_ARG_WEIGHTS, matrix, rows), (DNNL_ARG_DST, sums, gradient)])
        if !isPlain {
            let shape = [filters, windows.channels, windows.height, windows.width]
            _ = try builder.copied(
                step, sums, try Layout(shape, dnnl_f32, .channelsLast), to: try Layout(shape, dnnl_f32, .plain),
                at: target)
        }
    }
}

/// The gradient by the input of a convolution whose windows are pixels.
struct InputProduct {
    /// The filters as a matrix: `[filters, channels]`.
    let shape: [Int]
    private let product: Primitive
    private let image, result: Layout

    /// Nil where no tiles are multiplied.
    init?(_ library: OneDNN, _ windows: Windows, filters: Int) throws {
        shape = [filters, windows.channels]
        image = try Layout([windows.count, filters], dnnl_bf16, .plain)
        result = try Layout([windows.count, windows.channels], dnnl_bf16, .plain)
        product = try Primitive.product(library, image, try Layout(shape, dnnl_bf16, .any), result)
        guard product.isTiled else { return nil }
    }

    /// How it wants the filters.
    func filterLayout() throws -> Layout { try product.layout(dnnl_query_weights_md) }

    func add(
        to builder: ProgramBuilder, _ step: String, dy: ProgramBuilder.Operand, _ filters: ProgramBuilder.Operand,
        dx: ProgramBuilder.Operand
    ) throws {
        try builder.add(
            step, product,
            [
                (DNNL_ARG_SRC, dy, image), (DNNL_ARG_WEIGHTS, filters, try filterLayout()),
                (DNNL_ARG_DST, dx, result),
            ])
    }
}

/// The windows in which a convolution sees a batch of images, channels last and in bfloat16: one for each pixel of its
/// result.
struct Windows {
    let channels, height, width: Int
    private let window: Window
    private let edges: Edges
    private let batch: Int
    private let input, output: (height: Int, width: Int)

    /// - Parameters:
    ///   - input: `[batch, channels, height, width]`
    ///   - output: The same of the result.
    init(_ window: Window, _ edges: Edges, input: [Int], output: [Int]) {
        (batch, channels) = (input[0], input[1])
        (height, width) = (window.height, window.width)
        (self.window, self.edges) = (window, edges)
        self.input = (input[2], input[3])
        self.output = (output[2], output[3])
    }

    /// How many there are.
    var count: Int { batch * output.height * output.width }

    /// How many numbers are in each.
    var size: Int { height * width * channels }

    /// Whether each is a pixel, and they are all pixels.
    var arePixels: Bool { height == 1 && width == 1 && window.stride == 1 && input == output }

    /// Whether copies of all of them cost less than the product gains: not where large windows overlap in large images.
    /// Measured on a ResNet-50: 3×3 gains at results of 14×14 pixels, and loses at 28×28.
    var areWorthCopying: Bool { height * width == 1 || output.height * output.width <= 256 }

    /// Copies them one behind the other, `[count, height, width, channels]`, with zeros for the padding.
    func copy(_ images: UnsafeMutableRawPointer, to rows: UnsafeMutableRawPointer) {
        let pixel = channels * 2
        ParallelLoop.run(batch * output.height, grain: 1) { lines in
            var target = rows + lines.lowerBound * output.width * size * 2
            for line in lines {
                let image = images + line / output.height * input.height * input.width * pixel
                let top = line % output.height * window.stride - edges.top
                for column in 0..<output.width {
                    let left = column * window.stride - edges.left
                    for i in 0..<height {
                        let y = top + i * window.dilation
                        for j in 0..<width {
                            let x = left + j * window.dilation
                            if (0..<input.height).contains(y), (0..<input.width).contains(x) {
                                target.copyMemory(from: image + (y * input.width + x) * pixel, byteCount: pixel)
                            } else {
                                memset(target, 0, pixel)
                            }
                            target += pixel
                        }
                    }
                }
            }
        }
    }
}
