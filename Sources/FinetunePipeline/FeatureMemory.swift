// Rows in memory, in blocks: a long array would be copied again and again as it grows.

internal import Synchronization

/// Slots in memory.
final class FeatureMemory: FeatureRows {
    let bytesPerRow: Int
    private let element: FeatureStore.Element
    private let rowsPerBlock: Int
    private let blocks = Mutex<[Block]>([])

    /// Bytes a block, where a row is not longer.
    private static let blockByteCount = 1 << 24

    init(_ valuesPerRow: Int, _ element: FeatureStore.Element) {
        self.element = element
        bytesPerRow = FeatureRecords.paddedByteCount(valuesPerRow, element)
        rowsPerBlock = max(1, Self.blockByteCount / bytesPerRow)
    }

    func reserve(_ slot: Int) {
        blocks.withLock { blocks in
            if slot / rowsPerBlock == blocks.count { blocks.append(Block(byteCount: rowsPerBlock * bytesPerRow)) }
        }
    }

    func write(_ name: FeatureName, at slot: Int, _ row: UnsafeBufferPointer<Float>) {
        let block = blocks.withLock { $0[slot / rowsPerBlock] }
        withExtendedLifetime(block) { element.encode(row, into: block.bytes + slot % rowsPerBlock * bytesPerRow) }
    }

    func read(_ name: FeatureName, at slot: Int, into row: UnsafeMutableBufferPointer<Float>) -> Bool {
        let block = blocks.withLock { $0[slot / rowsPerBlock] }
        withExtendedLifetime(block) { element.decode(block.bytes + slot % rowsPerBlock * bytesPerRow, into: row) }
        return true
    }

    /// Memory for some rows, freed with the object.
    private final class Block: @unchecked Sendable {
        // Unchecked: a slot is written by the one task that claimed it, and read only after the store has its name.
        let bytes: UnsafeMutableRawPointer

        init(byteCount: Int) { bytes = .allocate(byteCount: byteCount, alignment: 64) }

        deinit { bytes.deallocate() }
    }
}
