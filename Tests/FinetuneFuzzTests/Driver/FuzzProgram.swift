// The fuzzing program, built by scripts/fuzz alone: libFuzzer over one parser, and what the script asks beside it.
//
//   FINETUNE_FUZZ_TARGET=json FinetuneFuzz …    libFuzzer with its own arguments, on that target
//   FinetuneFuzz list                           a line a target: name, longest input, source files
//   FinetuneFuzz seeds TARGET TESTS FOLDER      writes its seeds into FOLDER, and its words as FOLDER.words
//   FinetuneFuzz replay TARGET FOLDER           runs every file of a folder through it
//   FinetuneFuzz hdf5 HELPER TESTS FOLDER RUNS SEED

internal import FinetuneFiles
internal import Glibc

/// libFuzzer's own main function, for programs that have one already.
@_silgen_name("LLVMFuzzerRunDriver")
private func runLibFuzzer(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// What libFuzzer's callback runs; written once, before it starts.
private nonisolated(unsafe) var chosen: FuzzTarget?

@main
struct FuzzProgram {
    static func main() throws {
        if let name = getenv("FINETUNE_FUZZ_TARGET").map({ String(cString: $0) }) {
            chosen = target(name)
            var count = CommandLine.argc
            var arguments = CommandLine.unsafeArgv
            exit(
                runLibFuzzer(&count, &arguments) { start, count in
                    if let chosen { judge(Array(UnsafeBufferPointer(start: start, count: count)), by: chosen) }
                    return 0
                })
        }
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch (arguments.first, arguments.count) {
        case ("list", 1):
            for target in FuzzTarget.all {
                print(target.name, target.maximumCount, target.sources.joined(separator: " "))
            }
        case ("seeds", 4): try target(arguments[1]).writeSeeds(tests: arguments[2], to: arguments[3])
        case ("replay", 3):
            let target = target(arguments[1])
            for name in try FileSystem.list(arguments[2]) {
                judge(try FileSystem.read(Path.join(arguments[2], name)), by: target)
            }
        case ("hdf5", 6):
            guard let runs = Int(arguments[4]), let seed = UInt64(arguments[5]) else { fail("no number") }
            var weights = try MutatedWeights(
                helper: arguments[1], tests: arguments[2], folder: arguments[3], seed: seed)
            exit(try weights.run(runs) ? 0 : 1)
        default: fail("this program is run by scripts/fuzz")
        }
    }

    private static func target(_ name: String) -> FuzzTarget {
        guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
            fail("no target '\(name)', there are \(FuzzTarget.all.map(\.name).joined(separator: ", "))")
        }
        return target
    }

    /// Runs the parser and ends the program, as libFuzzer expects of a finding, if it did what it should not.
    private static func judge(_ input: [UInt8], by target: FuzzTarget) {
        guard let reason = target.finding(input) else { return }
        complain("finding: \(reason)")
        abort()
    }

    private static func fail(_ reason: String) -> Never {
        complain("FinetuneFuzz: \(reason)")
        exit(64)
    }
}

/// A line on standard error.
private func complain(_ line: String) {
    _ = Array((line + "\n").utf8).withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
}

/// A folder in memory for parsers that take paths; scripts/fuzz names and removes it.
let scratchFolder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
