// What the allocator holds for later.

internal import CFinetuneMalloc

package enum ProcessMemory {
    /// Gives memory that was freed, and that the allocator keeps between what is still used, back to the system: after
    /// work that leaves much less than it needed.
    package static func giveBack() { _ = malloc_trim(0) }
}
