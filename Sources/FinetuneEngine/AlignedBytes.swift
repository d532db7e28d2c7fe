// Memory as vector instructions like it.

/// Raw bytes, 64-byte aligned, freed with the object.
final class AlignedBytes {
    let address: UnsafeMutableRawPointer

    init(byteCount: Int) { address = .allocate(byteCount: max(byteCount, 64), alignment: 64) }

    deinit { address.deallocate() }
}
