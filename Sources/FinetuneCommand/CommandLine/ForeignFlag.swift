// A flag that a command does not have: what was probably meant.

internal import FinetuneFiles

/// A flag in a command line whose command does not have it.
struct ForeignFlag {
    /// With its hyphens.
    let name: String
    let command: String
    /// The words after the command.
    let words: [String]

    private let own: Set<String>
    private let commands: [CommandFlags]

    init(_ name: String, of command: String, words: [String], commands: [CommandFlags] = CommandFlags.all()) {
        (self.name, self.command, self.words, self.commands) = (name, command, words, commands)
        own = commands.first { $0.command == command }?.flags ?? []
    }

    /// The message: the flag, and what to do.
    var message: String { "finetune \(command) has no flag '\(name)'. \(next)" }

    /// The flag of the command that does the same, with a value if that is part of it; nil if none is known.
    var meant: String? {
        if let exact = same(among: own) { return exact }
        guard case .flags(let names) = listed else { return nil }
        return names.first(where: isOwn)
    }

    /// Whether the command takes the flag's value without a flag.
    var isArgument: Bool { same(among: own) == nil && ForeignFlags.arguments[command]?.contains(plain) == true }

    private var plain: String { Spelling.simplified(name) }

    /// What the tables of flags of other programs say.
    private var listed: ForeignFlags.Advice? { ForeignFlags.byCommand[command]?[plain] ?? ForeignFlags.byName[plain] }

    private func same(among flags: Set<String>) -> String? {
        flags.sorted().first { Spelling.simplified($0) == plain }
    }

    private func isOwn(_ flag: String) -> Bool { own.contains(String(flag.prefix { $0 != " " })) }

    // MARK: What to do

    private var next: String {
        if !name.hasPrefix("--"), name.contains(".") || name.contains("/") {
            return "If it is the name of a file: write ./\(name)"
        }
        if name == "-V" { return "Did you mean finetune --version?" }
        if let exact = same(among: own) { return "Did you mean \(exact)?" }
        if let line = lineWithoutFlag { return line }
        switch listed {
        case .sentence(let sentence): return sentence
        case .flags(let names):
            let there = names.filter(isOwn)
            if !there.isEmpty { return "Did you mean \(there.alternatives)?" }
            if let other = elsewhere(name) ?? names.lazy.compactMap(elsewhere).first { return other }
        case nil: break
        }
        let real = commands.reduce(into: Set()) { $0.formUnion($1.flags) }
        if let exact = same(among: real), let other = elsewhere(exact) { return other }
        return Spelling.nearest(to: name, among: own.filter { $0.hasPrefix("--") }.sorted()).map {
            "Did you mean \($0)?"
        } ?? "All flags: finetune \(command) --help"
    }

    /// The sentence about a flag that other commands have; nil if none has it.
    private func elsewhere(_ flag: String) -> String? {
        let name = String(flag.prefix { $0 != " " })
        let owners = commands.filter { $0.flags.contains(name) }.map(\.command)
        if owners.isEmpty { return nil }
        if owners.count == 1, name != self.name { return "Did you mean finetune \(owners[0]) \(flag)?" }
        return "\(name) belongs to finetune \(owners.alternatives)."
    }

    // MARK: Arguments without a flag

    /// For a flag whose value stands without a flag here, or for the place of a result that goes to standard output: the
    /// command line as it has to be. Nil for other flags.
    private var lineWithoutFlag: String? {
        let isResult = command == "predict" && ForeignFlags.results.contains(plain)
        guard isArgument || isResult else { return nil }
        var (inputs, outputs, rest): ([String], [String], [String]) = ([], [], [])
        var words = self.words[...]
        while let word = words.popFirst() {
            guard word.hasPrefix("-"), word.count > 1 else {
                inputs.append(word.shellWord)
                continue
            }
            let flag = ForeignFlag(
                String(word.prefix { $0 != "=" }), of: command, words: [], commands: commands)
            var value = flag.name.count < word.count ? String(word.dropFirst(flag.name.count + 1)) : nil
            if value == nil, !FlagRules.switches.contains(flag.name), words.first?.hasPrefix("-") == false {
                value = words.removeFirst()
            }
            let quoted = value.map { [$0.shellWord] } ?? []
            if command != "inspect", ForeignFlags.results.contains(flag.plain), !own.contains(flag.name) {
                outputs += quoted
            } else if flag.isArgument {
                inputs += quoted
            } else if own.contains(flag.name) {
                rest += [flag.name] + quoted
            } else if let meant = flag.meant, !quoted.isEmpty {
                rest += [meant] + quoted
            }
        }
        switch command {
        case "predict":
            if !rest.contains("--model") { rest = ["--model", "runs/NAME/model.h5"] + rest }
            if inputs.isEmpty { inputs = ["./imgs"] }
            guard isResult || !outputs.isEmpty else {
                return "Write the pictures without a flag: \(line(rest + inputs))"
            }
            let out = outputs.first ?? "predictions.csv"
            let format = ["json", "jsonl"].first { $0 == Path.fileExtension(of: out) } ?? "csv"
            if !rest.contains("--format") { rest += ["--format", format] }
            let redirected = "\(line(rest + inputs)) > \(out)"
            return isResult
                ? "Predictions go to standard output: \(redirected)"
                : "Write the pictures without a flag, and the result to standard output: \(redirected)"
        case "convert":
            let files = (inputs.isEmpty ? ["runs/NAME/model.h5"] : inputs) + outputs
            return "Write the files without a flag: \(line(files + (files.count == 1 ? ["model.onnx"] : []) + rest))"
        default:
            return "Write the file without a flag: \(line((inputs.isEmpty ? ["resnet50.h5"] : inputs) + rest))"
        }
    }

    private func line(_ words: [String]) -> String { (["finetune", command] + words).joined(separator: " ") }
}
