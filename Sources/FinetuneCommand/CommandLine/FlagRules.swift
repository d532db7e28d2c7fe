// The values of all flags that take one, in one table.

internal import FinetuneCheckpoints
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneTraining

enum FlagRules {
    /// All rules.
    static let all: [FlagRule] = [data, network, preprocessing, strategy, steps, scores, results, machine].flatMap(
        \.self)

    /// The rule for a flag by any of its names; nil for a flag that takes no value.
    ///
    /// - Parameter command: The command that has the flag: some flags take other values there.
    static func rule(for name: String, in command: String = "") -> FlagRule? {
        ofCommands[command]?[name] ?? byName[name]
    }

    /// Rules of single commands, which come before those of all.
    private static let ofCommands = ["extract": ["--out": featureFile]]

    private static let byName = Dictionary(all.flatMap { rule in rule.names.map { ($0, rule) } }) { first, _ in first }

    /// Flags that take no value.
    static let switches = [
        "--quiet", "--json", "--dry-run", "--force", "--resume", "--strict", "--learning-curve", "--tensors", "--fold",
        "-0",
    ]

    // MARK: Images

    private static let data: [FlagRule] = [
        .text("--data", accepted: "the path of a folder, a table or an archive of images", example: "./imgs"),
        division("--val"), division("--test"),
        FlagRule(
            names: ["--limit"], accepted: "a number of training images, or N,stratified", example: "100,stratified",
            repair: { value in
                let digits = value.prefix { $0.isASCII && $0.isNumber }
                let rest = Spelling.simplified(String(value.dropFirst(digits.count)))
                guard !digits.isEmpty, !rest.contains("%"), rest.contains(where: \.isLetter) else { return nil }
                return .value("\(digits),stratified")
            }
        ) { DataOptions.limit($0) != nil },
        FlagRule(
            names: ["--group-by"], accepted: "a regular expression for a part of each path",
            example: "'patient([0-9]+)'"
        ) { !$0.isEmpty && (try? Regex($0)) != nil },
        .number(
            "--seed", accepted: "a whole number from 0 to 18446744073709551615", example: "1",
            ["random": .sentence("A run draws nothing at random without a seed: leave --seed out for seed 0.")]
        ) { _ in true }.accepting { UInt64($0) != nil },
        .choice(
            "--split", of: SplitChoice.allCases.map(\.rawValue), example: "test",
            [
                "valid": "val", "validation": "val", "validate": "val", "dev": "val", "eval": "val",
                "training": "train", "testing": "test", "holdout": "test", "both": "all", "full": "all",
                "everything": "all", "none": "all",
            ]),
        .text("--classes", accepted: "a file with a class name on each line", example: "classes.txt"),
    ]

    /// `--val` and `--test`.
    private static func division(_ name: String) -> FlagRule {
        FlagRule(
            names: [name],
            accepted: "a fraction from 0 to below 1, a percentage below 100%, or the path of more images",
            example: "0.2", repair: { FlagRule.partOfOne($0).map { .value($0) } }, takesPercentage: true
        ) { value in
            // What is written in digits and is no file's name was meant as a number.
            if FileSystem.kind(of: value) != nil { return true }
            if let fraction = Double(value) { return fraction >= 0 && fraction < 1 }
            return !value.isEmpty && !value.allSatisfy { $0.isNumber || ".,%+-".contains($0) }
        }
    }

    // MARK: Networks

    private static let network: [FlagRule] = [
        .text("--base", accepted: "the path of a pretrained network", example: "resnet50.h5"),
        .text("--model", accepted: "the path of a trained network", example: "runs/first/model.h5"),
        .text("--weights-key", accepted: "the name of a network in the file", example: "state_dict_ema"),
        FlagRule(
            names: ["--architecture"],
            accepted: "\(Architecture.names.alternatives), then ,width=N, and of a ResNet ,stem=7x7|3x3",
            example: "resnet20,width=16",
            choices: Architecture.names,
            repair: { value in Int(value).map { .value("resnet\($0)") } }
        ) { (try? Architecture($0, outputs: 2)) != nil },
        FlagRule(
            names: ["--layer"], accepted: "stem, a stage such as stage3, pooled or logits", example: "pooled",
            choices: ["stem", "pooled", "logits"], meanings: layerMeanings, repair: { stage(named: $0) }
        ) { ["stem", "pooled", "logits"].contains($0) || isStage($0) },
    ]

