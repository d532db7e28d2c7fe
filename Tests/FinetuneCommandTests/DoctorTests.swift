// What the program says of the machine that it runs on.

import FinetuneEngine
import FinetuneFiles
import TestSupport
import Testing

@Suite("The doctor") struct DoctorTests {
    @Test("finds this machine's arithmetic right, and names processor, libraries and kernels")
    func examines() throws {
        let workspace = try Workspace()
        let outcome = try workspace.finetune("doctor", "--json", "--cache", "@cache")
        #expect(outcome.code == 0, "\(outcome.output)\(outcome.errors)")
        let checks = outcome.done["checks"]?.arrayValue ?? []
        #expect(checks.count > 12 && checks.allSatisfy { $0["ok"] == true })
        // This OpenBLAS may be older than the processor.
        #expect(checks.allSatisfy { $0["remedy"] == "" || $0["name"] == "kernels of OpenBLAS" })
        let names = checks.compactMap { $0["name"]?.stringValue }
        #expect(names.contains { $0.hasPrefix("matrix product") } && names.contains("convolution 3×3 in fp32"))
        #expect(names.contains("training step in fp32"))
        #expect(checks.first { $0["name"] == "kernels of oneDNN" }?["detail"] == "all known")
        #expect(outcome.done["system"]?.stringValue?.isEmpty == false)
        let used = Machine.instructionSets.filter(\.isUsed).map(\.name)
        #expect(outcome.done["instructions"]?.arrayValue?.compactMap(\.stringValue) == used)
        #expect(outcome.done["processor"]?.stringValue?.hasPrefix("unknown") == false)
        let libraries = (outcome.done["libraries"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
        #expect(names.filter { $0.hasPrefix("pictures: ") }.count == 3)
        #expect(Set(["oneDNN", "OpenBLAS", "HDF5", "zlib", "libheif", "libavif", "libjxl"]).isSubset(of: libraries))
    }

    @Test("says what is slow and the variable that mends it, and 0", .needs(instructions: "AVX2"))
    func findsSlowKernels() throws {
        let workspace = try Workspace()
        for kernels in ["Prescott", "Nehalem", "Haswell"] {
            let outcome = try workspace.run(
                workspace.makeProcess(["doctor", "--cache", "@cache"], variables: ["OPENBLAS_CORETYPE": kernels]))
            #expect(outcome.code == 0, "\(outcome.errors)")
            let lines = outcome.output.split(separator: "\n")
            let place = try #require(lines.firstIndex { $0.hasSuffix("kernels of OpenBLAS: \(kernels)") })
            #expect(lines[place].hasPrefix(kernels == "Haswell" ? "ok" : "slow"))
            #expect(lines[place + 1].contains("export OPENBLAS_CORETYPE=") == (kernels != "Haswell"))
        }
    }

    @Test("says which instructions a variable takes away, and what that means", .needs(instructions: "AVX2"))
    func limitedInstructions() throws {
        let workspace = try Workspace()
        let variables = [
            "ONEDNN_MAX_CPU_ISA": "SSE41", "ONEDNN_DEFAULT_FPMATH_MODE": "BF16", "OPENBLAS_CORETYPE": "Nehalem",
            "OMP_NUM_THREADS": "7", "DNNL_MAX_CPU_ISA": "",
            "ONEDNN_VERBOSE": "0",
        ]
        let outcome = try workspace.run(
            workspace.makeProcess(["doctor", "--json", "--cache", "@cache"], variables: variables))
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.done["instructions"] == ["SSE4.1"] && outcome.done["precisions"] == ["fp32"])
        #expect(outcome.done["instructions_withheld"]?.arrayValue?.contains("AVX2") == true)
        let limits = outcome.done["limits"]?.arrayValue ?? []
        func limit(_ name: String) -> JSON? { limits.first { $0["name"] == .string(name) } }
        #expect(
            limit("ONEDNN_MAX_CPU_ISA")?["speed"]?.stringValue?.hasPrefix("slower: oneDNN does not use AVX") == true)
        #expect(limit("ONEDNN_MAX_CPU_ISA")?["bytes"]?.stringValue?.contains("last digits differ") == true)
        #expect(limit("ONEDNN_DEFAULT_FPMATH_MODE")?["bytes"] == "none")
        #expect(limit("OPENBLAS_CORETYPE")?["speed"]?.stringValue?.hasSuffix("Nehalem") == true)
        #expect(limit("OMP_NUM_THREADS")?["speed"]?.stringValue?.contains("--threads") == true)
        #expect(limit("DNNL_MAX_CPU_ISA") == nil && limit("ONEDNN_VERBOSE") == nil)

        let refused = try workspace.run(
            workspace.makeProcess(
                ["extract", "--data", "@images", "--out", "@x.npz", "--precision", "int8"], variables: variables))
        #expect(
            refused.code == 69 && refused.errors.contains("ONEDNN_MAX_CPU_ISA=SSE41 withholds AVX2"),
            "\(refused.errors)")

