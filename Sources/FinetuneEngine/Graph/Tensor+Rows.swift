// Tensors row by row, without a pointer: the first dimension counts rows. A loop over a row's own indices needs no check
// of bounds, so that it costs what it would with pointers.

extension Tensor {
    /// Elements a row.
    private var rowSize: Int { shape.dropFirst().reduce(1, *) }

    /// Makes a tensor row by row.
    ///
    /// - Parameter fill: Is given the number of a row and writes its elements; they hold garbage before.
    package init(rowsOf shape: [Int], filledBy fill: (Int, inout MutableSpan<Float>) throws -> Void) rethrows {
        let size = shape.dropFirst().reduce(1, *)
        let storage = TensorStorage(count: shape.reduce(1, *))
        for row in 0..<(shape.first ?? 1) {
            try storage.write(row * size..<(row + 1) * size) { try fill(row, &$0) }
        }
        self.init(shape: shape, storage: storage)
    }

    /// Makes a tensor of the elements of others, one behind the other.
    package init(shape: [Int], concatenating parts: [Tensor]) {
        self.init(shape: shape) { target in
            var start = 0
            for part in parts {
                part.withSpan { target.update(at: start, from: $0) }
                start += part.count
            }
            precondition(start == target.count, "parts of \(start) elements for a tensor of \(shape)")
        }
    }

    /// Calls `body` with the number and the elements of each row.
    package func forEachRow(_ body: (Int, Span<Float>) throws -> Void) rethrows {
        let size = rowSize
        try withSpan { values in
            for row in 0..<(shape.first ?? 1) { try body(row, values.extracting(row * size..<(row + 1) * size)) }
        }
    }

    /// A tensor of the same shape, each of whose rows `fill` makes of this one's.
    ///
    /// - Parameter fill: Is given the number of a row, its elements, and those to write, which hold garbage before.
    package func mapRows(_ fill: (Int, Span<Float>, inout MutableSpan<Float>) throws -> Void) rethrows -> Tensor {
        let size = rowSize
        return try withSpan { values in
            try Tensor(rowsOf: shape) { row, result in
                try fill(row, values.extracting(row * size..<(row + 1) * size), &result)
            }
        }
    }

    /// The elements of a row, copied.
    package func row(_ index: Int) -> [Float] { rows([index]).values }

    /// The chosen rows, in their order.
    package func rows(_ indices: [Int]) -> Tensor {
        let size = rowSize
        return withSpan { values in
            Tensor(rowsOf: [indices.count] + shape.dropFirst()) { place, row in
                row.update(from: values.extracting(indices[place] * size..<(indices[place] + 1) * size))
            }
        }
    }

    /// Whether both have one shape and the same bits.
    package func hasSameBits(as other: Tensor) -> Bool {
        guard shape == other.shape else { return false }
        return withSpan { a in
            other.withSpan { b in a.indices.allSatisfy { a[$0].bitPattern == b[$0].bitPattern } }
        }
    }

    /// Whether every element is finite.
    package var isFinite: Bool { withSpan { $0.areFinite } }
}

extension Span<Float> {
    /// Whether every number is finite.
    package var areFinite: Bool {
        withUnsafeBytes { bytes in
            // A finite number times zero is zero, everything else is no number. Sums in vectors, as order does not matter.
            let width = MemoryLayout<SIMD16<Float>>.size
            let whole = bytes.count / width * width
            var sums = SIMD16<Float>.zero
            for offset in stride(from: 0, to: whole, by: width) {
                sums += bytes.loadUnaligned(fromByteOffset: offset, as: SIMD16<Float>.self) * 0
            }
            var sum = sums.sum()
            for offset in stride(from: whole, to: bytes.count, by: MemoryLayout<Float>.size) {
                sum += bytes.loadUnaligned(fromByteOffset: offset, as: Float.self) * 0
            }
            return sum == 0
        }
    }
}

extension MutableSpan<Float> {
    /// Copies numbers to the places from `start` on.
    package mutating func update(at start: Int = 0, from source: Span<Float>) {
        precondition(
            start >= 0 && source.count <= count - start, "\(source.count) numbers for place \(start) of \(count)")
        withUnsafeMutableBufferPointer { target in
            source.withUnsafeBufferPointer { source in
                _ = UnsafeMutableBufferPointer(rebasing: target[start...]).update(from: source)
            }
        }
    }

    /// Lets `body` write the numbers at a range of places.
    package mutating func write<Result>(
        _ places: Range<Int>, _ body: (inout MutableSpan<Float>) throws -> Result
    ) rethrows -> Result {
        precondition(indices.contains(places), "\(places) of \(count) numbers")
        return try withUnsafeMutableBufferPointer { buffer in
            let part = UnsafeMutableBufferPointer(rebasing: buffer[places])
            var span = part.mutableSpan
            return try body(&span)
        }
    }
}