    /// Layers of other libraries.
    private static let layerMeanings: [String: FlagRule.Remedy] = [
        "avgpool": "pooled", "globalpool": "pooled", "globalaveragepooling": "pooled",
        "globalaveragepooling2d": "pooled",
        "gap": "pooled", "pool": "pooled", "pool5": "pooled", "pooling": "pooled", "penultimate": "pooled",
        "features": "pooled", "feature": "pooled", "embedding": "pooled", "embeddings": "pooled", "flatten": "pooled",
        "last": "pooled", "fc": "logits", "head": "logits", "classifier": "logits", "predictions": "logits",
        "softmax": "logits", "output": "logits", "outputs": "logits", "probabilities": "logits", "conv1": "stem",
    ]

    // MARK: Preprocessing

    private static let preprocessing: [FlagRule] = [
        FlagRule(
            names: ["--recipe"], accepted: "\(recipes.alternatives), or the path of a JSON file", example: "torch",
            choices: recipes,
            meanings: [
                "imagenet": "torch", "pytorch": "torch", "torchvision": "torch", "timm": "torch", "default": "auto",
                "keras": "caffe", "vgg": "caffe", "resnet": "caffe", "resnet50": "caffe", "bgr": "caffe",
                "tensorflow": "tf", "mobilenet": "tf", "inception": "tf", "resnetv2": "tf", "rescale": "unit",
                "scale": "unit", "0..1": "unit", "01": "unit", "255": "unit", "none": "raw", "identity": "raw",
            ]
        ) { recipes.contains($0) || FileSystem.kind(of: $0) != nil || $0.contains("/") || $0.hasSuffix(".json") },
        .choice(
            "--fit", of: InputRecipe.Fit.allCases.map(\.rawValue), example: "crop",
            [
                "center": "crop", "centre": "crop", "centercrop": "crop", "resizecrop": "crop", "cover": "crop",
                "stretch": "squash", "resize": "squash", "squish": "squash", "fill": "squash", "scale": "squash",
                "letterbox": "pad", "border": "pad", "padding": "pad", "contain": "pad", "none": "unscaled",
                "original": "unscaled",
            ]),
        .whole("--size", "--image-size", in: 1...8192, of: "pixels", example: "224"),
        .choice(
            "--exif", of: InputRecipe.Exif.allCases.map(\.rawValue), example: "upright",
            [
                "yes": "upright", "true": "upright", "on": "upright", "rotate": "upright", "transpose": "upright",
                "apply": "upright", "no": "ignore", "false": "ignore", "off": "ignore", "none": "ignore",
            ]),
        FlagRule(
            names: ["--depth"], accepted: "full, auto or a number of bits from 1 to 16", example: "12",
            choices: ["full", "auto"],
            meanings: [
                "none": "full", "off": "full", "uint16": "16", "uint8": "8", "16bit": "16", "12bit": "12", "8bit": "8",
            ],
            repair: { value in
                let digits = value.prefix { $0.isASCII && $0.isNumber }
                return digits.isEmpty ? nil : .value(String(digits))
            }
        ) { DepthChoice(argument: $0) != nil },
    ]

    private static let recipes = ["auto"] + InputRecipe.Pixels.named.map(\.name)

    // MARK: Stages

    /// Whether a name is one of `stage1`, `stage2` and so on.
    static func isStage(_ name: String) -> Bool {
        name.hasPrefix("stage") && Int(name.dropFirst(5)).map { $0 > 0 && name == "stage\($0)" } == true
    }

    /// The stage that other libraries call `layer4`, `conv5_block3_out`, `stage_4`, `block4` or `4`.
    static func stage(named name: String) -> FlagRule.Remedy? {
        let plain = Spelling.simplified(name)
        let rest = name.drop { !$0.isNumber }
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits), number > 0 else { return nil }
        let word = plain.prefix { !$0.isNumber }
        if ["layer", "layers", "stage", "stages", "block", "blocks", "features", "backbone.layer"].contains(
            String(word))
        {
            return .value("stage\(number)")
        }
        // `conv5_1` is a VGG's, whose stages are counted otherwise.
        let isOne =
            rest.dropFirst(digits.count).first == "_" && rest.dropFirst(digits.count + 1).first?.isNumber == true
        return word == "conv" && !isOne ? .value(number == 1 ? "stem" : "stage\(number - 1)") : nil
    }
}

extension FlagRule {
    /// The same rule with another test.
    func accepting(_ isAccepted: @escaping @Sendable (String) -> Bool) -> FlagRule {
        FlagRule(
            names: names, accepted: accepted, example: example, choices: choices, meanings: meanings, repair: repair,
            takesPercentage: takesPercentage, mayRepeat: mayRepeat, isAccepted: isAccepted)
    }
}
