// Memory as vector instructions like it.

internal import Glibc

/// Raw bytes, 64-byte aligned, freed with the object.
final class AlignedBytes {
    let address: UnsafeMutableRawPointer

    init(byteCount: Int) { address = .allocate(byteCount: max(byteCount, 64), alignment: 64) }

    deinit { address.deallocate() }

    /// Bytes of memory in this machine.
    static var physicalMemory: Int { sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) }
}
