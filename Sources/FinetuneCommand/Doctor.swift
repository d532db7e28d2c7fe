// What a run needs of the machine, looked at before it costs one: arithmetic, libraries, files, room.

internal import FinetuneCheckpoints
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import Glibc
internal import Synchronization

/// One thing that was looked at.
struct MachineCheck: Sendable {
    let name: String
    let isGood: Bool
    /// What was found.
    let detail: String
    /// What mends it, a command where there is one; empty where nothing is wrong or slow.
    let remedy: String

    init(_ name: String, isGood: Bool, isFast: Bool = true, _ detail: String, remedy: String) {
        self.name = name
        self.isGood = isGood
        self.detail = detail
        self.remedy = isGood && isFast ? "" : remedy
    }

    /// In five letters: right, slow or wrong.
    var mark: String { !isGood ? "WRONG" : remedy.isEmpty ? "ok   " : "slow " }

    var json: JSON {
        ["name": .string(name), "ok": .bool(isGood), "detail": .string(detail), "remedy": .string(remedy)]
    }
}

/// Looks at the machine.
enum Doctor {
    /// Bytes that a run may want for its model, checkpoints and cache.
    private static let roomWanted = 2 << 30

    /// Without those of the picture helper if it cannot run, which a check says.
    static var libraries: [LibraryVersion] {
        SelfTest.libraries + LibraryVersion.ofCheckpoints + LibraryVersion.ofDatasets
            + ((try? PictureHelpers.shared.libraries()) ?? []) + LibraryVersion.ofFiles
    }

    /// The processor's name and those of its instructions that matter here.
    static var processor: String {
        let found = Machine.instructionSets.filter(\.isPresent).map(\.name)
        return Machine.processorName + (found.isEmpty ? "" : " (\(found.joined(separator: ", ")))")
    }

    /// The name of the system's release, such as `Debian GNU/Linux 12 (bookworm)`.
    static var system: String {
        let text = (try? FileSystem.head(of: "/etc/os-release", count: 4096)).map {
            String(decoding: $0, as: UTF8.self)
        }
        let line = text?.split(separator: "\n").first { $0.hasPrefix("PRETTY_NAME=") }
        return line.map { $0.dropFirst("PRETTY_NAME=".count).filter { $0 != "\"" } } ?? "unknown"
    }

    /// Everything.
    ///
    /// - Parameter cache: The folder of the cache; nil where there is none.
    static func examine(threads count: Int, cache: String?) async throws -> [MachineCheck] {
        let unknown = Mutex<Set<String>>([])
        let thread = EngineThread(threads: count) { name in _ = unknown.withLock { $0.insert(name) } }
        var checks = [threads(thread), helper] + PictureTest.all.map(check) + [base, memory]
        let kernels = matrixKernels
        checks.append(kernels)
        // The first product by kernels for another processor would end the program.
        if kernels.isGood {
            checks += try await SelfTest.all(thread).map(check)
            checks.append(kernelNames(unknown: unknown.withLock { $0.sorted() }))
        }
        if let cache {
            checks.append(room("cache", cache, remedy: "name another folder with --cache, or XDG_CACHE_HOME"))
        }
        checks.append(room("run folders", "runs", remedy: "work in another folder, or name one with --out"))
        checks.append(
            room("temporary files", Machine.temporaryFolder, remedy: "name another folder by the variable TMPDIR"))
        return checks
    }

    /// The few that a training begins with.
    ///
    /// - Throws: `UnavailableError` where the processor's arithmetic cannot be trusted.
    static func checkArithmetic(_ thread: EngineThread) async throws {
        for test in try await SelfTest.quick(thread) where !test.passes {
            let check = check(test)
            throw UnavailableError(
                description:
                    "cannot trust this machine's arithmetic: \(check.name) is wrong (\(check.detail)). \(check.remedy). finetune doctor has the whole test."
            )
        }
    }

    // MARK: Checks

    private static func check(_ test: SelfTest) -> MachineCheck {
        let remedy =
            switch test.library {
            case .openBLAS:
                "This build of OpenBLAS computes wrong results on this processor. Install a newer libopenblas0, or set OPENBLAS_CORETYPE=Haswell"
            case .oneDNN:
                "This build of oneDNN computes wrong results on this processor. Install a newer libdnnl, or set ONEDNN_MAX_CPU_ISA=AVX2"
            }
        return MachineCheck(
            test.name, isGood: test.passes,
            "\(test.library.rawValue)\(test.kernel.isEmpty ? "" : ", \(test.kernel)"): off by \(test.error.scientific)",
            remedy: remedy)
    }

