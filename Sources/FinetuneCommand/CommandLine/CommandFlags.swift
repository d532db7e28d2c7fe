// The flags of each command, as the parser knows them.

internal import ArgumentParser
internal import FinetuneFiles

/// A command with its flags and arguments.
struct CommandFlags {
    /// What has to be given.
    struct Required {
        /// The flag; nil for an argument without one.
        let flag: String?
        /// What stands in help for its value.
        let value: String
    }

    let command: String
    /// With their hyphens, all names of each.
    let flags: Set<String>
    let required: [Required]

    /// All commands. Meant for messages: the list is made from the parser's description of itself.
    static func all() -> [CommandFlags] {
        let text = FinetuneCommand._dumpHelp()
        let commands = (try? JSON(parsing: text))?["command"]?["subcommands"]?.arrayValue ?? []
        return commands.compactMap(CommandFlags.init)
    }

    private init?(_ json: JSON) {
        guard let name = json["commandName"]?.stringValue else { return nil }
        command = name
        var flags: Set<String> = []
        var required: [Required] = []
        for argument in json["arguments"]?.arrayValue ?? [] {
            let names = (argument["names"]?.arrayValue ?? []).compactMap { name -> String? in
                guard let text = name["name"]?.stringValue else { return nil }
                return (name["kind"]?.stringValue == "long" ? "--" : "-") + text
            }
            flags.formUnion(names)
            if argument["isOptional"]?.boolValue == false, let value = argument["valueName"]?.stringValue {
                required.append(Required(flag: names.first, value: value))
            }
        }
        (self.flags, self.required) = (flags, required)
    }
}
