// Loops over rows of floats that neither oneDNN nor OpenBLAS offers in the precision we want.

internal import CFinetuneBLAS
internal import Glibc

enum RowKernels {
    /// The mean of each channel over an image's pixels, channels last.
    ///
    /// oneDNN's average pooling rounds its result to the program's precision; a mean of bfloat16 deserves better.
    static func means(
        _ x: UnsafePointer<Float>, images: Int, pixels: Int, channels: Int, into y: UnsafeMutablePointer<Float>
    ) {
        let factor = 1 / Float(pixels)
        for image in 0..<images {
            let y = y + image * channels
            y.update(repeating: 0, count: channels)
            for pixel in 0..<pixels {
                let row = x + (image * pixels + pixel) * channels
                for channel in 0..<channels { y[channel] += row[channel] }
            }
            for channel in 0..<channels { y[channel] *= factor }
        }
    }

    /// The gradient of `means`: every pixel gets its share.
    static func meansBackward(
        _ dy: UnsafePointer<Float>, images: Int, pixels: Int, channels: Int, into dx: UnsafeMutablePointer<Float>
    ) {
        let factor = 1 / Float(pixels)
        for image in 0..<images {
            let dy = dy + image * channels
            for pixel in 0..<pixels {
                let row = dx + (image * pixels + pixel) * channels
                for channel in 0..<channels { row[channel] = dy[channel] * factor }
            }
        }
    }

    static func apply(
        _ activation: Activation, _ x: UnsafePointer<Float>, _ count: Int, into y: UnsafeMutablePointer<Float>
    ) {
        switch activation {
        case .relu: for index in 0..<count { y[index] = Float.maximum(x[index], 0) }
        case .sigmoid: for index in 0..<count { y[index] = 1 / (1 + exp(-x[index])) }
        }
    }

    /// The gradient by the argument of an activation whose result was `y`.
    static func applyBackward(
        _ activation: Activation, _ y: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, _ count: Int,
        into dx: UnsafeMutablePointer<Float>
    ) {
        switch activation {
        case .relu: for index in 0..<count { dx[index] = y[index] > 0 ? dy[index] : 0 }
        case .sigmoid: for index in 0..<count { dx[index] = dy[index] * y[index] * (1 - y[index]) }
        }
    }
}

/// `y = W·x + b` for one row, on one thread, so that a row's result depends on nothing else in its batch.
enum DenseLayer {
    static func forward(
        _ x: UnsafePointer<Float>, weight: Tensor, bias: Tensor?, into y: UnsafeMutablePointer<Float>
    ) {
        let (outputs, inputs) = (weight.shape[0], weight.shape[1])
        if let bias {
            bias.withUnsafeBufferPointer { values in
                for index in 0..<outputs { y[index] = values[index] }
            }
        } else {
            y.update(repeating: 0, count: outputs)
        }
        weight.withUnsafeBufferPointer { matrix in
            cblas_sgemv(
                CblasRowMajor, CblasNoTrans, Int32(outputs), Int32(inputs), 1, matrix.baseAddress, Int32(inputs), x, 1,
                1,
                y, 1)
        }
    }
}
