// The memory of tensors and of kept rows. Code above it reads and writes them through spans.

/// The memory behind one or more tensors: 64-byte aligned, only read as long as there are any.
package final class TensorStorage: @unchecked Sendable {
    // Unchecked: the values are written before the first tensor shows them, and never after.
    let values: UnsafeBufferPointer<Float>
    private let release: () -> Void

    /// Bytes from which on a tensor is no network's weight nor a batch, but the features of a whole data set: the system
    /// may then put them on the disk, so that they can be more than there is memory.
    private static let evictableByteCount = 1 << 28

    /// Allocates `count` floats, uninitialized.
    package init(count: Int) {
        let bytes = AlignedBytes(byteCount: count * 4, isEvictable: count * 4 >= Self.evictableByteCount)
        values = UnsafeBufferPointer(start: bytes.address.bindMemory(to: Float.self, capacity: count), count: count)
        release = { withExtendedLifetime(bytes) {} }
    }

    /// Shows floats that `owner` keeps alive, without a copy.
    package init(sharing values: UnsafeBufferPointer<Float>, owner: any AnyObject & Sendable) {
        self.values = values
        release = { withExtendedLifetime(owner) {} }
    }

    deinit { release() }

    /// The number of floats.
    package var count: Int { values.count }

    /// Lets `body` write the floats at a range of places. No tensor may show them meanwhile, nor may another task.
    package func write<Result>(
        _ places: Range<Int>, _ body: (inout MutableSpan<Float>) throws -> Result
    ) rethrows -> Result {
        precondition(values.indices.contains(places), "\(places) of \(count) floats")
        return try withExtendedLifetime(self) {
            let part = UnsafeMutableBufferPointer(mutating: UnsafeBufferPointer(rebasing: values[places]))
            var span = part.mutableSpan
            return try body(&span)
        }
    }

    /// The first floats, without a copy.
    package func prefix(_ count: Int) -> TensorStorage {
        TensorStorage(sharing: UnsafeBufferPointer(rebasing: values[..<count]), owner: self)
    }
}

/// Memory for rows of bytes of one size, which many tasks write and read side by side.
package final class RowStorage: @unchecked Sendable {
    // Unchecked: a row is written by one task, and read only when that has written it.
    private let bytes: AlignedBytes
    private let count: Int
    private let bytesPerRow: Int

    /// Allocates rows, uninitialized.
    package init(count: Int, bytesPerRow: Int) {
        (self.count, self.bytesPerRow) = (count, bytesPerRow)
        bytes = AlignedBytes(byteCount: count * bytesPerRow)
    }

    /// Lets `body` write a row. No other task may use that row meanwhile.
    package func write<Result>(_ row: Int, _ body: (inout MutableRawSpan) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(bytes) {
            let buffer = UnsafeMutableRawBufferPointer(start: address(of: row), count: bytesPerRow)
            var span = buffer.mutableBytes
            return try body(&span)
        }
    }

    /// Shows a row. No task may write to it meanwhile.
    package func read<Result>(_ row: Int, _ body: (RawSpan) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(bytes) {
            let buffer = UnsafeRawBufferPointer(start: address(of: row), count: bytesPerRow)
            return try body(buffer.bytes)
        }
    }

    private func address(of row: Int) -> UnsafeMutableRawPointer {
        precondition((0..<count).contains(row), "row \(row) of \(count)")
        return bytes.address + row * bytesPerRow
    }
}
