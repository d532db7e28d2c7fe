// Where the values of a program lie in one block of memory: two share bytes when their lives do not overlap.

/// Assigns offsets in one arena to buffers with known sizes and lifetimes, greedily, the largest first.
struct BufferPlan {
    /// A buffer: its size and the first and last instruction that touches it.
    struct Buffer {
        var byteCount: Int
        var firstUse: Int
        var lastUse: Int

        func overlaps(_ other: Buffer) -> Bool { firstUse <= other.lastUse && other.firstUse <= lastUse }
    }

    /// Multiples of 64 bytes.
    let offsets: [Int]
    let byteCount: Int

    init(_ buffers: [Buffer]) {
        var offsets = [Int](repeating: 0, count: buffers.count)
        var placed: [Int] = []
        var end = 0
        for index in buffers.indices.sorted(by: { buffers[$0].byteCount > buffers[$1].byteCount }) {
            let size = (buffers[index].byteCount + 63) / 64 * 64
            let taken = placed.filter { buffers[$0].overlaps(buffers[index]) }
                .map { (start: offsets[$0], end: offsets[$0] + (buffers[$0].byteCount + 63) / 64 * 64) }
                .sorted { $0.start < $1.start }
            var offset = 0
            for range in taken {
                if offset + size <= range.start { break }
                offset = max(offset, range.end)
            }
            offsets[index] = offset
            placed.append(index)
            end = max(end, offset + size)
        }
        self.offsets = offsets
        byteCount = end
    }
}