    /// Whether OpenBLAS uses what the processor has, and no more. For a processor that is newer than the library it uses
    /// its oldest kernels (Prescott); OPENBLAS_CORETYPE can select any.
    private static var matrixKernels: MachineCheck {
        let (name, kernels, flags) = ("kernels of OpenBLAS", LinearAlgebra.kernels, Machine.processorFlags)
        if let missing = Machine.missingForMatrices {
            return MachineCheck(
                name, isGood: false, "\(kernels), which need \(missing.instructions); this processor has none",
                remedy: "The first matrix product would end the program. Unset OPENBLAS_CORETYPE")
        }
        let wide = ["SkylakeX", "Cooperlake", "SapphireRapids"]
        let (best, fast) =
            flags.contains("avx512f")
            ? ("SkylakeX", wide + ["Haswell", "Zen"])
            : flags.contains("avx2") ? ("Haswell", ["Haswell", "Zen"]) : ("", [])
        let variable = environmentVariable("OPENBLAS_CORETYPE").flatMap { $0.isEmpty ? nil : $0 }
        let cause =
            variable.map { "OPENBLAS_CORETYPE=\($0) makes it use kernels without AVX2" }
            ?? "this OpenBLAS does not know the processor"
        return MachineCheck(
            name, isGood: true, isFast: best.isEmpty || fast.contains(kernels), kernels,
            remedy: "\(cause). Name one with the same instructions: export OPENBLAS_CORETYPE=\(best)")
    }

    /// Whether the program knows the kernels that oneDNN uses, by their names.
    static func kernelNames(unknown: [String]) -> MachineCheck {
        MachineCheck(
            "kernels of oneDNN", isGood: true, isFast: unknown.isEmpty,
            unknown.isEmpty ? "all known" : "unknown: \(unknown.joined(separator: ", "))",
            remedy:
                "this version of finetune does not know these kernels. Results are right; convolutions may be slower. Update finetune, or report the names"
        )
    }

    private static func threads(_ thread: EngineThread) -> MachineCheck {
        let most = Machine.availableProcessors
        return MachineCheck(
            "threads", isGood: thread.count <= most, "\(thread.count) of the \(most) cores that this process may use",
            remedy: "more threads than cores wait for each other: leave --threads out")
    }

    private static var helper: MachineCheck {
        let path = Installation.helper
        return MachineCheck(
            "reading helper", isGood: access(path, X_OK) == 0, path,
            remedy: "build or install finetune again as a whole: swift build -c release")
    }

    private static func check(_ test: PictureTest) -> MachineCheck {
        let failure = test.failure
        return MachineCheck(
            "pictures: \(test.name)", isGood: failure == nil, failure?.reason ?? "decoded by \(test.decoder)",
            remedy: failure?.nextStep.droppingFullStop ?? "")
    }

    private static var base: MachineCheck {
        let path = try? Installation.defaultBase()
        return MachineCheck(
            "bundled base", isGood: path != nil, path ?? "not found beside the program",
            remedy: "keep the folder pretrained where the package has it, or name a base with --base")
    }

    private static var memory: MachineCheck {
        let bytes = Machine.physicalMemory
        return MachineCheck(
            "memory", isGood: bytes >= 1 << 30, bytes.bytesText,
            remedy: "a ResNet-50 wants half a gigabyte: take a smaller base, and --batch 8")
    }

    /// Whether a folder can be written to, and has room; its nearest ancestor that is there says so.
    private static func room(_ name: String, _ folder: String, remedy: String) -> MachineCheck {
        var place = folder
        while FileSystem.kind(of: place) == nil, Path.parent(of: place) != place { place = Path.parent(of: place) }
        if place.isEmpty { place = "." }
        guard FileSystem.kind(of: place) == .directory, access(place, W_OK) == 0 else {
            return MachineCheck(name, isGood: false, "'\(folder)' cannot be written to", remedy: remedy)
        }
        let free = FileSystem.freeBytes(at: place) ?? .max
        return MachineCheck(
            name, isGood: free >= roomWanted, "'\(folder)', \(free.bytesText) free",
            remedy: "a run may want \(roomWanted.bytesText): make room, or \(remedy)")
    }
}

extension String {
    /// Without the full stop that it ends in: remedies are followed by their own.
    fileprivate var droppingFullStop: String { last == "." ? String(dropLast()) : self }
}

extension Double {
    /// Such as `3e-7`.
    fileprivate var scientific: String {
        guard isFinite, self > 0 else { return "\(self)" }
        var power = log10(self).rounded(.down)
        if (self / pow(10, power)).rounded() == 10 { power += 1 }
        return "\(Int((self / pow(10, power)).rounded()))e\(Int(power))"
    }
}
