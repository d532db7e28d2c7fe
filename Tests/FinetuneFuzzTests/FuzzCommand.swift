// What the fuzzing program does besides fuzzing, as scripts/fuzz asks for it:
//
//   FinetuneFuzz list                           a line a target: name, longest input, source files
//   FinetuneFuzz seeds TARGET TESTS FOLDER      writes its seeds into FOLDER, and its words as FOLDER.words
//   FinetuneFuzz replay TARGET FOLDER           runs every file of a folder through it
//   FinetuneFuzz hdf5 HELPER TESTS FOLDER RUNS SEED

internal import FinetuneFiles
internal import Glibc

enum FuzzCommand {
    static func run(_ arguments: [String]) throws {
        switch (arguments.first, arguments.count) {
        case ("list", 1):
            for target in FuzzTarget.all {
                print(target.name, target.maximumCount, target.sources.joined(separator: " "))
            }
        case ("seeds", 4): try target(arguments[1]).writeSeeds(tests: arguments[2], to: arguments[3])
        case ("replay", 3):
            let target = target(arguments[1])
            for name in try FileSystem.list(arguments[2]) {
                target.judge(try FileSystem.read(Path.join(arguments[2], name)))
            }
        case ("hdf5", 6):
            guard let runs = Int(arguments[4]), let seed = UInt64(arguments[5]) else { fail("no number") }
            var weights = try MutatedWeights(
                helper: arguments[1], tests: arguments[2], folder: arguments[3], seed: seed)
            exit(try weights.run(runs) ? 0 : 1)
        default: fail("this program is run by scripts/fuzz")
        }
    }

    static func target(_ name: String) -> FuzzTarget {
        guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
            fail("no target '\(name)', there are \(FuzzTarget.all.map(\.name).joined(separator: ", "))")
        }
        return target
    }

    private static func fail(_ reason: String) -> Never {
        complain("FinetuneFuzz: \(reason)")
        exit(64)
    }
}

extension FuzzTarget {
    /// Runs the parser and ends the program, as libFuzzer expects of a finding, if it did what it should not.
    func judge(_ input: [UInt8]) {
        guard let reason = finding(input) else { return }
        complain("finding: \(reason)")
        abort()
    }
}

/// A line on standard error.
private func complain(_ line: String) {
    _ = Array((line + "\n").utf8).withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
}
