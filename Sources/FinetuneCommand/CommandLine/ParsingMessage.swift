// What is said of arguments that the parser refuses, in the form of all other messages.

internal import ArgumentParser
internal import FinetuneFiles

/// The message about arguments that cannot be parsed.
enum ParsingMessage {
    /// - Parameters:
    ///   - error: From the parser, or from a command's `validate()`.
    ///   - arguments: Those that were parsed; the first is the command.
    static func text(_ error: any Error, _ arguments: [String]) -> String {
        let commands = CommandFlags.all()
        let own = commands.first { $0.command == arguments.first ?? "train" }
        let help = "Help: finetune \(own.map { $0.command + " " } ?? "")--help"
        guard let own else { return "\(FinetuneCommand.message(for: error))\n\(help)" }
        let given = arguments.prefix { $0 != "--" }.filter { $0.hasPrefix("-") && $0 != "-" }.map {
            String($0.prefix { $0 != "=" })
        }
        if let foreign = given.first(where: { !own.flags.contains($0) }) {
            let flag = ForeignFlag(
                foreign, of: own.command, words: Array(arguments.dropFirst()), commands: commands)
            return "\(flag.message)\n\(help)"
        }
        if let missing = own.required.first(where: { $0.flag.map { !given.contains($0) } ?? false }),
            let flag = missing.flag, let rule = FlagRules.rule(for: flag, in: own.command)
        {
            return
                "cannot run 'finetune \(own.command)' without \(flag): expected \(rule.accepted). For example: \(flag) \(rule.example)\n\(help)"
        }
        let text = FinetuneCommand.message(for: error)
        if text.hasPrefix("Missing expected argument"),
            let missing = own.required.first(where: { $0.flag == nil && text.contains("<\($0.value)>") })
        {
            return
                "cannot run 'finetune \(own.command)' without <\(missing.value)>. For example: \(examples[own.command] ?? help)\n\(help)"
        }
        if text.contains("nexpected argument"), let first = text.split(separator: "'").dropFirst().first {
            return "cannot use '\(first)': finetune \(own.command) takes no further argument. Leave it out.\n\(help)"
        }
        return "\(named(text, as: given))\n\(help)"
    }

    /// The text about a flag with the name under which it was given.
    private static func named(_ text: String, as given: [String]) -> String {
        let name = String(text.prefix { $0 != " " })
        guard let rule = FlagRules.rule(for: name), !given.contains(name),
            let alias = rule.names.first(where: given.contains)
        else { return text }
        return alias + text.dropFirst(name.count)
    }

    /// A command line for each command that takes paths without a flag.
    private static let examples = [
        "predict": "finetune predict --model runs/first/model.h5 photo.jpg", "inspect": "finetune inspect resnet50.h5",
        "convert": "finetune convert runs/first/model.h5 model.onnx",
    ]
}
