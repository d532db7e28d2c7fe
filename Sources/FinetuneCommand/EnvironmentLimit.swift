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
        var limits = instructionLimits(withheld: withheld, variable)
        /// - Parameter neutral: Values that say nothing, in small letters.
        func add(_ names: String..., neutral: Set<String> = [], speed: String, bytes: String) {
            for name in names {
                guard let value = variable(name), !value.isEmpty, !neutral.contains(value.lowercased()) else {
                    continue
                }
                limits.append(EnvironmentLimit(name: name, value: value, speed: speed, bytes: bytes))
            }
        }
        add(
            "ONEDNN_CPU_ISA_HINTS", "DNNL_CPU_ISA_HINTS", neutral: ["no_hints"],
            speed: "with AVX-512 or AVX2-VNNI oneDNN may prefer shorter vectors", bytes: Bytes.digits)
        add(
            "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE", neutral: ["strict"],
            speed: "none: finetune computes fp32 in fp32 whatever it says", bytes: Bytes.same)
        add(
            "ONEDNN_VERBOSE", "DNNL_VERBOSE", neutral: ["0", "none"],
            speed: "slower: oneDNN writes lines on its operations to standard output, among the results",
            bytes: "none in files; standard output also contains oneDNN's lines")
        if let value = variable("OPENBLAS_CORETYPE"), !value.isEmpty {
            let kernels = LinearAlgebra.kernels
            add(
                "OPENBLAS_CORETYPE",
                speed: value.lowercased() == kernels.lowercased()
                    ? "matrix products use the kernels for \(kernels)"
                    : "ignored: this OpenBLAS has no kernels of this name; it uses those for \(kernels)",
                bytes: Bytes.digits)
        }
        add(
            "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS", "OMP_DYNAMIC", "OMP_MAX_ACTIVE_LEVELS",
            speed: "none: finetune uses as many threads as --threads says", bytes: Bytes.same)
        add(
            "OMP_THREAD_LIMIT", speed: "a training has at most so many threads, whatever --threads says",
            bytes: "as with --threads of that number")
        add(
            "OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", neutral: ["false"],
            speed: "threads are bound to cores; several of them may have to share one", bytes: Bytes.same)
        add(
            "OMP_STACKSIZE", "GOMP_STACKSIZE", speed: "too small a value ends the program when it starts threads",
            bytes: Bytes.same)
        add(
            "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", speed: "changes how threads wait for each other",
            bytes: Bytes.same)
        return limits + cores
    }

    /// What the variables say of oneDNN's instructions. The first that is set counts.
    private static func instructionLimits(withheld: [String], _ variable: (String) -> String?) -> [EnvironmentLimit] {
        var limits: [EnvironmentLimit] = []
        for name in ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"] {
            guard let value = variable(name), !value.isEmpty else { continue }
            let known = Machine.knownInstructionLimits
            let speed =
                if let first = limits.first {
                    "ignored: \(first.name) is set, too"
                } else if !known.contains(value.uppercased()) {
                    "ignored: this oneDNN does not know the value. It knows \(known.joined(separator: ", "))"
                } else if withheld.isEmpty {
                    "none: oneDNN has no use for anything that the processor has beyond it"
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
                    speed: "this process may use no others (taskset, a container or a job scheduler)",
                    bytes: "the default number of threads follows; for equal bytes give --threads"))
        }
        if let quota = quotas.min(), quota < Double(available) {
            limits.append(
                EnvironmentLimit(
                    name: "quota of cores", value: "\(quota.rounded(toPlaces: 2))",
                    speed:
                        "the container pauses all threads when this share is used up. Use --threads \(max(1, Int(quota.rounded())))",
                    bytes: Bytes.same))
        }
        return limits
    }

    /// The quotas of this process's control group and of those above it, in cores.
    private static var quotas: [Double] {
        func text(_ path: String) -> String? {
            (try? FileSystem.head(of: path, count: 4096)).map { String(decoding: $0, as: UTF8.self) }
        }
        var quotas: [Double?] = []
        for line in (text("/proc/self/cgroup") ?? "").split(separator: "\n") {
            // number:controllers:path, of which a group of version 2 has no controllers.
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 3 else { continue }
            let controllers = parts[1].split(separator: ",")
            guard parts[1].isEmpty || controllers.contains("cpu") else { continue }
            var names = parts[2].split(separator: "/")[...]
            while true {
                let path = names.joined(separator: "/")
                if parts[1].isEmpty {
                    quotas.append(text("/sys/fs/cgroup/\(path)/cpu.max").flatMap(coreQuota))
                } else {
                    let folder = "/sys/fs/cgroup/\(parts[1])/\(path)"
                    if let quota = text("\(folder)/cpu.cfs_quota_us"), let period = text("\(folder)/cpu.cfs_period_us")
                    {
                        quotas.append(coreQuota("\(quota) \(period)"))
                    }
                }
                if names.isEmpty { break }
                names.removeLast()
            }
        }
        return quotas.compactMap(\.self)
    }

    /// How many cores' time a control group may use, by a quota and a period in microseconds as in its file `cpu.max`; nil
    /// if there is no quota.
    private static func coreQuota(_ text: String) -> Double? {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 2, let quota = Double(words[0]), quota > 0, let period = Double(words[1]), period > 0
        else {
            return nil
        }
        return quota / period
    }
}

/// The value of a variable of the environment.
func environmentVariable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
