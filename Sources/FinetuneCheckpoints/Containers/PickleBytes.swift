// The bytes of pickles in a file that may be larger than memory.

internal import FinetuneFiles

/// Reads a source from a position on in pieces, and no further than a limit.
struct PickleBytes {
    private static let pieceCount = 1 << 16

    private let source: ByteSource
    private let end: Int
    /// Where the next byte is in the source.
    private(set) var position: Int
    /// The bytes of the source from `start` on.
    private var piece: [UInt8] = []
    private var start = 0

    /// - Parameter limit: The bytes from `position` on that are read at most.
    init(_ source: ByteSource, at position: Int, limit: Int) {
        self.source = source
        self.position = position
        end = position + min(max(source.count - position, 0), limit)
    }

    /// Whether the limit, not the source, ends here.
    var isLimited: Bool { end < source.count }

    /// The next `count` bytes; nil past the end.
    mutating func take(_ count: Int) throws -> ArraySlice<UInt8>? {
        guard count >= 0, count <= end - position else { return nil }
        if position - start + count > piece.count {
            let wanted = max(count, min(Self.pieceCount, end - position))
            guard let next = try source.bytes(at: position, count: wanted) else { return nil }
            (piece, start) = (next, position)
        }
        defer { position += count }
        return piece[position - start..<position - start + count]
    }

    mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number? {
        try take(MemoryLayout<Number>.size)?.reversed().reduce(0) { $0 << 8 | Number(truncatingIfNeeded: $1) }
    }
}
