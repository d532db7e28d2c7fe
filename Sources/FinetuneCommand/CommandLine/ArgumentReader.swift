// The arguments before the parser sees them: which command, which folder, and whether every flag and value is one.

internal import FinetuneFiles

/// Reads a command line word by word.
///
/// The parser alone would say of a wrong value that it is invalid. Here every value is held against its `FlagRule`, so that
/// the message says what is accepted. A folder without a flag becomes `--data`, a name that begins with `-` becomes one
/// that the parser takes for a name, and a percentage becomes a fraction.
struct ArgumentReader {
    /// The arguments for the parser.
    private(set) var arguments: [String] = []

    let command: String
    /// Whether the command was named; else it is `train`.
    let isNamed: Bool
    /// The words after the command.
    let words: [String]
    /// Whether the command reads a data set and has no other arguments without a flag.
    private var readsData: Bool { Self.dataCommands.contains(command) }
    /// Paths without a flag, each with the word before it.
    private(set) var paths: [(path: String, before: String)] = []
    /// The flags given, by their main names, as they were written.
    private(set) var given: [String: String] = [:]
    private(set) var data: String?
    /// The word before the one that is read.
    private var before = ""

    static let commands = [
        "train", "evaluate", "predict", "extract", "inspect", "convert", "check", "compare", "doctor", "help",
    ]
    private static let dataCommands: Set = ["train", "evaluate", "extract", "check", "compare"]
    static let weightEndings: Set = ["h5", "hdf5", "keras", "safetensors", "pt", "pth", "ckpt", "onnx", "bin"]
    /// Flags that the parser itself answers.
    private static let answered = [
        "-h", "-help", "--help", "--help-hidden", "--version", "--generate-completion-script",
        "--experimental-dump-help",
    ]

    /// - Parameter words: Without the program's own name.
    /// - Throws: `UsageError` that names the word at fault; `FileError` if a path without a flag leads to nothing.
    init(_ words: [String]) throws {
        let first = words.first ?? ""
        isNamed = Self.commands.contains(first)
        command = isNamed ? first : "train"
        self.words = isNamed ? Array(words.dropFirst()) : words
        if first == "help", let topic = words.dropFirst().first, !topic.hasPrefix("-"), !Self.commands.contains(topic) {
            throw Self.refusal(ofTopic: topic)
        }
        guard !words.isEmpty, first != "help", !words.prefix(while: { $0 != "--" }).contains(where: Self.isAnswered)
        else {
            arguments = words
            return
        }
        if !isNamed { try checkVerb(first) }
        try read()
        if readsData { try takeFolder() }
        if command == "predict" { try checkPictures() }
        arguments.insert(command, at: 0)
    }

    private static func isAnswered(_ word: String) -> Bool {
        answered.contains(String(word.prefix { $0 != "=" }))
    }

    private mutating func read() throws {
        for word in words { try checkQuotes(word) }
        var words = words[...]
        while let word = words.popFirst() {
            if word == "--" {
                paths += words.map { ($0, "--") }
                if !readsData { arguments += [word] + words }
                return
            }
            try checkDash(word)
            if word.hasPrefix("--") {
                try readFlag(word, &words)
            } else if word.hasPrefix("-"), word != "-", word != "-0" {
                try readHyphenated(word)
            } else if word == "-0" {
                arguments.append(word)
            } else {
                try readPath(word)
            }
            before = word
        }
    }

    // MARK: Flags

