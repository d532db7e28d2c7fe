// The arguments before the parser sees them: which command, which folder, and whether every flag and value is one.

internal import FinetuneDatasets
internal import FinetuneFiles

/// Reads a command line word by word.
///
/// The parser alone would say of a wrong value that it is invalid. Here every value is held against its `FlagRule`, so that
/// the message says what is accepted. A folder without a flag becomes `--data`, a name that begins with `-` becomes one
/// that the parser takes for a name, and a percentage becomes a fraction.
struct ArgumentReader {
    /// The arguments for the parser.
    private(set) var arguments: [String] = []

    private let command: String
    /// Whether the command was named; else it is `train`.
    private let isNamed: Bool
    /// The words after the command.
    private let words: [String]
    /// Whether the command reads a data set and has no other arguments without a flag.
    private var readsData: Bool { Self.dataCommands.contains(command) }
    /// Paths without a flag, each with the word before it.
    private var paths: [(path: String, before: String)] = []
    /// The flags given, by their main names, as they were written.
    private var given: [String: String] = [:]
    private var data: String?
    /// The word before the one that is read.
    private var before = ""

    static let commands = [
        "train", "evaluate", "predict", "extract", "inspect", "convert", "check", "compare", "doctor", "help",
    ]
    private static let dataCommands: Set = ["train", "evaluate", "extract", "check", "compare"]
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
    private static func sentence(about name: String, before value: String) -> String {
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

    // MARK: Words that are no flags but were meant as such

    /// Dashes of text processors, which are no hyphens: from the hyphen of Unicode to the horizontal bar, the minus sign, and
    /// the small and full-width hyphens.
    private static let dashes: Set<Character> = ["‐", "‑", "‒", "–", "—", "―", "−", "﹣", "－"]

    /// - Throws: `UsageError` for a flag with a dash that is no hyphen, as it is pasted from a document.
    private func checkDash(_ word: String) throws {
        let start = word.prefix { $0 == "-" || Self.dashes.contains($0) }
        guard start.contains(where: Self.dashes.contains), FileSystem.kind(of: word) == nil else { return }
        let name = word.dropFirst(start.count)
        guard name.first?.isNumber != true else { return }
        throw UsageError(
            description:
                "'\(word)' begins with a dash that is no hyphen: write \(name.count > 1 ? "--" : "-")\(name)")
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
    private func checkAssignment(_ word: String) throws {
        guard Self.assignment(word) != nil else { return }
        let commands = CommandFlags.all()
        let written = words.compactMap(Self.assignment).compactMap { name, value -> String? in
            let flag = ForeignFlag(name, of: command, words: [], commands: commands)
            if flag.isArgument { return value.shellWord }
            return flag.meant.map { "\($0)\($0.contains(" ") ? "" : " \(value.shellWord)")" }
        }
        guard !written.isEmpty else { return }
        throw UsageError(
            description:
                "cannot use '\(word)': a flag begins with two hyphens, and its value follows it. Write \(written.joined(separator: " "))"
        )
    }

    // MARK: Paths

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

    /// Makes the path without a flag the data set.
    private mutating func takeFolder() throws {
        guard let folder = paths.first?.path else { return }
        for (path, _) in paths where FileSystem.kind(of: path) == nil { try checkCommand(path) }
        try checkValues()
        try checkWeights()
        try check(folder)
        if data != nil {
            throw UsageError(
                description:
                    "cannot use '\(folder)': --data names the images already. Leave one of the two out; a value with blanks needs quotation marks."
            )
        }
        if let second = paths.dropFirst().first?.path {
            if FileSystem.kind(of: second) == nil { try checkName(second) }
            throw UsageError(
                description:
                    "cannot use '\(second)': '\(folder)' names the images already. A command reads one data set, and a flag takes one value. Put the images into one folder, or name more with --val or --test."
            )
        }
        arguments.insert(contentsOf: folder.hasPrefix("-") ? ["--data=\(folder)"] : ["--data", folder], at: 0)
    }

    /// - Throws: `UsageError` for a path after a flag that takes none, if it is not the data set.
    private func checkValues() throws {
        for (index, (path, before)) in paths.enumerated() where FlagRules.switches.contains(before) {
            let isRun = FileSystem.kind(of: Path.join(path, "run.json")) == .file
            let isCheckpoint = before == "--resume" && Self.weightEndings.contains(Path.fileExtension(of: path))
            let isNoData = paths.count > 1 && FileSystem.kind(of: path) == nil
            guard isRun || isCheckpoint || isNoData || data != nil || index > 0 else { continue }
            throw UsageError(
                description: "cannot use '\(before) \(path)': \(Self.sentence(about: before, before: path))")
        }
    }

    /// - Throws: `UsageError` for a trained network among the paths.
    private func checkWeights() throws {
        let weights = paths.map(\.path).filter(Self.isWeights)
        guard let path = weights.first else { return }
        let model = FileSystem.kind(of: path) == .directory ? Path.join(path, "model.h5") : path
        let imgs = (paths.map(\.path).first { !weights.contains($0) } ?? data ?? "./imgs").shellWord
        let found =
            model == path
            ? "cannot use the weights file '\(path)' as a data set."
            : "cannot use the run folder '\(path)' as a data set."
        let (name, flag) = (model.shellWord, command == "evaluate" ? "--model" : "--base")
        throw UsageError(
            description: command == "train"
                ? "\(found) To train with it: finetune --base \(name) --data \(imgs). To see what it holds: finetune inspect \(name)"
                : "\(found) Did you mean finetune \(command) \(flag) \(name) --data \(imgs)?")
    }

    /// Whether a path leads to a weights file, or to a run folder with one.
    private static func isWeights(_ path: String) -> Bool {
        switch FileSystem.kind(of: path) {
        case .file: weightEndings.contains(Path.fileExtension(of: path))
        case .directory:
            ["model.h5", "run.json"].allSatisfy { FileSystem.kind(of: Path.join(path, $0)) == .file }
        default: false
        }
    }

    /// - Throws: `UsageError` for a network among the pictures that `predict` is to label, if no other is named.
    private func checkPictures() throws {
        guard given["--model"] == nil, let path = paths.map(\.path).first(where: Self.isWeights) else { return }
        let pictures = paths.map(\.path).filter { $0 != path }
        let line = (pictures.isEmpty ? ["photo.jpg"] : pictures).map(\.shellWord).joined(separator: " ")
        throw UsageError(
            description:
                "cannot label '\(path)': it holds weights. Did you mean finetune predict --model \(path.shellWord) \(line)?"
        )
    }

    /// - Throws: What was probably meant by a path that is no data set.
    private func check(_ path: String) throws {
        guard let kind = FileSystem.kind(of: path) else {
            try checkVerb(path)
            try checkName(path)
            let isBare = Self.isBare(path)
            if path.contains("://") {
                throw FileError(
                    .missing, "cannot read '\(path)': it is an address, and a path was expected. Download it first.")
            }
            throw FileSystem.obstacle(to: path)
                ?? FileError(
                    .missing,
                    "cannot read '\(path)': there is nothing at that path\(isBare ? ", and no command has that name" : ""). Check the name\(isBare ? "; finetune --help lists the commands" : "")."
                )
        }
        guard kind == .file else { return }
        let head = (try? FileSystem.head(of: path, count: 64)) ?? []
        if PictureFormat.endings.contains(Path.fileExtension(of: path)) || PictureFormat(of: head) != nil {
            throw UsageError(
                description:
                    "cannot use the picture '\(path)' as a data set: expected a folder with a folder of images for each class. To label the picture: finetune predict --model runs/NAME/model.h5 \(path)"
            )
        }
    }

    /// Whether a word may be the name of a command.
    private static func isBare(_ word: String) -> Bool { !word.hasPrefix("-") && !word.contains { "./=".contains($0) } }

    /// - Throws: `UsageError` for a word that is no folder but nearly a command, or one of other programs.
    private func checkVerb(_ word: String) throws {
        guard FileSystem.kind(of: word) == nil, Self.isBare(word), let meant = Verb.line(for: word) else { return }
        throw UsageError(
            description:
                "cannot run 'finetune \(word)': there is no such command, and no folder of that name. Did you mean \(meant)?"
        )
    }

    /// - Throws: `UsageError` for the name of a command that does not stand first.
    private func checkCommand(_ word: String) throws {
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
    private func checkName(_ word: String) throws {
        let name = "--" + word
        guard CommandFlags.all().first(where: { $0.command == command })?.flags.contains(name) == true else { return }
        throw UsageError(description: "cannot use '\(word)': a flag begins with two hyphens. Did you mean \(name)?")
    }

    /// The error about a help topic that is no command.
    private static func refusal(ofTopic topic: String) -> UsageError {
        let command = Verb.command(for: topic).flatMap { commands.contains($0) ? $0 : nil }
        let next = command.map { "Did you mean finetune help \($0)?" } ?? "finetune --help lists the commands."
        return UsageError(description: "cannot show help for '\(topic)': there is no such command. \(next)")
    }

    private static let weightEndings: Set = ["h5", "hdf5", "keras", "safetensors", "pt", "pth", "ckpt", "onnx", "bin"]
}
