// What a person sees in a terminal.

import FinetuneFiles
import Foundation
import TestSupport
import Testing

@Suite("A terminal") struct TerminalTests {
    private static let script = "/usr/bin/script"

    /// The lines that the program writes to a terminal of some width, standard error and output together.
    private func lines(_ workspace: Workspace, columns: Int, _ words: String) throws -> [String] {
        let process = workspace.makeProcess([])
        let program = Path.join(Fixtures.products, "finetune")
        process.executableURL = URL(fileURLWithPath: Self.script)
        process.arguments = ["-qec", "stty cols \(columns); '\(program)' \(words)", "/dev/null"]
        let output = try workspace.run(process).output.replacingOccurrences(of: "\r\n", with: "\n")
        return output.split(separator: "\n").map { String($0) }
    }

    @Test("has errors between whose words lines break, and paths that stay whole")
    func errors() throws {
        guard FileSystem.kind(of: Self.script) == .file else { return print("skipped: no \(Self.script)") }
        let workspace = try Workspace()
        let folder = "images/" + String(repeating: "nowhere", count: 8)
        let found = try lines(workspace, columns: 48, "--data \(folder)")
        #expect(found.count > 3 && found[0].hasPrefix("finetune: cannot read the data set"), "\(found)")
        for line in found { #expect(line.count <= 48 || line.contains(folder), "\(line)") }
        #expect(found.dropFirst().allSatisfy { $0.hasPrefix("  ") }, "\(found)")
        #expect(found.contains { $0.contains("'\(folder)'") }, "\(found)")
        let wide = try lines(workspace, columns: 400, "--data \(folder)")
        #expect(wide.count == 1, "\(wide)")
        #expect(found.joined(separator: " ").split(separator: " ") == wide[0].split(separator: " "))
    }

    @Test("that is narrow has an inspected file's classes in one line, and how many there are")
    func classes() throws {
        guard FileSystem.kind(of: Self.script) == .file else { return print("skipped: no \(Self.script)") }
        let bundled = Path.join(Fixtures.package, "pretrained/resnet18-tiny-imagenet.h5")
        let found = try lines(try Workspace(), columns: 80, "inspect '\(bundled)'")
        let line = try #require(found.last { $0.hasPrefix("classes ") })
        #expect(line.contains(" 200: goldfish, ") && line.hasSuffix(" …") && line.count <= 80, "\(line)")
    }
}
