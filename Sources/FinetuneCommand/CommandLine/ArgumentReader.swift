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
    /// Whether the command reads a data set and has no other arguments without a flag.
    private var readsData: Bool { Self.dataCommands.contains(command) }
    /// Paths without a flag, for a command that reads a data set.
    private var folders: [String] = []
    private var hasData = false
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
        let isNamed = Self.commands.contains(first)
        command = isNamed ? first : "train"
        guard !words.isEmpty, first != "help", !words.prefix(while: { $0 != "--" }).contains(where: Self.isAnswered)
        else {
            arguments = words
            return
        }
        try read(isNamed ? words.dropFirst() : words[...])
        if readsData { try takeFolder() }
        arguments.insert(command, at: 0)
    }

    private static func isAnswered(_ word: String) -> Bool {
        answered.contains(String(word.prefix { $0 != "=" }))
    }

    private mutating func read(_ words: ArraySlice<String>) throws {
        var words = words
        while let word = words.popFirst() {
            if word == "--" {
                if readsData { folders += words } else { arguments += [word] + words }
                return
            }
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
        guard let rule = FlagRules.rule(for: name) else {
            guard FlagRules.switches.contains(name) else { throw unknown(name) }
            if let attached {
                throw refusal(
                    of: name,
                    UsageError(
                        description: "cannot use '\(name)=\(attached)': \(name) takes no value. Write \(name) alone."))
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
        hasData = hasData || name == "--data"
        // The parser takes a word that begins with a hyphen for a flag.
        arguments += attached != nil || value.hasPrefix("-") ? ["\(name)=\(value)"] : [name, value]
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
        let flags = CommandFlags.all().first { $0.command == command }?.flags ?? []
        let advice = ForeignFlags.advice(on: name, command: command, flags: flags)
        let others = CommandFlags.all().filter { $0.flags.contains(name) }.map(\.command)
        let isFileName = !name.hasPrefix("--") && (name.contains(".") || name.contains("/"))
        let next =
            isFileName
            ? "If it is the name of a file: write ./\(name)"
            : advice ?? (others.isEmpty ? "All flags: finetune \(command) --help" : Self.elsewhere(name, others))
        return UsageError(description: "finetune \(command) has no flag '\(name)'. \(next)")
    }

    /// The sentence about a flag that other commands have.
    static func elsewhere(_ name: String, _ commands: [String]) -> String {
        "\(name) belongs to finetune \(commands.alternatives)."
    }

    // MARK: Paths

    private mutating func readPath(_ word: String) throws {
        guard readsData else {
            arguments.append(word)
            return
        }
        if FlagRules.switches.contains(before),
            ["true", "false", "yes", "no", "on", "off", "1", "0"].contains(word.lowercased())
        {
            throw UsageError(
                description:
                    "cannot use '\(before) \(word)': \(before) takes no value. Write \(before) alone, or leave it out.")
        }
        folders.append(word)
    }

    /// Makes the path without a flag the data set.
    private mutating func takeFolder() throws {
        guard let folder = folders.first else { return }
        try check(folder)
        if hasData {
            throw UsageError(
                description:
                    "cannot use '\(folder)': --data names the images already. Leave one of the two out; a value with blanks needs quotation marks."
            )
        }
        if let second = folders.dropFirst().first {
            throw UsageError(
                description:
                    "cannot use '\(second)': '\(folder)' names the images already. A command reads one data set, and a flag takes one value. Put the images into one folder, or name more with --val or --test."
            )
        }
        arguments.insert(contentsOf: folder.hasPrefix("-") ? ["--data=\(folder)"] : ["--data", folder], at: 0)
    }

    /// - Throws: What was probably meant by a path that is no data set.
    private func check(_ path: String) throws {
        guard let kind = FileSystem.kind(of: path) else {
            if Self.commands.contains(path) {
                throw UsageError(
                    description:
                        "cannot use '\(path)' here: the command comes first. Write finetune \(path), then its flags.")
            }
            let isBare = !path.contains("/") && !path.contains(".")
            if isBare, let meant = Spelling.nearest(to: path, among: Self.commands) {
                throw UsageError(
                    description:
                        "cannot run 'finetune \(path)': there is no such command, and no folder of that name. Did you mean finetune \(meant)?"
                )
            }
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
        if Self.weightEndings.contains(Path.fileExtension(of: path)) {
            throw UsageError(
                description:
                    "cannot use the weights file '\(path)' as a data set. To train with it: finetune --base \(path) --data ./imgs. To see what it holds: finetune inspect \(path)"
            )
        }
    }

    private static let weightEndings: Set = ["h5", "hdf5", "keras", "safetensors", "pt", "pth", "ckpt", "onnx", "bin"]
}
