// Every Swift program in the documentation is one that the compiler has read, and every flag one that the program has.

import Foundation
import Testing

private let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// A block of code in an article.
private struct Block: Sendable, CustomTestStringConvertible {
    let article: String
    let language: String
    let lines: [String]
    var testDescription: String { "\(article): \(lines.first { !$0.isEmpty } ?? "")" }

    static let all: [Block] = {
        let catalogue = package.appending(path: "Sources/Finetune/Finetune.docc")
        let files = (try? FileManager.default.contentsOfDirectory(at: catalogue, includingPropertiesForKeys: nil)) ?? []
        let articles =
            files.filter { $0.pathExtension == "md" } + [
                package.appending(path: "README.md"), package.appending(path: ".github/CONTRIBUTING.md"),
            ]
        return articles.sorted { $0.path < $1.path }.flatMap(blocks)
    }()

    private static func blocks(of article: URL) -> [Block] {
        guard let text = try? String(contentsOf: article, encoding: .utf8) else { return [] }
        var blocks: [Block] = []
        var (language, lines): (String?, [String]) = (nil, [])
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            guard line.hasPrefix("```") else {
                lines.append(line)
                continue
            }
            if let open = language {
                blocks.append(Block(article: article.lastPathComponent, language: open, lines: lines))
                language = nil
            } else {
                language = String(line.dropFirst(3))
            }
            lines = []
        }
        return blocks
    }
}

/// Lines as far as the compiler cares.
private func essence(_ lines: [String]) -> [String] {
    lines.map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty && !$0.hasPrefix("import ") }
}

@Suite("The documentation") struct DocumentationTests {
    @Test("has programs that compile", arguments: Block.all.filter { $0.language == "swift" })
    fileprivate func programs(_ block: Block) throws {
        // A manifest is the package manager's to read.
        if block.lines.contains("import PackageDescription") { return }
        let examples = essence(
            try String(
                contentsOf: package.appending(path: "Tests/FinetuneTests/Examples.swift"), encoding: .utf8
            ).components(separatedBy: "\n"))
        let wanted = essence(block.lines)
        let isThere = examples.indices.contains { examples[$0...].starts(with: wanted) }
        #expect(!wanted.isEmpty && isThere, "put it into Examples.swift: \(wanted.joined(separator: "\n"))")
    }

    @Test("knows the program's flags", arguments: Block.all.filter { $0.language.isEmpty })
    fileprivate func flags(_ block: Block) throws {
        // Of `swift build --package-path ../finetune` it is a folder.
        let commands = block.lines.map { $0.split(separator: " ").map(String.init) }.filter { words in
            words.first != "swift" && words.contains { $0 == "finetune" || $0.hasSuffix("/finetune") }
        }
        for words in commands {
            guard let place = words.firstIndex(where: { $0 == "finetune" || $0.hasSuffix("/finetune") }) else {
                continue
            }
            let arguments = words[(place + 1)...].prefix { !["|", "#", ">", "&&"].contains($0) }
            let name = arguments.first.flatMap { Help.commands.contains($0) ? $0 : nil } ?? "train"
            let help = try Help.of(name)
            for flag in arguments where flag.hasPrefix("--") {
                #expect(help.contains(flag), "finetune \(name) has no \(flag)")
            }
        }
    }
}

/// What the program says of itself.
private enum Help {
    static let commands = [
        "train", "compare", "evaluate", "predict", "extract", "inspect", "convert", "check", "doctor",
    ]

    static func of(_ command: String) throws -> Set<String> {
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
        let process = Process()
        process.executableURL = URL(fileURLWithPath: bundle).deletingLastPathComponent().appending(path: "finetune")
        process.arguments = [command, "--help"]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        let words = text.split { !($0.isLetter || $0.isNumber || $0 == "-") }
        return Set(words.filter { $0.hasPrefix("--") }.map(String.init) + ["--version", "--help"])
    }
}
