// Dense float32 numbers with a shape: what weights, batches and features are made of.

/// A dense, row-major array of 32-bit floats.
///
/// A value: it never changes after it was made, so copies share their storage and cross threads freely.
package struct Tensor: Sendable {
    /// The size of each dimension, slowest first; `[]` is a scalar.
    package let shape: [Int]
    private let storage: TensorStorage

    /// The number of elements.
    package var count: Int { storage.count }

    /// Wraps storage that somebody else filled, such as memory that a file's reader shares.
    ///
    /// - Precondition: `storage` holds exactly as many floats as `shape` says.
    package init(shape: [Int], storage: TensorStorage) {
        precondition(
            shape.reduce(1, *) == storage.count, "a tensor of \(shape) got \(storage.count) floats")
        self.shape = shape
        self.storage = storage
    }

    /// Makes a tensor whose elements `fill` writes; they hold garbage before.
    package init(shape: [Int], filledBy fill: (inout MutableSpan<Float>) throws -> Void) rethrows {
        let storage = TensorStorage(count: shape.reduce(1, *))
        try storage.write(0..<storage.count, fill)
        self.init(shape: shape, storage: storage)
    }

    /// A tensor whose elements a kernel or a decoder writes by their address.
    package static func unsafelyFilled(
        shape: [Int], by fill: (UnsafeMutableBufferPointer<Float>) throws -> Void
    ) rethrows -> Tensor {
        let storage = TensorStorage(count: shape.reduce(1, *))
        try fill(UnsafeMutableBufferPointer(mutating: storage.values))
        return Tensor(shape: shape, storage: storage)
    }

    package init(shape: [Int], values: [Float]) {
        precondition(shape.reduce(1, *) == values.count, "a tensor of \(shape) got \(values.count) floats")
        self.init(shape: shape) { $0.update(from: values.span) }
    }

    package init(shape: [Int], repeating value: Float) {
        self.init(shape: shape) { $0.update(repeating: value) }
    }

    /// Shows the elements, in row-major order.
    package func withSpan<Result>(_ body: (Span<Float>) throws -> Result) rethrows -> Result {
        try withUnsafeBufferPointer { try body($0.span) }
    }

    /// Shows the elements to a kernel that wants their address.
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
        return .unsafelyFilled(shape: newShape) { destination in
            withUnsafeBufferPointer { source in
                guard !destination.isEmpty else { return }
                let (sizes, steps) = Self.merged(newShape, steps)
                let strides = Self.rowMajorStrides(of: sizes)
                let last = sizes.count - 1
                // Rows of the result against rows of the source, in tiles that read and write whole cache lines.
                let near = steps.lastIndex(of: 1) ?? last
                let rows = near == last ? 1 : sizes[near]
                let outer = sizes.indices.filter { $0 != near && $0 != last }
                withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.tile * Self.tile) { buffer in
                    for firstRow in stride(from: 0, to: rows, by: Self.tile) {
                        let rowCount = min(Self.tile, rows - firstRow)
                        Self.forEachIndex(outer, sizes) { index in
                            var (from, to) = (firstRow, firstRow * strides[near])
                            for (dimension, place) in zip(outer, index) {
                                from += place * steps[dimension]
                                to += place * strides[dimension]
                            }
                            for firstColumn in stride(from: 0, to: sizes[last], by: Self.tile) {
                                let columnCount = min(Self.tile, sizes[last] - firstColumn)
                                for column in 0..<columnCount {
                                    let start = from &+ (firstColumn &+ column) &* steps[last]
                                    for row in 0..<rowCount {
                                        buffer[row &* Self.tile &+ column] = source[start &+ row]
                                    }
                                }
                                for row in 0..<rowCount {
                                    let start = to &+ row &* strides[near] &+ firstColumn
                                    for column in 0..<columnCount {
                                        destination[start &+ column] = buffer[row &* Self.tile &+ column]
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// Floats in a cache line.
    private static let tile = 16

    /// The same walk with fewer dimensions: those of one element go, neighbours that are walked as one become one.
    private static func merged(_ shape: [Int], _ steps: [Int]) -> (sizes: [Int], steps: [Int]) {
        var (sizes, merged): ([Int], [Int]) = ([], [])
        for (size, step) in zip(shape, steps) where size != 1 {
            if let size0 = sizes.last, let step0 = merged.last, step0 == step * size {
                sizes[sizes.count - 1] = size0 * size
                merged[merged.count - 1] = step
            } else {
                sizes.append(size)
                merged.append(step)
            }
        }
        return sizes.isEmpty ? ([1], [1]) : (sizes, merged)
    }

    /// Calls `body` with every index of some dimensions of a shape.
    private static func forEachIndex(_ dimensions: [Int], _ shape: [Int], _ body: ([Int]) -> Void) {
        var index = [Int](repeating: 0, count: dimensions.count)
        while true {
            body(index)
            var place = dimensions.count - 1
            while place >= 0 {
                index[place] += 1
                if index[place] < shape[dimensions[place]] { break }
                index[place] = 0
                place -= 1
            }
            if place < 0 { return }
        }
    }
}

/// Named tensors: the parameters and statistics of a network, apart from its graph, so that strategies share them.
///
/// A tensor's name is its node's name, a dot, and its role: `weight`, `bias`, `running_mean`, `running_var`.
package typealias Weights = [String: Tensor]

extension Weights {
    /// The name of the first tensor, in the order of names, with a number that is not finite; nil if there is none.
    package var firstNotFinite: String? { filter { !$0.value.isFinite }.keys.min() }
}
