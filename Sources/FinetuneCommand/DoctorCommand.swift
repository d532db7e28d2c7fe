// finetune doctor: what this machine is, and whether it computes right.

internal import ArgumentParser
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetunePipeline
internal import FinetuneTraining

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Says what this machine has, and tests its arithmetic: what is wrong, and what mends it.",
        discussion: """
            Every kind of matrix product and convolution is held against plain loops. Ends with 69 where something is wrong.

            EXAMPLES
              finetune doctor
              finetune doctor --json
            """)

    @OptionGroup var cache: CacheOptions
    @Option(help: "Threads that compute. (default: one a core that this process may use)") var threads: Int?
    @OptionGroup(title: "Output") var output: OutputOptions

    func validate() throws {
        if let threads, threads < 1 { throw ValidationError("--threads is a number of at least 1.") }
    }

    func run() async throws {
        let console = Console(output)
        let thread = EngineThread(threads: threads ?? Machine.availableProcessors)
        let checks = try await Doctor.examine(thread, cache: cache.folder?.folder)
        let libraries = Doctor.libraries
        console.report(
            .done([
                "processor": .string(Doctor.processor),
                "precisions": JSON(Precision.allCases.filter(\.isNative).map(\.rawValue)),
                "libraries": .array(
                    libraries.map { ["name": .string($0.name), "version": .string($0.version)] }),
                "checks": .array(checks.map(\.json)),
            ]))
        if !output.json { describe(checks, libraries, console) }
        let wrong = checks.filter { !$0.isGood }
        if let first = wrong.first {
            throw UnavailableError(
                description:
                    "\(wrong.count) of \(checks.count) checks failed, the first: \(first.name). \(first.remedy).")
        }
    }

    private func describe(_ checks: [MachineCheck], _ libraries: [LibraryVersion], _ console: Console) {
        console.writeOut("processor   \(Doctor.processor)")
        let precisions = Precision.allCases.filter(\.isNative).map {
            $0 == .native ? "\($0.rawValue) (default)" : $0.rawValue
        }
        console.writeOut("precisions  \(precisions.joined(separator: ", "))")
        for library in libraries { console.writeOut("\(library.name.padded(to: 11)) \(library.version)") }
        for check in checks {
            console.writeOut("\(check.mark) \(check.name): \(check.detail)", isSentence: true)
            if !check.remedy.isEmpty { console.writeOut("      \(check.remedy)", isSentence: true) }
        }
    }
}
