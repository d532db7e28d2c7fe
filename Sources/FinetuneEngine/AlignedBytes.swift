// Memory as vector instructions like it.

internal import Glibc

/// Raw bytes, 64-byte aligned, freed with the object.
final class AlignedBytes {
    let address: UnsafeMutableRawPointer
    /// What the system gave, where it was asked itself.
    private let mapping: (start: UnsafeMutableRawPointer, byteCount: Int)?
    private static let hugePage = 1 << 21

    init(byteCount: Int) {
        mapping = byteCount >= Self.hugePage ? Self.map(byteCount + Self.hugePage) : nil
        guard let mapping else {
            address = .allocate(byteCount: max(byteCount, 64), alignment: 64)
            return
        }
        address = mapping.start.alignedUp(toMultipleOf: Self.hugePage)
        // Where the system gives pages of 2 MB, filling them takes a fraction of the time, and so does finding them.
        madvise(address, byteCount, MADV_HUGEPAGE)
    }

    /// Large blocks come from the system and go back to it: `malloc` would keep them for others that never come.
    private static func map(_ byteCount: Int) -> (UnsafeMutableRawPointer, Int)? {
        let start = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        return start == MAP_FAILED ? nil : start.map { ($0, byteCount) }
    }

    deinit {
        if let mapping { munmap(mapping.start, mapping.byteCount) } else { address.deallocate() }
    }
}
