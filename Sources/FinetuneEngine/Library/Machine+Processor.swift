// The processor: its name, the instructions that it has, and those that oneDNN uses.

internal import CFinetuneDNNL
internal import FinetuneFiles
internal import Glibc

/// A set of vector instructions of the processor.
package struct InstructionSet: Sendable {
    package let name: String
    /// Whether the processor has it.
    package let isPresent: Bool
    /// Whether oneDNN uses it: the processor has it, the library knows it, and no variable of the environment forbids it.
    package let isUsed: Bool
}

extension Machine {
    /// The processor's name as the system gives it.
    package static var processorName: String { cpuinfo("model name") ?? "unknown" }

    /// The processor's features by the names of `/proc/cpuinfo`, such as `avx2`.
    package static var processorFlags: Set<String> {
        Set((cpuinfo("flags") ?? "").split(separator: " ").map(String.init))
    }

    /// The sets of instructions that matter here, from the smallest on.
    package static var instructionSets: [InstructionSet] {
        let flags = processorFlags
        let sets = [
            ("SSE4.1", "sse4_1", dnnl_cpu_isa_sse41), ("AVX", "avx", dnnl_cpu_isa_avx),
            ("AVX2", "avx2", dnnl_cpu_isa_avx2), ("AVX2-VNNI", "avx_vnni", dnnl_cpu_isa_avx2_vnni),
            ("AVX-512", "avx512f", dnnl_cpu_isa_avx512_core),
            ("AVX-512 VNNI", "avx512_vnni", dnnl_cpu_isa_avx512_core_vnni),
            ("AVX-512 BF16", "avx512_bf16", dnnl_cpu_isa_avx512_core_bf16),
            ("AMX", "amx_tile", dnnl_cpu_isa_avx512_core_amx),
        ]
        return sets.map { name, flag, set in
            InstructionSet(name: name, isPresent: flags.contains(flag), isUsed: finetune_may_use(set) != 0)
        }
    }

    /// The names of the sets that the processor has and oneDNN does not use. AVX2-VNNI is for processors without AVX-512:
    /// with that, oneDNN has no use for it.
    package static var withheldInstructions: [String] {
        let sets = instructionSets
        let hasWider = sets.contains { $0.name == "AVX-512" && $0.isUsed }
        return sets.filter { $0.isPresent && !$0.isUsed && !(hasWider && $0.name == "AVX2-VNNI") }.map(\.name)
    }

    /// The variable that limits the instructions of oneDNN, as `ONEDNN_MAX_CPU_ISA=AVX2`; nil if there is none.
    package static var instructionLimit: String? {
        for name in ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"] {
            if let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty { return "\(name)=\(value)" }
        }
        return nil
    }

    /// The instructions that OpenBLAS's kernels need and the processor lacks, with the name of these kernels; nil if it lacks
    /// none. OPENBLAS_CORETYPE can select kernels for any processor, and the first product by them would end the program.
    package static var missingForMatrices: (instructions: String, kernels: String)? {
        let needs = [
            "SkylakeX": ("avx512f", "AVX-512"), "Cooperlake": ("avx512_bf16", "AVX-512 BF16"),
            "SapphireRapids": ("avx512_bf16", "AVX-512 BF16"), "Haswell": ("avx2", "AVX2"), "Zen": ("avx2", "AVX2"),
            "Excavator": ("fma", "FMA3"), "Steamroller": ("fma", "FMA3"), "Piledriver": ("fma", "FMA3"),
            "Bulldozer": ("fma4", "FMA4"), "Sandybridge": ("avx", "AVX"),
        ]
        let flags = processorFlags
        // Without /proc nothing is known of the processor.
        guard let need = needs[LinearAlgebra.kernels], !flags.isEmpty, !flags.contains(need.0) else { return nil }
        return (need.1, LinearAlgebra.kernels)
    }

    /// - Throws: `EngineError` if OpenBLAS's kernels need instructions that the processor lacks.
    package static func checkMatrixKernels() throws {
        guard let missing = missingForMatrices else { return }
        throw EngineError.matrixKernels(missing.kernels, lacking: missing.instructions)
    }

    /// Bytes that OpenBLAS takes for each thread that multiplies matrices, when it does so first. If the system refuses
    /// them, the library asks again for ever.
    private static let matrixBufferByteCount = (128 << 20) + 4096

    /// Whether the system would give OpenBLAS the memory for so many threads.
    package static func hasMatrixMemory(threads: Int) -> Bool {
        let byteCount = threads * matrixBufferByteCount
        // Address space alone: how much of it is ever used depends on the matrices.
        let memory = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let memory, memory != MAP_FAILED else { return false }
        munmap(memory, byteCount)
        return true
    }

    private static func cpuinfo(_ name: String) -> String? {
        guard let bytes = try? FileSystem.head(of: "/proc/cpuinfo", count: 1 << 16) else { return nil }
        let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix(name) }
        return line?.split(separator: ":", maxSplits: 1).last.map { String($0.drop { $0 == " " }) }
    }
}

extension Precision {
    /// Why this precision is not native here, or not available: what the processor lacks, or which variable withholds what
    /// it has.
    package var lack: String {
        let needed = self == .int8 ? "AVX2" : isAvailable ? "AVX-512 BF16" : "AVX-512"
        if let limit = Machine.instructionLimit, Machine.withheldInstructions.contains(needed) {
            return "\(limit) withholds \(needed), which this processor has"
        }
        return "this processor has no \(needed)"
    }
}