        let text = try workspace.run(
            workspace.makeProcess(
                ["doctor", "--cache", "@cache"], variables: ["ONEDNN_MAX_CPU_ISA": "AVX10_9"]))
        #expect(text.output.contains("limit       ONEDNN_MAX_CPU_ISA=AVX10_9"), "\(text.output)")
        #expect(text.output.contains("ignored: this oneDNN does not know the value"), "\(text.output)")
    }

    @Test(
        "finds a training step right whatever the environment says of threads",
        arguments: [
            "OMP_THREAD_LIMIT": "1", "OMP_DYNAMIC": "true", "OMP_MAX_ACTIVE_LEVELS": "0", "OMP_NUM_THREADS": "1",
        ])
    func limitedThreads(_ variable: String, _ value: String) throws {
        let workspace = try Workspace()
        let outcome = try workspace.run(
            workspace.makeProcess(
                ["doctor", "--json", "--cache", "@cache", "--threads", "2"], variables: [variable: value]))
        let checks = outcome.done["checks"]?.arrayValue ?? []
        let step = checks.first { $0["name"] == "training step in fp32" }
        #expect(step?["ok"] == true, "\(String(describing: step))")
    }

    @Test("refuses kernels of OpenBLAS for instructions that the processor lacks, before they end the program")
    func missingInstructions() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 4)
        let variables = ["OPENBLAS_CORETYPE": "SkylakeX"]
        let hasAVX512 = Machine.processorFlags.contains("avx512f")
        for words in [["doctor", "--json", "--cache", "@cache"], ["--data", "@images", "--out", "@run"]] {
            let outcome = try workspace.run(workspace.makeProcess(words, variables: variables))
            #expect(outcome.code == (hasAVX512 ? 0 : 69), "\(outcome.errors)")
            #expect(outcome.errors.contains("Unset OPENBLAS_CORETYPE") == !hasAVX512, "\(outcome.errors)")
        }
    }

    @Test("ignores the second of two variables of the same meaning, and says so")
    func twoVariables() throws {
        let workspace = try Workspace()
        let outcome = try workspace.run(
            workspace.makeProcess(
                ["doctor", "--json", "--cache", "@cache"],
                variables: ["ONEDNN_MAX_CPU_ISA": "SSE41", "DNNL_MAX_CPU_ISA": "AVX"]))
        let limits = outcome.done["limits"]?.arrayValue ?? []
        #expect(outcome.done["instructions"] == ["SSE4.1"])
        #expect(
            limits.first { $0["name"] == "DNNL_MAX_CPU_ISA" }?["speed"] == "ignored: ONEDNN_MAX_CPU_ISA is set, too")
    }

    @Test("says what is wrong, what mends it, and 69")
    func findsFaults() throws {
        let workspace = try Workspace()
        try workspace.write("a file", "taken")
        let outcome = try workspace.finetune("doctor", "--json", "--cache", "@taken/cache", "--threads", "1000")
        #expect(outcome.code == 69 && outcome.errors.contains("checks failed"), "\(outcome.errors)")
        let wrong = (outcome.done["checks"]?.arrayValue ?? []).filter { $0["ok"] == false }
        #expect(wrong.compactMap { $0["name"]?.stringValue } == ["threads", "cache"])
        #expect(wrong.allSatisfy { $0["remedy"]?.stringValue?.isEmpty == false })
    }
}
