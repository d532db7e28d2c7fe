// Loops over rows of floats that neither oneDNN nor OpenBLAS offers in the precision we want.

internal import CFinetuneBLAS
internal import Glibc

enum RowKernels {
    /// The mean of each channel over pixels, channels last.
    ///
    /// oneDNN's average pooling rounds its result to the program's precision; a mean of bfloat16 deserves better.
    static func mean(
        _ x: UnsafePointer<Float>, _ pixels: Int, _ channels: Int, into y: UnsafeMutablePointer<Float>
    ) {
        y.update(repeating: 0, count: channels)
        for pixel in 0..<pixels {
            let row = x + pixel * channels
            for channel in 0..<channels { y[channel] += row[channel] }
        }
        let factor = 1 / Float(pixels)
        for channel in 0..<channels { y[channel] *= factor }
    }

    static func apply(
        _ activation: Activation, _ x: UnsafePointer<Float>, _ count: Int, into y: UnsafeMutablePointer<Float>
    ) {
        switch activation {
        case .relu: for index in 0..<count { y[index] = Float.maximum(x[index], 0) }
        case .sigmoid: for index in 0..<count { y[index] = 1 / (1 + exp(-x[index])) }
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
