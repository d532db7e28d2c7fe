// Matrices through OpenBLAS, row-major. With RowKernels the only files that call it.

internal import CFinetuneBLAS

/// Dense linear algebra for heads and their solvers.
///
/// OpenBLAS keeps one number of threads for the whole process; it is 1 but inside `withThreads`, so that its pool
/// never spins beside oneDNN's and a dense layer's result depends on nothing but its input.
package enum LinearAlgebra {
    /// Runs `body` with `count` threads.
    package static func withThreads<Result>(_ count: Int, _ body: () throws -> Result) rethrows -> Result {
        openblas_set_num_threads(Int32(clamping: count))
        defer { openblas_set_num_threads(1) }
        return try body()
    }

    /// The processor whose kernels OpenBLAS took, by its own name.
    package static var kernels: String { String(cString: openblas_get_corename()) }

    /// OpenBLAS's release, such as `0.3.21`.
    static var version: String {
        let words = String(cString: openblas_get_config()).split(separator: " ")
        return words.count > 1 ? String(words[1]) : "unknown"
    }

    static func useOneThread() { openblas_set_num_threads(1) }

    /// `c = a·bᵀ + β·c` with `a` `[rows, inner]`, `b` `[columns, inner]`, `c` `[rows, columns]`.
    static func multiply(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, rows: Int, inner: Int, columns: Int,
        adding beta: Float = 0, into c: UnsafeMutablePointer<Float>
    ) {
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, Int32(rows), Int32(columns), Int32(inner), 1, a, Int32(inner), b,
            Int32(inner), beta, c, Int32(columns))
    }

    /// `c = a·b` with `a` `[rows, inner]`, `b` `[inner, columns]`, `c` `[rows, columns]`.
    static func multiplyPlain(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, rows: Int, inner: Int, columns: Int,
        into c: UnsafeMutablePointer<Float>
    ) {
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(rows), Int32(columns), Int32(inner), 1, a, Int32(inner), b,
            Int32(columns), 0, c, Int32(columns))
    }

    /// `c = aᵀ·b` with `a` `[rows, m]`, `b` `[rows, n]`, `c` `[m, n]`.
    static func multiplyTransposed(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, rows: Int, m: Int, n: Int,
        adding beta: Float = 0, into c: UnsafeMutablePointer<Float>
    ) {
        cblas_sgemm(
            CblasRowMajor, CblasTrans, CblasNoTrans, Int32(m), Int32(n), Int32(rows), 1, a, Int32(m), b, Int32(n), beta,
            c,
            Int32(n))
    }

    /// `c = a·bᵀ` with `a` `[rows, inner]`, `b` `[columns, inner]`, `c` `[rows, columns]`.
    package static func multiply(_ a: Tensor, _ b: [Float], columns: Int, into c: inout [Float]) {
        let (rows, inner) = (a.shape[0], a.shape[1])
        precondition(b.count == columns * inner && c.count == rows * columns, "a product got matrices of other shapes")
        a.withUnsafeBufferPointer { a in
            guard let a = a.baseAddress else { return }
            multiply(a, b, rows: rows, inner: inner, columns: columns, into: &c)
        }
    }

    /// `c = aᵀ·b` with `a` `[rows, m]`, `b` `[rows, n]`, `c` `[m, n]`.
    package static func multiplyTransposed(_ a: [Float], _ b: Tensor, m: Int, into c: inout [Float]) {
        let (rows, n) = (b.shape[0], b.shape[1])
        precondition(a.count == rows * m && c.count == m * n, "a product got matrices of other shapes")
        b.withUnsafeBufferPointer { b in
            guard let b = b.baseAddress else { return }
            multiplyTransposed(a, b, rows: rows, m: m, n: n, into: &c)
        }
    }

    /// Solves `a·x = b` for a symmetric positive definite `a` `[n, n]` and `count` right-hand sides, one a row of `b`.
    ///
    /// - Returns: The solutions in the rows of `b`'s place; nil where `a` is not positive definite.
    package static func solve(_ a: [Double], _ b: [Double], n: Int, count: Int) -> [Double]? {
        precondition(a.count == n * n && b.count == n * count, "a system of \(n) equations got \(a.count) coefficients")
        var (factor, solution) = (a, b)
        var (size, sides, info) = (Int32(n), Int32(count), Int32(0))
        dpotrf_("L", &size, &factor, &size, &info, 1)
        guard info == 0 else { return nil }
        // A row of our right-hand sides is a column of Fortran's.
        var leading = size
        dpotrs_("L", &size, &sides, factor, &leading, &solution, &size, &info, 1)
        return info == 0 ? solution : nil
    }
}

