// The values of the flags about scores, results and the machine.

internal import FinetuneCheckpoints
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetunePipeline

extension FlagRules {
    // MARK: Scores

    static let scores: [FlagRule] = [
        limit(isMinimum: true, example: "accuracy=0.9"), limit(isMinimum: false, example: "log-loss=0.4"),
        .text("--positive", accepted: "the name of one of the two classes", example: "tumour"),
        .fraction("--sensitivity", includesOne: true, example: "0.95"),
        .fraction("--specificity", includesOne: true, example: "0.95"),
        .fraction("--abstain-below", includesOne: true, example: "0.8"),
    ]

    /// `--minimum` and `--maximum`.
    ///
    /// - Parameter isMinimum: Whether the score has to be at least the number: of scores that are better the higher.
    private static func limit(isMinimum: Bool, example: String) -> FlagRule {
        let names = ScoreLimit.names.filter { ScoreLimit.isBetterHigher($0) == isMinimum }
        return FlagRule(
            names: [isMinimum ? "--minimum" : "--maximum"],
            accepted: "SCORE=NUMBER with \(names.alternatives); fractions are numbers from 0 to 1",
            example: example,
            repair: { text in
                guard let meant = ScoreLimit.repaired(text, example: example), let limit = ScoreLimit(meant) else {
                    return nil
                }
                if limit.isBetterHigher == isMinimum { return .value(meant) }
                return .sentence(
                    "\(limit.writtenName) is better the \(isMinimum ? "lower" : "higher") it is: \(isMinimum ? "--maximum" : "--minimum") \(meant)"
                )
            }, takesPercentage: true, mayRepeat: true
        ) { ScoreLimit($0)?.isBetterHigher == isMinimum }
    }

    // MARK: Results

    static let results: [FlagRule] = [
        .text("--out", accepted: "the path to write to", example: "runs/first"),
        file("--report", accepted: "the page to write", endings: ["html", "htm"], example: "report.html"),
        file("--fix-list", accepted: "the table to write", endings: ["csv"], example: "look-at.csv"),
        .whole("--top", in: 1...1_000_000, of: "classes", example: "3"),
        .choice(
            "--format", of: PredictCommand.Format.allCases.map(\.rawValue), example: "csv",
            [
                "tsv": "csv", "excel": "csv", "xlsx": "csv", "txt": "text", "table": "text", "plain": "text",
                "jsonlines": "jsonl", "ndjson": "jsonl",
            ]),
        .choice(
            "--dtype", of: FeatureFile.Element.allCases.map(\.rawValue), example: "float16",
            [
                "fp16": "float16", "half": "float16", "f2": "float16", "16": "float16", "f16": "float16",
                "bf16": "float16", "bfloat16": "float16", "fp32": "float32", "float": "float32", "single": "float32",
                "f4": "float32", "32": "float32", "f32": "float32", "float64": "float32", "double": "float32",
            ]),
        .choice(
            "--to", of: ModelFile.Format.allCases.map(\.rawValue), example: "onnx",
            [
                "pytorch": "torch", "pt": "torch", "pth": "torch", "tensorflow": "keras", "tf": "keras",
                "h5": "native", "hdf5": "native", "finetune": "native", "st": "safetensors",
                "huggingface": "safetensors",
                "openvino": "onnx", "tensorrt": "onnx", "coreml": "onnx",
            ]),
    ]

    /// The `--out` of `extract`.
    static let featureFile = file(
        "--out", accepted: "the file to write", endings: FeatureFile.Format.allCases.map(\.rawValue),
        example: "features.npz", meanings: ["hdf5": "h5", "tsv": "csv", "txt": "csv", "xlsx": "csv"])

    /// A file to write, whose ending says its format.
    ///
    /// - Parameter meanings: Other endings, and the ending that was probably meant; the first one for all others.
    private static func file(
        _ name: String, accepted: String, endings: [String], example: String, meanings: [String: String] = [:]
    ) -> FlagRule {
        FlagRule(
            names: [name],
            accepted:
                "\(accepted), a name that ends in \((endings == ["html", "htm"] ? [".html"] : endings.map { "." + $0 }).alternatives)",
            example: example,
            repair: { value in
                if FileSystem.kind(of: value) == .directory { return .value(Path.join(value, example)) }
                let ending = Path.fileExtension(of: value)
                let stem = ending.isEmpty ? value : String(value.dropLast(ending.count + 1))
                return Path.name(of: stem).isEmpty ? nil : .value("\(stem).\(meanings[ending] ?? endings[0])")
            }
        ) { endings.contains(Path.fileExtension(of: $0)) }
    }

    // MARK: Machine

