// The script that fetches weights: what it refuses, and that it goes on where it ended.

import FinetuneFiles
import Foundation
import TestSupport
import Testing

@Suite("scripts/get-weights", .enabled(if: FileSystem.kind(of: "/usr/bin/curl") != nil, "wants curl"))
struct GetWeightsTests {
    private static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "scripts/get-weights")

    private let workspace: Workspace
    private let target: String

    init() throws {
        workspace = try Workspace()
        target = workspace.file("out")
    }

    private func run(_ arguments: String...) throws -> Outcome {
        let process = Process()
        process.executableURL = Self.script
        process.arguments = arguments
        return try workspace.run(process)
    }

    /// Fetches from a folder as from a mirror.
    private func fetch(_ name: String) throws -> Outcome {
        try run(name, "--from", "file://" + workspace.path, "--to", target)
    }

    @Test("names what it knows") func names() throws {
        let names = try run().output.split(separator: "\n")
        #expect(names.contains("resnet50") && names.contains("timm/resnet50.a1_in1k"))
    }

    @Test("refuses what it does not know", arguments: ["vgg16", "--into"])
    func unknown(_ argument: String) throws {
        let result = try run(argument)
        #expect(result.code == 64 && result.errors.contains("'\(argument)'"))
    }

    @Test("refuses a file that is not its publisher's, and keeps nothing of it") func damaged() throws {
        try workspace.write("another file", "resnet50_weights_tf_dim_ordering_tf_kernels.h5")
        let result = try fetch("resnet50")
        #expect(result.code == 65 && result.errors.contains("2cb95161c43110f7111970584f804107"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: target).isEmpty)
    }

    @Test("says what is not there") func missing() throws {
        #expect(try fetch("timm/resnet18.none").code == 66)
    }

    @Test("goes on where it ended, and fetches nothing twice") func resumed() throws {
        let source = "timm/resnet18.x/resolve/main"
        let weights = (0..<20_000).map { "\($0) " }.joined()
        try workspace.write(weights, source + "/model.safetensors")
        try workspace.write("{}", source + "/config.json")
        // A beginning that is not the file's shows that it is not fetched again.
        let beginning = String(repeating: "#", count: 60_000)
        try workspace.write(beginning, "out/resnet18.x/model.safetensors.part")
        let path = workspace.file("out/resnet18.x/model.safetensors")
        let result = try fetch("timm/resnet18.x")
        #expect(result.code == 0 && result.output == path + "\n", "\(result.errors)")
        let fetched = String(decoding: try FileSystem.read(path), as: UTF8.self)
        #expect(fetched == beginning + weights.dropFirst(beginning.count))
        let again = try fetch("timm/resnet18.x")
        #expect(again.code == 0 && again.errors.contains("is there already"))
    }
}
