// Memory as vector instructions like it.

internal import Glibc

/// Raw bytes, 64-byte aligned, freed with the object.
final class AlignedBytes {
    let address: UnsafeMutableRawPointer
    private static let hugePage = 1 << 21

    init(byteCount: Int) {
        let isLarge = byteCount >= Self.hugePage
        address = .allocate(byteCount: max(byteCount, 64), alignment: isLarge ? Self.hugePage : 64)
        // Where the system gives pages of 2 MB, filling them takes a fraction of the time, and so does finding them.
        if isLarge { madvise(address, byteCount, MADV_HUGEPAGE) }
    }

    deinit { address.deallocate() }
}
