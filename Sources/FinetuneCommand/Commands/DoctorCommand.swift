// finetune doctor: what this machine is, and whether it computes right.

internal import ArgumentParser
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetunePipeline
internal import FinetuneTraining

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract:
            "Shows this machine's processor and libraries, and tests its arithmetic: what is wrong, and how to fix it.",
        discussion: """
            Every kind of matrix product and convolution, and a training step, are compared with plain loops. The exit code
            is 69 if something is wrong. Limits are environment variables and quotas that change speed or the last digits of
            results.

            EXAMPLES
              finetune doctor
              finetune doctor --json
              ONEDNN_MAX_CPU_ISA=AVX2 finetune doctor
            """)

    @OptionGroup var cache: CacheOptions
    @Option(help: "Threads that compute. (default: one a core that this process may use)") var threads: Int?
    @OptionGroup(title: "Output") var output: OutputOptions

    func run() async throws {
        let console = Console(output)
        let checks = try await Doctor.examine(
            threads: threads ?? Machine.availableProcessors, cache: cache.folder?.folder)
        let libraries = Doctor.libraries
        let used = Machine.instructionSets.filter(\.isUsed).map(\.name)
        let withheld = Machine.withheldInstructions
        let limits = EnvironmentLimit.inForce(withheld: withheld)
        console.report(
            .done([
                "processor": .string(Doctor.processor), "system": .string(Doctor.system),
                "instructions": JSON(used), "instructions_withheld": JSON(withheld),
                "limits": .array(limits.map(\.json)),
                "precisions": JSON(Precision.allCases.filter(\.isNative).map(\.rawValue)),
                "libraries": .array(
                    libraries.map { ["name": .string($0.name), "version": .string($0.version)] }),
                "checks": .array(checks.map(\.json)),
            ]))
        if !output.json {
            describeMachine(used, withheld, limits, libraries, console)
            describe(checks, console)
        }
        let wrong = checks.filter { !$0.isGood }
        if let first = wrong.first {
            throw UnavailableError(
                description:
                    "\(wrong.count) of \(checks.count) checks failed, the first: \(first.name). \(first.remedy).")
        }
    }

    private func describeMachine(
        _ used: [String], _ withheld: [String], _ limits: [EnvironmentLimit], _ libraries: [LibraryVersion],
        _ console: Console
    ) {
        console.writeOut("processor   \(Doctor.processor)")
        console.writeOut("system      \(Doctor.system)")
        let without = withheld.isEmpty ? "" : "; not used: \(withheld.joined(separator: ", "))"
        console.writeOut(
            "oneDNN uses \(used.isEmpty ? "no vector instructions" : used.joined(separator: ", "))\(without)")
        let precisions = Precision.allCases.filter(\.isNative).map {
            $0 == .native ? "\($0.rawValue) (default)" : $0.rawValue
        }
        console.writeOut("precisions  \(precisions.joined(separator: ", "))")
        for library in libraries { console.writeOut("\(library.name.padded(to: 11)) \(library.version)") }
        console.writeOut(
            "Results are the same to the last byte with the same program, seed, number of threads, instructions and versions of these libraries.",
            isSentence: true)
        if limits.isEmpty { console.writeOut("limits      none") }
        for limit in limits {
            console.writeOut("limit       \(limit.name)=\(limit.value)")
            console.writeOut("            speed: \(limit.speed)", isSentence: true)
            console.writeOut("            results: \(limit.bytes)", isSentence: true)
        }
    }

    private func describe(_ checks: [MachineCheck], _ console: Console) {
        for check in checks {
            console.writeOut("\(check.mark) \(check.name): \(check.detail)", isSentence: true)
            if !check.remedy.isEmpty { console.writeOut("      \(check.remedy)", isSentence: true) }
        }
    }
}
