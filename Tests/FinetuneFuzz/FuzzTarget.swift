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
    /// The errors of the room itself. Anything else that is thrown is a finding.
    let errors: [any Error.Type]
    /// Runs the parser. What it gives may be checked by `require`.
    let run: @Sendable ([UInt8]) throws -> Void

    /// Runs the parser and ends the program where the input is a finding.
    func judge(_ input: [UInt8]) {
        do {
            try run(input)
        } catch {
            require(errors.contains { $0 == type(of: error) }, "\(name) threw a \(type(of: error)): \(error)")
            require(!"\(error)".isEmpty, "\(name) threw an error without words")
        }
    }

    /// Writes the seeds to a folder, each under a name of its own, and the words beside it.
    func writeSeeds(tests: String, to folder: String) throws {
        try FileSystem.makeDirectory(folder)
        for (index, seed) in seeds.enumerated() { try write(seed, to: Path.join(folder, "inline-\(index)")) }
        for path in try Self.fixtures(in: tests) where fixtures.contains(where: path.hasSuffix) {
            let bytes = try FileSystem.read(path)
            if bytes.count <= maximumCount { try write(bytes, to: Path.join(folder, Path.name(of: path))) }
        }
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

/// Ends the program as a finding where something is not as it should be.
func require(_ condition: Bool, _ reason: @autoclosure () -> String) {
    if condition { return }
    complain("finding: \(reason())")
    abort()
}

/// A line on standard error.
func complain(_ line: String) {
    _ = Array((line + "\n").utf8).withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
}

/// Writes a file in place; the fuzzer's own files need not survive anything.
func write(_ bytes: [UInt8], to path: String) throws {
    guard let file = fopen(path, "we") else { throw FileError(.cannotCreate, "cannot write '\(path)'") }
    let count = fwrite(bytes, 1, bytes.count, file)
    guard fclose(file) == 0, count == bytes.count else { throw FileError(.inputOutput, "cannot write '\(path)'") }
}

/// A folder in memory for parsers that take paths; scripts/fuzz names and removes it.
let scratchFolder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
