// What the machine is, as far as results and limits depend on it.

internal import CFinetuneDNNL
internal import Glibc

/// The machine that this runs on.
public enum Machine {
    /// Bytes of memory.
    package static var physicalMemory: Int { sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) }

    /// Where large temporary files go: what TMPDIR says, else the folder that is on a disk rather than in memory.
    package static var temporaryFolder: String { getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp" }

    /// The number of processors that this process may use.
    public static var availableProcessors: Int { max(1, Int(omp_get_num_procs())) }

    /// Whether the order of a program's sums, and so the last digits of results, depends on the size of its batch: where
    /// fp32 goes through oneDNN's own Winograd kernels.
    package static func sumsDependOnBatch(_ precision: Precision) -> Bool {
        precision == .fp32 && finetune_blocks_by_eight() == 0
    }

    /// The processor's instructions and the library that uses them: where they differ, last digits of results do.
    package static var arithmetic: String {
        let version = dnnl_version().pointee
        return "oneDNN \(version.major).\(version.minor), instructions \(dnnl_get_effective_cpu_isa().rawValue)"
    }
}