    private mutating func readFlag(_ word: String, _ rest: inout ArraySlice<String>) throws {
        let name = String(word.prefix { $0 != "=" })
        let attached = name.count < word.count ? String(word.dropFirst(name.count + 1)) : nil
        guard let rule = FlagRules.rule(for: name, in: command) else {
            guard FlagRules.switches.contains(name) else { throw unknown(name) }
            if let attached {
                throw refusal(
                    of: name,
                    UsageError(
                        description:
                            "cannot use '\(name)=\(attached)': \(Self.sentence(about: name, before: attached))"))
            }
            arguments.append(name)
            return
        }
        if attached == nil, rest.first.map({ $0.hasPrefix("--") || $0 == "-0" || Self.isAnswered($0) }) ?? true {
            throw refusal(of: name, rule.refusalOfNothing(after: name, before: rest.first))
        }
        let value: String
        do { value = try rule.read(attached ?? rest.removeFirst(), after: name) } catch let error as UsageError {
            throw refusal(of: name, error)
        }
        if let earlier = given.updateValue(name, forKey: rule.name), !rule.mayRepeat {
            throw refusal(of: name, Self.refusal(ofSecond: name, after: earlier))
        }
        if name == "--data" { data = value }
        // The parser takes a word that begins with a hyphen for a flag.
        arguments += attached != nil || value.hasPrefix("-") ? ["\(name)=\(value)"] : [name, value]
    }

    /// The error about a flag of one value that is given a second time.
    private static func refusal(ofSecond name: String, after earlier: String) -> UsageError {
        UsageError(
            description: name == earlier
                ? "\(name) is given twice. Leave one of them out."
                : "\(earlier) and \(name) are names of the same flag, which is given twice. Leave one of them out.")
    }

    /// The error about a flag: if the command does not have it, that comes before anything about its value.
    private func refusal(of name: String, _ error: UsageError) -> UsageError {
        let isOwn = CommandFlags.all().first { $0.command == command }?.flags.contains(name) ?? true
        return isOwn ? error : unknown(name)
    }

    /// A word with one hyphen: the name of a file, or a short flag of another program.
    private mutating func readHyphenated(_ word: String) throws {
        guard FileSystem.kind(of: word) == nil else { return try readPath("./" + word) }
        throw unknown(word)
    }

    private func unknown(_ name: String) -> UsageError {
        UsageError(description: ForeignFlag(name, of: command, words: words).message)
    }

    /// What to do about a flag without a value that is followed by one.
    static func sentence(about name: String, before value: String) -> String {
        let isSwitching = ["true", "false", "yes", "no", "on", "off", "1", "0"].contains(value.lowercased())
        if isSwitching || name == "-0" { return "\(name) takes no value. Write \(name) alone, or leave it out." }
        switch name {
        case "--resume", "--force":
            // Other programs continue from a checkpoint; here its folder is named.
            let isCheckpoint = Self.weightEndings.contains(Path.fileExtension(of: value))
            let folder = isCheckpoint ? Path.parent(of: value) : value
            return "\(name) takes no value: write --out \(folder.shellWord) \(name)"
        case "--json":
            return "--json takes no value: it prints to standard output. Write --json > \(value.shellWord)"
        default: return "\(name) takes no value. Write \(name) alone, or leave it out."
        }
    }

    // MARK: Paths

    /// Makes a path without a flag the data set.
    mutating func takeData(_ path: String) {
        arguments.insert(contentsOf: path.hasPrefix("-") ? ["--data=\(path)"] : ["--data", path], at: 0)
    }

    private mutating func readPath(_ word: String) throws {
        try checkAssignment(word)
        let isThere = FileSystem.kind(of: word) != nil
        if word == "help", !isThere {
            throw UsageError(
                description: "cannot use 'help' here. Did you mean finetune \(isNamed ? "\(command) " : "")--help?")
        }
        paths.append((word, before))
        guard readsData else {
            if before == "--json", !isThere, ["json", "jsonl"].contains(Path.fileExtension(of: word)) {
                throw UsageError(
                    description: "cannot use '--json \(word)': \(Self.sentence(about: "--json", before: word))")
            }
            arguments.append(word)
            return
        }
        if FlagRules.switches.contains(before),
            ["true", "false", "yes", "no", "on", "off", "1", "0"].contains(word.lowercased())
        {
            throw UsageError(
                description: "cannot use '\(before) \(word)': \(Self.sentence(about: before, before: word))")
        }
    }
}
