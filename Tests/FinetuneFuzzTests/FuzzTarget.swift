// One parser under fuzzing: what it is fed first, what it may throw, and how a run is judged.

internal import FinetuneFiles
internal import Glibc

struct FuzzTarget: Sendable {
    let name: String
    /// The longest input that is tried.
    let maximumCount: Int
    /// Endings of the fixtures' names that are seeds.
    var fixtures: [String] = []
    /// Seeds that stand in no file.
    var seeds: [[UInt8]] = []
    /// Words of the format, which mutations insert whole.
    var words: [String] = []
    /// Files under Sources/ whose coverage tells how far the fuzzing came.
    let sources: [String]
    /// Whether the parser is a library of others, which the program runs in a process of its own because it may crash.
    var isForeign = false
    /// The errors of the room itself. Anything else that is thrown is a finding.
    let errors: [any Error.Type]
    /// Runs the parser. What it gives may be checked by `require`.
    let run: @Sendable ([UInt8]) throws -> Void

    /// Runs the parser.
    ///
    /// - Returns: What is wrong with what it did; nil if it took the input, or refused it with an error of its room.
    func finding(_ input: [UInt8]) -> String? {
        do {
            try run(input)
            return nil
        } catch let finding as Finding {
            return finding.reason
        } catch {
            guard errors.contains(where: { $0 == type(of: error) }) else {
                return "\(name) threw a \(type(of: error)): \(error)"
            }
            return "\(error)".isEmpty ? "\(name) threw an error without words" : nil
        }
    }

    /// All seeds: those that stand in the table, and the fixtures that are no longer than an input may be.
    ///
    /// - Parameter tests: The folder of the test targets.
    func allSeeds(tests: String) throws -> [(name: String, bytes: [UInt8])] {
        let inline = seeds.enumerated().map { (name: "inline-\($0.offset)", bytes: $0.element) }
        let files = try Self.fixtures(in: tests).filter { fixtures.contains(where: $0.hasSuffix) }
            .map { (name: Path.name(of: $0), bytes: try FileSystem.read($0)) }
        return inline + files.filter { $0.bytes.count <= maximumCount }
    }

    /// Writes the seeds to a folder, each under a name of its own, and the words beside it.
    func writeSeeds(tests: String, to folder: String) throws {
        try FileSystem.makeDirectory(folder)
        for seed in try allSeeds(tests: tests) { try write(seed.bytes, to: Path.join(folder, seed.name)) }
        let lines = words.map { word in
            "\""
                + word.utf8.map { $0 < 0x20 || $0 == 0x22 || $0 == 0x5C || $0 > 0x7E ? hexadecimal($0) : ascii($0) }
                .joined() + "\"\n"
        }
        try write(Array(lines.joined().utf8), to: folder + ".words")
    }

    /// The fixtures of all test targets.
    static func fixtures(in tests: String) throws -> [String] {
        try FileSystem.list(tests).flatMap { target in
            let folder = Path.join(Path.join(tests, target), "Fixtures")
            guard FileSystem.kind(of: folder) == .directory else { return [String]() }
            return try FileSystem.list(folder).map { Path.join(folder, $0) }
                .filter { FileSystem.kind(of: $0) == .file }
        }
    }

    private func hexadecimal(_ byte: UInt8) -> String { (byte < 16 ? "\\x0" : "\\x") + String(byte, radix: 16) }
    private func ascii(_ byte: UInt8) -> String { String(Character(Unicode.Scalar(byte))) }
}

/// A wrong result of a parser.
struct Finding: Error {
    let reason: String
}

/// Throws a finding if something is not as it should be.
func require(_ condition: Bool, _ reason: @autoclosure () -> String) throws {
    if !condition { throw Finding(reason: reason()) }
}

/// Writes a file in place; the fuzzer's own files need not survive anything.
func write(_ bytes: [UInt8], to path: String) throws {
    guard let file = fopen(path, "we") else { throw FileError(.cannotCreate, "cannot write '\(path)'") }
    let count = fwrite(bytes, 1, bytes.count, file)
    guard fclose(file) == 0, count == bytes.count else { throw FileError(.inputOutput, "cannot write '\(path)'") }
}
