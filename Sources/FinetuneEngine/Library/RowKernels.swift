// Loops over rows of floats that neither oneDNN nor OpenBLAS offers in the precision we want.

internal import CFinetuneBLAS
internal import Glibc

enum RowKernels {

    static func scale(
        _ x: UnsafePointer<Float>, by factor: Float, _ count: Int, into y: UnsafeMutablePointer<Float>
    ) {
        for index in 0..<count { y[index] = x[index] * factor }
    }

    /// Transposes matrices that lie one behind the other.
    static func transpose(
        _ x: UnsafePointer<Float>, _ count: Int, rows: Int, columns: Int, into y: UnsafeMutablePointer<Float>
    ) {
        guard rows > 1, columns > 1 else { return y.update(from: x, count: count) }
        for start in stride(from: 0, to: count, by: rows * columns) {
            for row in 0..<rows {
                for column in 0..<columns { y[start + column * rows + row] = x[start + row * columns + column] }
            }
        }
    }

    /// The sum of products, in 32 partial sums that take turns: so many that no addition waits for the one before it.
    static func dot(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ count: Int) -> Double {
        // Four variables: of longer vectors, or an array, the compiler makes memory.
        var (a, b, c, d) = (SIMD8<Float>.zero, SIMD8<Float>.zero, SIMD8<Float>.zero, SIMD8<Float>.zero)
        func product(_ index: Int) -> SIMD8<Float> {
            // Not `addProduct`, which is a call where the processor's instructions are not known.
            UnsafeRawPointer(x + index).loadUnaligned(as: SIMD8<Float>.self)
                * UnsafeRawPointer(y + index).loadUnaligned(as: SIMD8<Float>.self)
        }
        let whole = count / 32 * 32
        for index in stride(from: 0, to: whole, by: 32) {
            a += product(index)
            b += product(index + 8)
            c += product(index + 16)
            d += product(index + 24)
        }
        var sum = Double(((a + b) + (c + d)).sum())
        for index in whole..<count { sum += Double(x[index]) * Double(y[index]) }
        return sum
    }

    /// The largest magnitude among finite numbers; 0 where there are none.
    static func largestMagnitude(_ x: UnsafeBufferPointer<Float>) -> Float {
        // The bits of magnitudes are in the order of the numbers, and of integers the compiler makes vectors.
        let infinity = Int32(bitPattern: Float.infinity.bitPattern)
        var largest: Int32 = 0
        for value in x {
            let bits = Int32(bitPattern: value.bitPattern) & .max
            largest = max(largest, bits < infinity ? bits : 0)
        }
        return Float(bitPattern: UInt32(bitPattern: largest))
    }

    static func add(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int, into y: UnsafeMutablePointer<Float>
    ) {
        for index in 0..<count { y[index] = a[index] + b[index] }
    }

    static func mix(
        _ a: UnsafeMutablePointer<Float>, _ alpha: Float, _ b: UnsafePointer<Float>, _ beta: Float, _ count: Int
    ) {
        for index in 0..<count { a[index] = a[index] * alpha + b[index] * beta }
    }

    /// `a = a·α + b·β`
    static func mix(
        _ a: UnsafeMutablePointer<Float>, _ alpha: Double, _ b: UnsafePointer<Float>, _ beta: Double, _ count: Int
    ) {
        for index in 0..<count { a[index] = Float(Double(a[index]) * alpha + Double(b[index]) * beta) }
    }

    /// The sum over rows of each column.
    static func sumRows(
        _ x: UnsafePointer<Float>, rows: Int, columns: Int, into y: UnsafeMutablePointer<Float>
    ) {
        y.update(repeating: 0, count: columns)
        for row in 0..<rows { for column in 0..<columns { y[column] += x[row * columns + column] } }
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
