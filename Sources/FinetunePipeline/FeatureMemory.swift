// Rows in memory, in blocks: a long array would be copied again and again as it grows.

internal import FinetuneEngine
internal import Synchronization

/// Slots in memory.
final class FeatureMemory: FeatureRows {
    let bytesPerRow: Int
    private let element: FeatureStore.Element
    private let rowsPerBlock: Int
    private let blocks = Mutex<[RowStorage]>([])

    /// Bytes a block, where a row is not longer.
    private static let blockByteCount = 1 << 24

    init(_ valuesPerRow: Int, _ element: FeatureStore.Element) {
        self.element = element
        bytesPerRow = FeatureRecords.paddedByteCount(valuesPerRow, element)
        rowsPerBlock = max(1, Self.blockByteCount / bytesPerRow)
    }

    func reserve(_ slot: Int) {
        blocks.withLock { blocks in
            if slot / rowsPerBlock == blocks.count {
                blocks.append(RowStorage(count: rowsPerBlock, bytesPerRow: bytesPerRow))
            }
        }
    }

    // A slot is written by the one task that claimed it, and read only after the store has its name.

    func write(_ name: FeatureName, at slot: Int, _ row: Span<Float>) {
        let block = blocks.withLock { $0[slot / rowsPerBlock] }
        block.write(slot % rowsPerBlock) { element.encode(row, into: &$0) }
    }

    func read(_ name: FeatureName, at slot: Int, into row: inout MutableSpan<Float>) -> Bool {
        let block = blocks.withLock { $0[slot / rowsPerBlock] }
        block.read(slot % rowsPerBlock) { element.decode($0, into: &row) }
        return true
    }
}
