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

    /// Images of a size that a program takes at once: enough to pay for the way there, few enough to stay in the caches
    /// and in little memory.
    ///
    /// Where sums depend on the batch a single photograph costs a full one, so it is small where fp32 is what everybody
    /// computes in. Elsewhere those who ask for fp32 get what many images are fastest in: oneDNN's Winograd reads filters
    /// of four times as many numbers once a batch.
    package static func batch(height: Int, width: Int, _ precision: Precision) -> Int {
        let isForMany = sumsDependOnBatch(precision) && Precision.native != .fp32
        let pixels = isForMany ? 8 * 224 * 224 : 32768
        return max(2, min(32, pixels / max(1, height * width)))
    }

    /// The number of processors that the system has, of which this process may be limited to fewer.
    package static var onlineProcessors: Int { sysconf(Int32(_SC_NPROCESSORS_ONLN)) }

    /// The instructions and the libraries that use them: if they differ, the last digits of results do.
    package static var arithmetic: String {
        let instructions = instructionSets.last(where: \.isUsed)?.name ?? "no vector instructions"
        let hints = dnnl_get_cpu_isa_hints() == dnnl_cpu_isa_no_hints ? "" : " with hints"
        return "oneDNN \(libraryVersion) by \(instructions)\(hints), OpenBLAS \(LinearAlgebra.version) by "
            + "\(LinearAlgebra.kernels)"
    }

    /// oneDNN's release, such as `2.6.3`.
    static var libraryVersion: String {
        let version = dnnl_version().pointee
        return "\(version.major).\(version.minor).\(version.patch)"
    }

    /// Values of `ONEDNN_MAX_CPU_ISA` that this release of oneDNN knows, in capitals.
    package static var knownInstructionLimits: [String] {
        ["SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI", "AVX512_CORE_BF16", "AVX512_CORE_AMX"]
            + (dnnl_version().pointee.major < 3
                ? ["ALL", "AVX512_MIC", "AVX512_MIC_4OPS"]
                : [
                    "DEFAULT", "AVX2_VNNI_2", "AVX512_CORE_FP16", "AVX512_CORE_AMX_FP16", "AVX10_1_512",
                    "AVX10_1_512_AMX", "AVX10_1_512_AMX_FP16",
                ])
    }
}
