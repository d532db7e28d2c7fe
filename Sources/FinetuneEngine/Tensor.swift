// Dense float32 numbers with a shape: what weights, batches and features are made of.

/// A dense, row-major array of 32-bit floats.
///
/// A value: it never changes after it was made, so copies share their storage and cross threads freely.
package struct Tensor: Sendable {
    /// The size of each dimension, slowest first; `[]` is a scalar.
    package let shape: [Int]
    private let storage: TensorStorage

    /// The number of elements.
    package var count: Int { storage.values.count }

    /// Wraps storage that somebody else filled, such as memory that a file's reader shares.
    ///
    /// - Precondition: `storage` holds exactly as many floats as `shape` says.
    package init(shape: [Int], storage: TensorStorage) {
        precondition(
            shape.reduce(1, *) == storage.values.count, "a tensor of \(shape) got \(storage.values.count) floats")
        self.shape = shape
        self.storage = storage
    }

    /// Makes a tensor whose elements `fill` writes; they hold garbage before.
    package init(shape: [Int], filledBy fill: (UnsafeMutableBufferPointer<Float>) throws -> Void) rethrows {
        let storage = TensorStorage(count: shape.reduce(1, *))
        try fill(UnsafeMutableBufferPointer(mutating: storage.values))
        self.shape = shape
        self.storage = storage
    }

    package init(shape: [Int], values: [Float]) {
        precondition(shape.reduce(1, *) == values.count, "a tensor of \(shape) got \(values.count) floats")
        self.init(shape: shape) { buffer in _ = buffer.update(from: values) }
    }

    package init(shape: [Int], repeating value: Float) {
        self.init(shape: shape) { $0.update(repeating: value) }
    }

    package func withUnsafeBufferPointer<Result>(
        _ body: (UnsafeBufferPointer<Float>) throws -> Result
    ) rethrows -> Result {
        try withExtendedLifetime(storage) { try body(storage.values) }
    }

    /// The elements, copied, in row-major order.
    package var values: [Float] { withUnsafeBufferPointer(Array.init) }

    /// The same elements under another shape of the same count.
    package func reshaped(_ shape: [Int]) -> Tensor { Tensor(shape: shape, storage: storage) }

    /// The tensor with its dimensions in another order: dimension `i` of the result is `order[i]` of this.
    package func transposed(_ order: [Int]) -> Tensor {
        precondition(order.sorted() == Array(shape.indices), "\(order) is no order of \(shape.count) dimensions")
        let strides = Self.rowMajorStrides(of: shape)
        return strided(order.map { shape[$0] }, order.map { strides[$0] })
    }

    /// How many elements lie between neighbours in each dimension of a row-major array.
    package static func rowMajorStrides(of shape: [Int]) -> [Int] {
        var strides = [Int](repeating: 1, count: shape.count)
        for dimension in shape.indices.dropLast().reversed() {
            strides[dimension] = strides[dimension + 1] * shape[dimension + 1]
        }
        return strides
    }

    /// A tensor of elements of this one, `strides` apart in each dimension.
    ///
    /// - Precondition: No element lies outside.
    package func strided(_ newShape: [Int], _ steps: [Int]) -> Tensor {
        precondition(
            zip(newShape, steps).reduce(0) { $0 + ($1.0 - 1) * $1.1 } < count || newShape.contains(0),
            "\(newShape) with strides \(steps) reaches past \(count) elements")
        return Tensor(shape: newShape) { destination in
            withUnsafeBufferPointer { source in
                guard !destination.isEmpty, let innerCount = newShape.last, let innerStep = steps.last else {
                    if !destination.isEmpty { destination[0] = source[0] }
                    return
                }
                var index = [Int](repeating: 0, count: newShape.count)
                var from = 0
                for to in stride(from: 0, to: destination.count, by: innerCount) {
                    for inner in 0..<innerCount { destination[to + inner] = source[from + inner * innerStep] }
                    var dimension = newShape.count - 2
                    while dimension >= 0 {
                        index[dimension] += 1
                        from += steps[dimension]
                        if index[dimension] < newShape[dimension] { break }
                        from -= steps[dimension] * newShape[dimension]
                        index[dimension] = 0
                        dimension -= 1
                    }
                }
            }
        }
    }
}

/// The memory behind one or more tensors: 64-byte aligned, written once, then only read.
package final class TensorStorage: @unchecked Sendable {
    // Unchecked: nothing writes `values` after the initializer of the one tensor that fills it.
    package let values: UnsafeBufferPointer<Float>
    private let release: () -> Void

    /// Allocates `count` floats, uninitialized.
    package init(count: Int) {
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * 4, alignment: 64)
        values = UnsafeBufferPointer(start: bytes.bindMemory(to: Float.self, capacity: count), count: count)
        release = { bytes.deallocate() }
    }

    /// Shows floats that `owner` keeps alive, without a copy.
    package init(sharing values: UnsafeBufferPointer<Float>, owner: any AnyObject & Sendable) {
        self.values = values
        release = { withExtendedLifetime(owner) {} }
    }

    deinit { release() }
}

/// Named tensors: the parameters and statistics of a network, apart from its graph, so that strategies share them.
///
/// A tensor's name is its node's name, a dot, and its role: `weight`, `bias`, `running_mean`, `running_var`.
package typealias Weights = [String: Tensor]
