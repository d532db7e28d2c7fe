// What other programs call the commands.

/// The command that a word means.
enum Verb {
    /// The command line that a word was probably meant for, such as `finetune train` for `fit`; nil if none is close.
    static func line(for word: String) -> String? {
        command(for: word).map { $0 == "version" ? "finetune --version" : "finetune \($0)" }
    }

    /// The name of a command; nil if none is close.
    static func command(for word: String) -> String? {
        byName[Spelling.simplified(word)] ?? Spelling.nearest(to: word, among: ArgumentReader.commands)
    }

    /// Whether a word names a command here or in other programs.
    static func isKnown(_ word: String) -> Bool {
        ArgumentReader.commands.contains(word) || byName[Spelling.simplified(word)] != nil
    }

    /// By name, in small letters.
    private static let byName: [String: String] = {
        var table: [String: String] = [:]
        func add(_ names: String, _ command: String) {
            for name in names.split(separator: " ") { table[String(name)] = command }
        }
        add("fit learn finetune tune adapt retrain transfer", "train")
        add("test val valid validate validation eval score metrics benchmark", "evaluate")
        add("infer inference classify prediction predictions detect", "predict")
        add("export onnx toonnx", "convert")
        add("features feature embed embedding embeddings encode featurize extractfeatures", "extract")
        add("info summary show describe view cat stages", "inspect")
        add("lint audit verify clean dedupe duplicates", "check")
        add("diagnose env environment selftest checks", "doctor")
        add("sweep ablate ablation crossvalidate cv", "compare")
        add("version", "version")
        return table
    }()
}
