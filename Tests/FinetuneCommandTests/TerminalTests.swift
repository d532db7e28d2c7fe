// What a person sees in a terminal.

import FinetuneFiles
import Foundation
import TestSupport
import Testing

private let script = "/usr/bin/script"

private let hasTerminals = [script, "/dev/pts/ptmx"].allSatisfy { FileSystem.kind(of: $0) != nil }

@Suite("A terminal", .enabled(if: hasTerminals, "wants script, of bsdutils, and /dev/pts")) struct TerminalTests {
    /// The lines that the program writes to a terminal of some width, standard error and output together.
    private func lines(_ workspace: Workspace, columns: Int, _ words: String) throws -> [String] {
        let process = workspace.makeProcess([])
        let program = Path.join(Fixtures.products, "finetune")
        process.executableURL = URL(fileURLWithPath: script)
        process.arguments = ["-qec", "stty cols \(columns); '\(program)' \(words)", "/dev/null"]
        let output = try workspace.run(process).output.replacingOccurrences(of: "\r\n", with: "\n")
        return output.split(separator: "\n").map { String($0) }
    }

    @Test("has errors between whose words lines break, and paths that stay whole")
    func errors() throws {
        let workspace = try Workspace()
        let folder = "images/" + String(repeating: "nowhere", count: 8)
        let found = try lines(workspace, columns: 48, "--data \(folder)")
        #expect(found.count > 3 && found.first?.hasPrefix("finetune: cannot read the data set") == true, "\(found)")
        for line in found { #expect(line.count <= 48 || line.contains(folder), "\(line)") }
        #expect(found.dropFirst().allSatisfy { $0.hasPrefix("  ") }, "\(found)")
        #expect(found.contains { $0.contains("'\(folder)'") }, "\(found)")
        let wide = try lines(workspace, columns: 400, "--data \(folder)")
        #expect(wide.count == 1, "\(wide)")
        #expect(found.joined(separator: " ").split(separator: " ") == wide.first?.split(separator: " "))
    }

    @Test("that is narrow has an inspected file's classes in one line, and how many there are")
    func classes() throws {
        let bundled = Path.join(Fixtures.package, "pretrained/resnet18-tiny-imagenet.h5")
        let found = try lines(try Workspace(), columns: 80, "inspect '\(bundled)'")
        let line = try #require(found.last { $0.hasPrefix("classes ") })
        #expect(line.contains(" 200: goldfish, ") && line.hasSuffix(" …") && line.count <= 80, "\(line)")
    }
}
