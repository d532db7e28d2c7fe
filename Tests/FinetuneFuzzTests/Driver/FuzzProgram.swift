// The fuzzing program, built by scripts/fuzz alone: libFuzzer over one parser, or what `FuzzCommand` does beside it.
//
//   FINETUNE_FUZZ_TARGET=json FinetuneFuzz …    libFuzzer with its own arguments, on that target

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

/// A folder in memory for parsers that take paths; scripts/fuzz names and removes it.
let scratchFolder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"

@main
struct FuzzProgram {
    static func main() throws {
        guard let name = getenv("FINETUNE_FUZZ_TARGET").map({ String(cString: $0) }) else {
            return try FuzzCommand.run(Array(CommandLine.arguments.dropFirst()))
        }
        chosen = FuzzCommand.target(name)
        var count = CommandLine.argc
        var arguments = CommandLine.unsafeArgv
        exit(
            runLibFuzzer(&count, &arguments) { start, count in
                chosen?.judge(Array(UnsafeBufferPointer(start: start, count: count)))
                return 0
            })
    }
}
