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

    /// Sets of the processor's vector instructions from the smallest on, and whether oneDNN uses each: it does if the
    /// processor has it, the library knows it, and no variable of the environment takes it away.
    package static var instructionSets: [(name: String, isUsed: Bool)] {
        [
            ("SSE4.1", dnnl_cpu_isa_sse41), ("AVX", dnnl_cpu_isa_avx), ("AVX2", dnnl_cpu_isa_avx2),
            ("AVX2-VNNI", dnnl_cpu_isa_avx2_vnni), ("AVX-512", dnnl_cpu_isa_avx512_core),
            ("AVX-512 VNNI", dnnl_cpu_isa_avx512_core_vnni), ("AVX-512 BF16", dnnl_cpu_isa_avx512_core_bf16),
            ("AMX", dnnl_cpu_isa_avx512_core_amx),
        ].map { ($0.0, finetune_may_use($0.1) != 0) }
    }

    /// What the environment says of the instructions that oneDNN may use, as `ONEDNN_MAX_CPU_ISA=AVX2`; nil if nothing.
    package static var instructionLimit: String? {
        for name in ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"] {
            if let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty { return "\(name)=\(value)" }
        }
        return nil
    }

    /// The number of processors that the system has, of which this process may be kept to fewer.
    package static var onlineProcessors: Int { sysconf(Int32(_SC_NPROCESSORS_ONLN)) }

    /// The instructions and the libraries that use them: if they differ, the last digits of results do.
    package static var arithmetic: String {
        let version = dnnl_version().pointee
        return "oneDNN \(version.major).\(version.minor), instructions \(dnnl_get_effective_cpu_isa().rawValue), "
            + "OpenBLAS \(LinearAlgebra.kernels)"
    }
}
