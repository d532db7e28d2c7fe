// Runs the built program as a user does, on images made for the purpose.

import FinetuneFiles
import Foundation
import TestSupport
import Testing

/// How a run of the program ended.
struct Outcome {
    let code: Int32
    let output: String
    let errors: String

    /// The JSON lines of standard output.
    var events: [JSON] { output.split(separator: "\n").compactMap { try? JSON(parsing: String($0)) } }
    var done: JSON { events.last { $0["event"] == "done" } ?? .null }

    /// Fails the test with what the program said.
    func expectSuccess() { #expect(code == 0, "\(errors)") }
}

/// A folder with the program's inputs and outputs.
final class Workspace: Sendable {
    let path: String

    init() throws { path = try Fixtures.temporaryFolder() }

    deinit { Fixtures.remove(path) }

    func file(_ name: String) -> String { Path.join(path, name) }

    /// Runs `finetune` with arguments, `@name` standing for a file of this folder.
    func finetune(_ arguments: String..., input: String? = nil) throws -> Outcome {
        try finetune(arguments, input: input)
    }

    /// - Parameter ranks: Processes that share the run, under mpirun; nil for one without it.
    func finetune(_ arguments: [String], input: String? = nil, ranks: Int? = nil) throws -> Outcome {
        try run(makeProcess(arguments, ranks: ranks), input: input)
    }

    /// Runs a line of bash in this folder, in which `finetune` is the program.
    func shell(_ script: String) throws -> Outcome {
        let process = makeProcess([])
        let program = Path.join(Fixtures.products, "finetune")
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = ["-c", "finetune() { '\(program)' \"$@\"; }; program='\(program)'; \(script)"]
        return try run(process)
    }

    /// Runs a process to its end.
    func run(_ process: Process, input: String? = nil) throws -> Outcome {
        let names = [file(".out"), file(".err")]
        for name in names { try AtomicFile.write("", to: name) }
        process.standardOutput = FileHandle(forWritingAtPath: names[0])
        process.standardError = FileHandle(forWritingAtPath: names[1])
        if let input {
            try AtomicFile.write(input, to: file(".in"))
            process.standardInput = FileHandle(forReadingAtPath: file(".in"))
        } else {
            process.standardInput = FileHandle.nullDevice
        }
        try process.run()
        process.waitUntilExit()
        let texts = try names.map { String(decoding: try FileSystem.read($0), as: UTF8.self) }
        return Outcome(
            code: process.terminationReason == .uncaughtSignal
                ? 128 + process.terminationStatus : process.terminationStatus,
            output: texts[0], errors: texts[1])
    }

    static let mpirun = "/usr/bin/mpirun"

    /// - Parameter variables: Of the environment, further ones.
    func makeProcess(_ arguments: [String], ranks: Int? = nil, variables: [String: String] = [:]) -> Process {
        let process = Process()
        let program = Path.join(Fixtures.products, "finetune")
        let words = arguments.map { $0.hasPrefix("@") ? file(String($0.dropFirst())) : $0 }
        process.executableURL = URL(fileURLWithPath: ranks == nil ? program : Self.mpirun)
        process.arguments =
            ranks.map { ["--oversubscribe", "--bind-to", "none", "-n", "\($0)", program] + words } ?? words
        process.currentDirectoryURL = URL(fileURLWithPath: path)
        process.environment = [
            "SWIFT_BACKTRACE": "enable=no", "PATH": "/usr/bin:/bin", "HOME": path,
            // Many programs at once: threads that wait must not spin.
            "OMP_WAIT_POLICY": "passive",
            "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            // Processes that wait for each other without end fail a test and do not keep it.
            "MPIEXEC_TIMEOUT": "600",
        ].merging(Fixtures.instructionVariables) { $1 }.merging(variables) { $1 }
        return process
    }

    /// Runs `finetune` and sends it a signal as soon as a file is there.
    ///
    /// - Parameters:
    ///   - ranks: Processes that share the run, under mpirun; nil for one without it.
    ///   - rank: Which of them gets the signal.
    /// - Returns: Its exit code, 128 more than the signal where that ended it.
    func interrupt(
        _ arguments: [String], by signal: Int32, when name: String, ranks: Int? = nil, rank: Int = 0
    ) throws -> Int32 {
        let process = makeProcess(arguments, ranks: ranks)
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        while process.isRunning, FileSystem.kind(of: file(name)) == nil { usleep(2000) }
        let target = ranks == nil ? process.processIdentifier : try child(of: process.processIdentifier, rank)
        kill(target, signal)
        process.waitUntilExit()
        return process.terminationReason == .uncaughtSignal
            ? 128 + process.terminationStatus : process.terminationStatus
    }

