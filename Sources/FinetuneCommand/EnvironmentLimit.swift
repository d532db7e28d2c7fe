// Environment variables and limits on cores that affect a run, or that look as if they did.

internal import FinetuneEngine
internal import FinetuneFiles
internal import Glibc

/// A setting of the environment that may change speed or the last digits of results.
struct EnvironmentLimit: Sendable, Equatable {
    /// The variable, or the limit of the system.
    let name: String
    let value: String
    /// What it does to speed.
    let speed: String
    /// What it does to the bytes of results.
    let bytes: String

    var json: JSON {
        ["name": .string(name), "value": .string(value), "speed": .string(speed), "bytes": .string(bytes)]
    }

    /// Texts on the bytes of results that several limits share.
    private enum Bytes {
        static let same = "none"
        static let digits = "last digits differ from those without it; equal bytes need the same value"
    }

    /// The limits in force, and variables that have no effect.
    ///
    /// - Parameters:
    ///   - variable: The value of a variable of the environment.
    ///   - withheld: The instructions that the processor has and oneDNN does not use.
    static func inForce(withheld: [String], _ variable: (String) -> String? = environmentVariable) -> [EnvironmentLimit]
    {
        var limits: [EnvironmentLimit] = []
        func add(_ names: String..., speed: String, bytes: String) {
            for name in names {
                guard let value = variable(name), !value.isEmpty else { continue }
                limits.append(EnvironmentLimit(name: name, value: value, speed: speed, bytes: bytes))
            }
        }
        limits += instructionLimits(withheld: withheld, variable)
        add(
            "ONEDNN_CPU_ISA_HINTS", "DNNL_CPU_ISA_HINTS", speed: "oneDNN may prefer shorter vectors",
            bytes: Bytes.digits)
        add(
            "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE",
            speed: "none: finetune computes fp32 in fp32 whatever it says", bytes: Bytes.same)
        add(
            "ONEDNN_VERBOSE", "DNNL_VERBOSE",
            speed: "slower: oneDNN writes a line for every operation to standard output, among the results",
            bytes: "none in files; standard output also contains oneDNN's lines")
        add(
            "OPENBLAS_CORETYPE", speed: "matrix products use the kernels for \(LinearAlgebra.kernels)",
            bytes: Bytes.digits)
        add(
            "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS", "OMP_DYNAMIC",
            speed: "none: finetune uses as many threads as --threads says", bytes: Bytes.same)
        add(
            "OMP_THREAD_LIMIT", speed: "a training has at most so many threads, whatever --threads says",
            bytes: "as with --threads of that number")
        add(
            "OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY",
            speed: "threads are bound to cores; several of them may have to share one", bytes: Bytes.same)
        add(
            "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", speed: "changes how threads wait for each other",
            bytes: Bytes.same)
        return limits + cores
    }

    /// Values of the variable that limits instructions, as oneDNN 2.6 and 3.7 know them.
    private static let knownSets: Set<String> = [
        "ALL", "DEFAULT", "SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_MIC", "AVX512_MIC_4OPS",
        "AVX512_CORE", "AVX512_CORE_VNNI", "AVX512_CORE_BF16", "AVX512_CORE_FP16", "AVX512_CORE_AMX",
        "AVX512_CORE_AMX_FP16", "AVX10_1_512", "AVX10_1_512_AMX", "AVX10_1_512_AMX_FP16",
    ]

    /// What the variables say of oneDNN's instructions. The first that is set counts.
    private static func instructionLimits(withheld: [String], _ variable: (String) -> String?) -> [EnvironmentLimit] {
        var limits: [EnvironmentLimit] = []
        for name in ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"] {
            guard let value = variable(name), !value.isEmpty else { continue }
            let speed =
                if let first = limits.first {
                    "ignored: \(first.name) is set, too"
                } else if !knownSets.contains(value.uppercased()) {
                    "ignored: oneDNN does not know this value. It knows SSE41, AVX, AVX2, AVX512_CORE and others"
                } else if withheld.isEmpty {
                    "none: this processor has nothing beyond it that oneDNN uses"
                } else {
                    "slower: oneDNN does not use \(withheld.joined(separator: ", "))"
                }
            limits.append(
                EnvironmentLimit(
                    name: name, value: value, speed: speed,
                    bytes: speed.hasPrefix("slower") ? Bytes.digits : Bytes.same))
        }
        return limits
    }

    /// Cores that the system withholds: by the process's affinity, or by a quota of its control group.
    private static var cores: [EnvironmentLimit] {
        var limits: [EnvironmentLimit] = []
        let (online, available) = (Machine.onlineProcessors, Machine.availableProcessors)
        if available < online {
            limits.append(
                EnvironmentLimit(
                    name: "cores", value: "\(available) of \(online)",
                    speed: "this process may use no others (taskset, a container or a job scheduler)", bytes: Bytes.same
                ))
        }
        if let text = try? FileSystem.head(of: "/sys/fs/cgroup/cpu.max", count: 64),
            let quota = coreQuota(String(decoding: text, as: UTF8.self)), quota < Double(available)
        {
            limits.append(
                EnvironmentLimit(
                    name: "quota of cores", value: "\(quota.rounded(toPlaces: 2))",
                    speed:
                        "the container stops all threads once they have had that much: --threads \(max(1, Int(quota.rounded())))",
                    bytes: Bytes.same))
        }
        return limits
    }

    /// How many cores' time a control group may use, by its file `cpu.max`; nil if there is no quota.
    static func coreQuota(_ text: String) -> Double? {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 2, let microseconds = Double(words[0]), let period = Double(words[1]), period > 0 else {
            return nil
        }
        return microseconds / period
    }
}

/// The value of a variable of the environment.
func environmentVariable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
