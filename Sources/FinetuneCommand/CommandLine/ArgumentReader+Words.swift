// Arguments that are written in another form: a typographic dash for a hyphen, name=value, or a command in the wrong place.

internal import FinetuneFiles

extension ArgumentReader {
    /// Characters that text processors write for a hyphen: the hyphens and dashes of Unicode, and the minus sign.
    private static let dashes: Set<Character> = ["‐", "‑", "‒", "–", "—", "―", "−", "﹣", "－"]

    /// - Throws: `UsageError` for a flag with a dash that is no hyphen, as it is pasted from a document.
    func checkDash(_ word: String) throws {
        let start = word.prefix { $0 == "-" || Self.dashes.contains($0) }
        guard start.contains(where: Self.dashes.contains), FileSystem.kind(of: word) == nil else { return }
        let name = word.dropFirst(start.count)
        guard name.first?.isNumber != true else { return }
        throw UsageError(
            description:
                "'\(word)' begins with a dash that is no hyphen: write \(name.count > 1 ? "--" : "-")\(name)")
    }

    private static let quotes: Set<Character> = ["“", "”", "„", "‘", "’", "‚", "«", "»"]

    /// - Throws: `UsageError` for a word or value in quotation marks of text processors, which a shell takes for letters.
    func checkQuotes(_ word: String) throws {
        let value = word.hasPrefix("-") ? word.drop { $0 != "=" }.dropFirst() : word[...]
        guard let mark = value.first, Self.quotes.contains(mark), FileSystem.kind(of: String(value)) == nil else {
            return
        }
        throw UsageError(
            description:
                "'\(word)' has quotation marks that a shell does not know: write '\(value.filter { !Self.quotes.contains($0) })', with the plain mark ' or \""
        )
    }

    /// The name and the value of a word such as `epochs=10`; nil if it is a path, or no name stands before the sign.
    private static func assignment(_ word: String) -> (name: String, value: String)? {
        guard let sign = word.firstIndex(of: "="), sign > word.startIndex, !word.hasPrefix("-"),
            FileSystem.kind(of: word) == nil
        else { return nil }
        let name = word[..<sign]
        guard name.allSatisfy({ $0.isLetter || $0.isNumber || "-_".contains($0) }) else { return nil }
        return ("--\(name)", String(word[word.index(after: sign)...]))
    }

    /// - Throws: `UsageError` for `epochs=10` and the like, which other programs take for a flag with its value.
    func checkAssignment(_ word: String) throws {
        guard Self.assignment(word) != nil else { return }
        let commands = CommandFlags.all()
        let written = words.compactMap(Self.assignment).compactMap { name, value -> String? in
            let flag = ForeignFlag(name, of: command, words: [], commands: commands)
            if flag.isArgument { return value.shellWord }
            guard let meant = flag.meant else { return nil }
            let isComplete = meant.contains(" ") || FlagRules.switches.contains(meant)
            switch value.lowercased() {
            case "true", "yes", "on": return isComplete ? meant : nil
            case "false", "no", "off", "none": return nil
            default: return isComplete ? meant : "\(meant) \(value.shellWord)"
            }
        }
        guard !written.isEmpty else { return }
        throw UsageError(
            description:
                "cannot use '\(word)': a flag begins with two hyphens, and its value follows it. Write \(written.joined(separator: " "))"
        )
    }

    // MARK: Names

    /// Whether a word may be the name of a command.
    static func isBare(_ word: String) -> Bool { !word.hasPrefix("-") && !word.contains { "./=".contains($0) } }

    /// - Throws: `UsageError` for a word that is no folder but nearly a command, or one of other programs.
    func checkVerb(_ word: String) throws {
        guard FileSystem.kind(of: word) == nil, Self.isBare(word), let meant = Verb.line(for: word) else { return }
        throw UsageError(
            description:
                "cannot run 'finetune \(word)': there is no such command, and no folder of that name. Did you mean \(meant)?"
        )
    }

    /// - Throws: `UsageError` for the name of a command that does not stand first.
    func checkCommand(_ word: String) throws {
        let isFirst = !isNamed && words.first == word
        guard Verb.isKnown(word), !isFirst, let meant = Verb.line(for: word) else { return }
        let rest = words.drop { $0 != word }.dropFirst()
        let line = words.prefix { $0 != word } + rest
        throw UsageError(
            description:
                "cannot use '\(word)' here: the command comes first: \(meant)\(line.map { " " + $0.shellWord }.joined())"
        )
    }

    /// - Throws: `UsageError` for the name of a flag without its hyphens.
    func checkName(_ word: String) throws {
        let name = "--" + word
        guard CommandFlags.all().first(where: { $0.command == command })?.flags.contains(name) == true else { return }
        throw UsageError(description: "cannot use '\(word)': a flag begins with two hyphens. Did you mean \(name)?")
    }

    /// The error about a help topic that is no command.
    static func refusal(ofTopic topic: String) -> UsageError {
        let command = Verb.command(for: topic).flatMap { commands.contains($0) ? $0 : nil }
        let next = command.map { "Did you mean finetune help \($0)?" } ?? "finetune --help lists the commands."
        return UsageError(description: "cannot show help for '\(topic)': there is no such command. \(next)")
    }
}