    /// The process that mpirun started as a rank.
    private func child(of launcher: Int32, _ rank: Int) throws -> Int32 {
        let children = try FileSystem.head(of: "/proc/\(launcher)/task/\(launcher)/children", count: 4096)
        let all = String(decoding: children, as: UTF8.self).split(separator: " ").compactMap { Int32($0) }
        return all.sorted()[rank]
    }

    /// Writes inputs that are ready for a network, of two classes in turn, as an `.npz`.
    ///
    /// - Parameters:
    ///   - bytes: Floats of 32 bits.
    ///   - shape: As NumPy writes it.
    func writeInputs(_ bytes: [UInt8], _ shape: String, count: Int, _ name: String) throws {
        /// The start of a NumPy file, version 1.
        func header(_ type: String, _ shape: String) -> [UInt8] {
            let text = "{'descr': '\(type)', 'fortran_order': False, 'shape': \(shape), }"
            let padding = String(repeating: " ", count: 127 - 10 - text.utf8.count) + "\n"
            return [0x93] + Array("NUMPY".utf8) + [1, 0, 118, 0] + Array((text + padding).utf8)
        }
        var archive = try ZipWriter(file(name))
        try archive.begin("inputs.npy")
        try archive.write(header("<f4", shape) + bytes)
        try archive.begin("labels.npy")
        try archive.write(header("|u1", "(\(count),)") + (0..<count).map { UInt8($0 % 2) })
        try archive.commit()
    }

    func write(_ bytes: [UInt8], _ name: String) throws {
        try FileSystem.makeDirectory(Path.parent(of: file(name)))
        var output = try AtomicFile(file(name))
        try output.write(bytes)
        try output.commit()
    }

    func write(_ text: String, _ name: String) throws { try write(Array(text.utf8), name) }

    /// Writes pictures of stripes into a folder a class: down for the first, across for the second, diagonal for the third.
    func makeImages(_ folder: String, perClass count: Int, classes: [String] = ["across", "down"], seed: Int = 0) throws
    {
        for (label, name) in classes.enumerated() {
            for number in 0..<count {
                try write(Self.stripes(label, seed: seed + 31 * number), "\(folder)/\(name)/\(number).bmp")
            }
        }
    }

    /// A 36 × 30 bitmap of noisy stripes.
    static func stripes(_ direction: Int, seed: Int) -> [UInt8] {
        let (width, height) = (36, 30)
        var state = UInt64(truncatingIfNeeded: seed &* 7919 &+ direction &+ 1)
        func random() -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 40) % 60
        }
        let phase = random()
        var pixels: [UInt8] = []
        for y in 0..<height {
            for x in 0..<width {
                let position = [y, x, x + y][direction % 3]
                let bright = (position + phase) / 4 % 2 == 0 ? 150 : 40
                for _ in 0..<3 { pixels.append(UInt8(bright + random())) }
            }
        }
        let size = 54 + pixels.count
        func four(_ value: Int) -> [UInt8] { UInt32(value).littleEndianBytes }
        return Array("BM".utf8) + four(size) + four(0) + four(54) + four(40) + four(width) + four(height) + [
            1, 0, 24, 0,
        ] + four(0)
            + four(pixels.count) + four(2835) + four(2835) + four(0) + four(0) + pixels
    }
}

/// A ResNet-20 of width 4 that the program trained on stripes: small enough for a debug build. Made when first asked for.
enum SmallModel {
    private static let made: (workspace: Workspace, path: String)? = try? {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 8)
        _ = try workspace.finetune(
            "--strategy", "scratch", "--architecture", "resnet20,width=4", "--data", "@images", "--out", "@run",
            "--epochs", "2", "--lr", "0.05", "--quiet")
        return (workspace, workspace.file("run/model.h5"))
    }()

    static var path: String { made?.path ?? "no model" }
}

/// A model of stripes, some of which are labelled wrong, so that it errs.
enum ErringModel {
    static func trained() throws -> (Workspace, Outcome) {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 60)
        for number in 0..<12 {
            try workspace.write(Workspace.stripes(1, seed: 50_000 + number), "images/across/odd\(number).bmp")
        }
        try workspace.makeImages("new", perClass: 20, seed: 9000)
        for number in 0..<3 {
            try workspace.write(Workspace.stripes(1, seed: 70_000 + number), "new/across/odd\(number).bmp")
        }
        let outcome = try workspace.finetune(
            "--base", Fixtures.path("resnet20-random.h5"), "--data", "@images", "--val", "0.4", "--out", "@run",
            "--json", "--precision", "fp32")
        return (workspace, outcome)
    }
}
