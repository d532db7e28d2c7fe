// Memory as vector instructions like it.

internal import Glibc

/// Raw bytes, 64-byte aligned, freed with the object.
final class AlignedBytes {
    let address: UnsafeMutableRawPointer
    /// What the system gave, where it was asked itself.
    private let mapping: (start: UnsafeMutableRawPointer, byteCount: Int)?
    private static let hugePage = 1 << 21

    /// - Parameter isEvictable: Whether the system may put the bytes on the disk when others need the memory. Where the
    ///   disk has no room for them, they stay in memory.
    init(byteCount: Int, isEvictable: Bool = false) {
        if isEvictable, let start = Self.mapFile(byteCount) {
            (address, mapping) = (start, (start, byteCount))
            return
        }
        mapping = byteCount >= Self.hugePage ? Self.map(byteCount + Self.hugePage) : nil
        guard let mapping else {
            // Swift's own allocation prints a stack trace if memory is refused.
            guard let start = aligned_alloc(64, (max(byteCount, 64) + 63) / 64 * 64) else { abort() }
            address = start
            return
        }
        address = mapping.start.alignedUp(toMultipleOf: Self.hugePage)
        // Where the system gives pages of 2 MB, filling them takes a fraction of the time, and so does finding them. The
        // last bytes, which would leave most of one empty, have small ones.
        let whole = byteCount / Self.hugePage * Self.hugePage
        madvise(address, whole, MADV_HUGEPAGE)
        madvise(address + whole, mapping.byteCount - (address - mapping.start) - whole, MADV_NOHUGEPAGE)
    }

    /// Large blocks come from the system and go back to it: `malloc` would keep them for others that never come.
    private static func map(_ byteCount: Int) -> (UnsafeMutableRawPointer, Int)? {
        let start = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        return start == MAP_FAILED ? nil : start.map { ($0, byteCount) }
    }

    /// The bytes of a file without a name, which ends with its mapping, in the folder for large temporary files. Its
    /// whole size is allocated, for a disk that is full when a page is written would end the program.
    private static func mapFile(_ byteCount: Int) -> UnsafeMutableRawPointer? {
        // The last six letters are mkstemp's to replace.
        var name = Array("\(Machine.temporaryFolder)/finetune-XXXXXX".utf8CString)
        let descriptor = mkstemp(&name)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        unlink(name)
        guard posix_fallocate(descriptor, 0, byteCount) == 0 else { return nil }
        let start = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        return start == MAP_FAILED ? nil : start
    }

    deinit {
        if let mapping { munmap(mapping.start, mapping.byteCount) } else { free(address) }
    }
}