    static let machine: [FlagRule] = [
        .choice("--precision", of: Precision.allCases.map(\.rawValue), example: "bf16", precisions),
        .choice(
            "--train-precision", of: Precision.allCases.filter(\.learns).map(\.rawValue), example: "bf16",
            precisions.mapValues { meaning in
                guard case .value("int8") = meaning else { return meaning }
                return noGradients
            }.merging(["int8": noGradients]) { $1 }),
        .whole(
            "--threads", in: 1...1024, example: "4",
            [
                "0": .sentence("Leave --threads out to use all processors."),
                // The sign of -1 is no letter.
                "1": .sentence("Leave --threads out to use all processors."),
                "auto": .sentence("Leave --threads out to use all processors."),
                "all": .sentence("Leave --threads out to use all processors."),
            ]),
        FlagRule(
            names: ["--cache"], accepted: "a folder, or off", example: "off",
            meanings: ["none": "off", "no": "off", "false": "off", "0": "off", "disabled": "off"]
        ) { !["", "none", "no", "false", "0", "disabled"].contains($0.lowercased()) },
        .choice(
            "--log-level", of: LogLevel.allCases.map(\.rawValue), example: "debug",
            [
                "warn": "warning", "verbose": "debug", "trace": "debug", "all": "debug", "quiet": "error",
                "silent": "error", "critical": "error", "fatal": "error", "none": "error", "off": "error",
                "0": "debug", "10": "debug", "20": "info", "30": "warning", "40": "error",
            ]),
    ]

    private static let noGradients = FlagRule.Remedy.sentence(
        "int8 has no gradients. It is for the frozen part of the network: --precision int8.")

    private static let precisions: [String: FlagRule.Remedy] = [
        "fp16": "bf16", "half": "bf16", "float16": "bf16", "f16": "bf16", "16": "bf16", "mixed": "bf16", "amp": "bf16",
        "bfloat16": "bf16", "bfloat": "bf16", "16mixed": "bf16", "bf16mixed": "bf16", "mixedfloat16": "bf16",
        "float32": "fp32", "float": "fp32", "f32": "fp32", "32": "fp32", "single": "fp32", "full": "fp32",
        "tf32": "fp32", "fp64": "fp32", "float64": "fp32", "double": "fp32", "64": "fp32", "8": "int8", "i8": "int8",
        "uint8": "int8", "quantized": "int8", "fp8": "int8", "int4": "int8",
    ]
}

/// A limit that a score has to keep, as `--minimum accuracy=0.9` says it.
struct ScoreLimit: Sendable {
    /// A name of `Evaluation.scoreNames`.
    let name: String
    let limit: Double

    /// The names as they are written, with hyphens.
    static let names = Evaluation.scoreNames.map { $0.replacing("_", with: "-") }

    var writtenName: String { name.replacing("_", with: "-") }
    var isBetterHigher: Bool { Self.isBetterHigher(writtenName) }

    /// Whether a score is better the higher it is; else it is better the lower.
    ///
    /// - Parameter name: One of `names`.
    static func isBetterHigher(_ name: String) -> Bool { !["log-loss", "ece", "brier"].contains(name) }

    /// - Returns: Nil if the text is not a score and a number that the score can have.
    init?(_ text: String) {
        let parts = text.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, let limit = Double(parts[1]), limit.isFinite else { return nil }
        let name = parts[0].replacing("-", with: "_")
        let largest = name == "log_loss" ? Double.infinity : name == "brier" ? 2 : 1
        guard Evaluation.scoreNames.contains(name), limit >= 0, limit <= largest else { return nil }
        (self.name, self.limit) = (name, limit)
    }

    /// What was probably meant by a text that is no limit.
    static func repaired(_ text: String, example: String) -> String? {
        let name = text.prefix { $0.isLetter || $0.isNumber || "-_".contains($0) }
        let isNumber = Double(text.replacing(",", with: ".")) != nil || name.isEmpty
        let rest = isNumber ? text[...] : text.dropFirst(name.count).drop { "=<>: ".contains($0) }
        let score = isNumber ? String(example.prefix { $0 != "=" }) : nearestName(String(name))
        guard let score else { return nil }
        let number = rest.isEmpty ? String(example.drop { $0 != "=" }.dropFirst()) : String(rest)
        let repaired = "\(score)=\(number)"
        if ScoreLimit(repaired) != nil { return repaired }
        guard let part = FlagRule.partOfOne(number), ScoreLimit("\(score)=\(part)") != nil else { return nil }
        return "\(score)=\(part)"
    }

    private static func nearestName(_ name: String) -> String? {
        let meanings = [
            "acc": "accuracy", "top1": "accuracy", "valacc": "accuracy", "valaccuracy": "accuracy", "f1": "macro-f1",
            "f1score": "macro-f1", "f1macro": "macro-f1", "auc": "roc-auc", "auroc": "roc-auc", "loss": "log-loss",
            "valloss": "log-loss", "nll": "log-loss", "crossentropy": "log-loss", "topk": "top5",
            "calibration": "ece", "brierscore": "brier",
        ]
        return meanings[Spelling.simplified(name)] ?? Spelling.nearest(to: name, among: names)
    }
}