extension LinearAlgebra {
    /// The inner products of a matrix's columns with one another, `xᵀ·x`, or of its rows, `x·xᵀ`, in single precision.
    ///
    /// - Parameter x: Shape `[rows, columns]`.
    package static func gram(_ x: Tensor, ofColumns: Bool) -> [Float] {
        let (rows, columns) = (x.shape[0], x.shape[1])
        let size = ofColumns ? columns : rows
        var result = [Float](repeating: 0, count: size * size)
        x.withUnsafeBufferPointer { x in
            guard let x = x.baseAddress else { return }
            if ofColumns {
                multiplyTransposed(x, x, rows: rows, m: columns, n: columns, into: &result)
            } else {
                multiply(x, x, rows: rows, inner: columns, columns: rows, into: &result)
            }
        }
        return result
    }

    /// The inner products of a matrix's columns with one another, `xᵀ·x`, or of its rows, `x·xᵀ`.
    ///
    /// - Parameter x: Shape `[rows, columns]`.
    package static func gram(_ x: [Double], rows: Int, columns: Int, ofColumns: Bool) -> [Double] {
        let (size, inner) = ofColumns ? (columns, rows) : (rows, columns)
        var result = [Double](repeating: 0, count: size * size)
        cblas_dsyrk(
            CblasRowMajor, CblasLower, ofColumns ? CblasTrans : CblasNoTrans, Int32(size), Int32(inner), 1, x,
            Int32(columns), 0, &result, Int32(size))
        for row in 0..<size { for column in 0..<row { result[column * size + row] = result[row * size + column] } }
        return result
    }

    /// `a·bᵀ` with `a` `[rows, inner]`, `b` `[columns, inner]`: shape `[rows, columns]`.
    package static func products(
        ofRows a: [Double], andRows b: [Double], rows: Int, inner: Int, columns: Int
    ) -> [Double] {
        var result = [Double](repeating: 0, count: rows * columns)
        cblas_dgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, Int32(rows), Int32(columns), Int32(inner), 1, a, Int32(inner), b,
            Int32(inner), 0, &result, Int32(columns))
        return result
    }

    /// The eigenvalues of a symmetric matrix, ascending, and its eigenvectors, one a row.
    ///
    /// - Parameter a: Shape `[n, n]`, finite numbers.
    /// - Returns: Nil where the algorithm does not converge.
    package static func eigenvectors(_ a: [Double], n: Int) -> (values: [Double], vectors: [Double])? {
        var (vectors, values) = (a, [Double](repeating: 0, count: n))
        var (size, info) = (Int32(n), Int32(0))
        var (bestWork, bestIndices) = (0.0, Int32(0))
        var (workCount, indexCount) = (Int32(-1), Int32(-1))
        var leading = size
        dsyevd_(
            "V", "L", &size, &vectors, &leading, &values, &bestWork, &workCount, &bestIndices, &indexCount, &info, 1, 1)
        guard info == 0 else { return nil }
        (workCount, indexCount) = (Int32(bestWork), bestIndices)
        var work = [Double](repeating: 0, count: Int(workCount))
        var indices = [Int32](repeating: 0, count: Int(indexCount))
        dsyevd_(
            "V", "L", &size, &vectors, &leading, &values, &work, &workCount, &indices, &indexCount, &info, 1, 1)
        return info == 0 ? (values, vectors) : nil
    }

    /// The sum of a matrix's rows, each times its weight.
    ///
    /// - Parameter x: Shape `[weights, columns]`.
    package static func weightedSum(ofRows x: [Double], _ weights: [Double], columns: Int) -> [Double] {
        var sum = [Double](repeating: 0, count: columns)
        cblas_dgemv(
            CblasRowMajor, CblasTrans, Int32(weights.count), Int32(columns), 1, x, Int32(columns), weights, 1, 0, &sum,
            1)
        return sum
    }
}

extension Tensor {
    /// The head's product for each row by itself, with the same arithmetic as a program's dense layer.
    ///
    /// - Parameters:
    ///   - weight: Shape `[outputs, inputs]`.
    ///   - bias: Shape `[outputs]`.
    /// - Returns: Shape `[rows, outputs]`, for this tensor of shape `[rows, inputs]`.
    package func dense(weight: Tensor, bias: Tensor) -> Tensor {
        let (rows, inputs, outputs) = (shape[0], shape[1], weight.shape[0])
        return .unsafelyFilled(shape: [rows, outputs]) { result in
            withUnsafeBufferPointer { values in
                guard let x = values.baseAddress, let y = result.baseAddress else { return }
                for row in 0..<rows {
                    DenseLayer.forward(x + row * inputs, weight: weight, bias: bias, into: y + row * outputs)
                }
            }
        }
    }

    /// The rows without their mean, in double precision.
    package func centered(_ mean: [Double]) -> [Double] {
        let columns = mean.count
        return [Double](unsafeUninitializedCapacity: count) { result, written in
            withUnsafeBufferPointer { values in
                for start in stride(from: 0, to: values.count, by: columns) {
                    for column in 0..<columns { result[start + column] = Double(values[start + column]) - mean[column] }
                }
            }
            written = count
        }
    }
}
