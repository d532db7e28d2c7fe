// What the program says of the machine that it runs on.

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
        #expect(outcome.done["processor"]?.stringValue?.hasPrefix("unknown") == false)
        let libraries = (outcome.done["libraries"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
        #expect(Set(["oneDNN", "OpenBLAS", "HDF5", "zlib"]).isSubset(of: libraries))
    }

    @Test("says what is slow and the variable that mends it, and 0")
    func findsSlowKernels() throws {
        let workspace = try Workspace()
        for kernels in ["Prescott", "Haswell"] {
            let outcome = try workspace.run(
                workspace.makeProcess(["doctor", "--cache", "@cache"], variables: ["OPENBLAS_CORETYPE": kernels]))
            #expect(outcome.code == 0, "\(outcome.errors)")
            guard outcome.output.contains("AVX2") else { continue }
            let lines = outcome.output.split(separator: "\n")
            let place = try #require(lines.firstIndex { $0.hasSuffix("kernels of OpenBLAS: \(kernels)") })
            #expect(lines[place].hasPrefix(kernels == "Prescott" ? "slow" : "ok"))
            #expect(lines[place + 1].contains("export OPENBLAS_CORETYPE=") == (kernels == "Prescott"))
        }
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
