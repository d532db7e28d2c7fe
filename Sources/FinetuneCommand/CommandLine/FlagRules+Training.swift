// The values of the flags that say how a network is trained.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetuneTraining

extension FlagRules {
    // MARK: Strategy and head

    static let strategy: [FlagRule] = [
        .choice(
            "--strategy", of: Strategy.allCases.map(\.rawValue), example: "fine-tune", strategyMeanings),
        FlagRule(
            names: ["--unfreeze"], accepted: "head, last, all, or a stage such as stage4 (finetune inspect lists them)",
            example: "last", choices: ["head", "last", "all", "stem"], meanings: stageMeanings,
            repair: repairUnfreezing
        ) { ["head", "last", "all", "stem"].contains($0) || isStage($0) },
        FlagRule(
            names: ["--strategies"],
            accepted:
                "a list of head, last, all, stages such as stage4, and strategies (\(Strategy.allCases.map(\.rawValue).joined(separator: ", ")))",
            example: "head,last,all", repair: repairStrategies
        ) { $0.split(separator: ",", omittingEmptySubsequences: false).allSatisfy { isStrategy(String($0)) } },
        .whole("--seeds", in: 1...100, example: "3").repairing(repairCount),
        .whole("--folds", in: 2...100, example: "5"),
        FlagRule(
            names: ["--head"], accepted: "logistic, ridge, linear, or mlp: with the units of 1 to 16 hidden layers",
            example: "mlp:512,256", choices: ["logistic", "ridge", "linear"],
            meanings: [
                "mlp": "mlp:256", "mlp:": "mlp:256", "dense": "linear", "fc": "linear", "classifier": "linear",
                "logisticregression": "logistic", "logreg": "logistic", "lr": "logistic", "softmax": "logistic",
                "leastsquares": "ridge",
            ],
            repair: { value in
                let numbers = value.split { !$0.isNumber }.joined(separator: ",")
                return numbers.isEmpty ? nil : .value("mlp:\(numbers)")
            }
        ) { HeadKind($0) != nil },
        .choice(
            "--activation", of: Activation.allCases.map(\.rawValue), example: "gelu",
            ["lrelu": "leaky-relu", "logistic": "sigmoid", "swish": "silu", "hardswish": "hard-swish"]),
        .choice(
            "--init", of: Initialization.allCases.map(\.rawValue), example: "kaiming",
            [
                "he": "kaiming", "henormal": "kaiming", "heuniform": "kaiming", "kaimingnormal": "kaiming",
                "kaiminguniform": "kaiming", "glorot": "xavier", "glorotuniform": "xavier", "glorotnormal": "xavier",
                "xavieruniform": "xavier", "xaviernormal": "xavier", "lecunnormal": "lecun", "zeros": "zero",
                "0": "zero",
            ]),
        FlagRule(
            names: ["--feature-scaling"], accepted: "none, standardize, l2, pca:K, whiten or whiten:K",
            example: "pca:64", choices: ["none", "standardize", "l2", "whiten"],
            meanings: [
                "pca": "pca:64", "standard": "standardize", "standardscaler": "standardize", "zscore": "standardize",
                "standardise": "standardize", "normalize": "l2", "normalise": "l2", "l2norm": "l2", "unit": "l2",
                "zca": "whiten", "off": "none", "no": "none", "false": "none",
            ],
            repair: { value in
                let words = value.split { "=: ,-".contains($0) }
                return words.count == 2 ? .value("\(words[0].lowercased()):\(words[1])") : nil
            }
        ) { FeatureScaling($0) != nil },
        .choice(
            "--class-weights", of: ClassWeights.allCases.map(\.rawValue), example: "balanced",
            [
                "auto": "balanced", "balance": "balanced", "yes": "balanced", "true": "balanced", "on": "balanced",
                "inverse": "balanced", "uniform": "none", "no": "none", "false": "none", "off": "none",
            ]),
    ]

    private static let strategyMeanings: [String: FlagRule.Remedy] = [
        "linearprobe": "frozen", "linearprobing": "frozen", "lp": "frozen", "freeze": "frozen", "head": "frozen",
        "featureextraction": "frozen", "features": "frozen", "transfer": "frozen", "full": "fine-tune",
        "all": "fine-tune", "unfreeze": "fine-tune", "fullfinetuning": "fine-tune", "probethenfinetune": "lp-ft",
        "gradualunfreezing": "gradual", "ulmfit": "gradual", "fromscratch": "scratch", "random": "scratch",
    ]

    private static let stageMeanings: [String: FlagRule.Remedy] = [
        "fc": "head", "classifier": "head", "top": "head", "none": "head", "linear": "head", "no": "head",
        "false": "head", "full": "all", "everything": "all", "true": "all", "yes": "all", "backbone": "all",
        "body": "all", "trunk": "all", "encoder": "all", "base": "all", "laststage": "last", "lastlayer": "last",
        "lastblock": "last",
    ]

    private static func repairUnfreezing(_ value: String) -> FlagRule.Remedy? {
        if Int(value) != nil || value.lowercased().hasPrefix("last") {
            return .sentence(
                "Name the first stage to train: it and all stages after it are trained, such as --unfreeze stage3 for stage3, stage4 and the head."
            )
        }
        return stage(named: value)
    }

    private static func isStrategy(_ name: String) -> Bool {
        ["head", "last", "all", "stem"].contains(name) || isStage(name) || Strategy(rawValue: name) != nil
    }

    private static func repairStrategies(_ value: String) -> FlagRule.Remedy? {
        let names = value.split { ",; ".contains($0) }.map(String.init)
        let known = ["head", "last", "all", "stem"] + Strategy.allCases.map(\.rawValue)
        let repaired = names.map { name -> String? in
            if isStrategy(name) { return name }
            let meant =
                stageMeanings[Spelling.simplified(name)] ?? stage(named: name)
                ?? strategyMeanings[Spelling.simplified(name)]
            if case .value(let word) = meant { return word }
            return Spelling.nearest(to: name, among: known)
        }
        guard !repaired.isEmpty, !repaired.contains(nil) else { return nil }
        return .value(repaired.compactMap(\.self).joined(separator: ","))
    }

    /// For a list such as `0,1,2` its length.
    private static func repairCount(_ value: String) -> FlagRule.Remedy? {
        let parts = value.split(separator: ",")
        return parts.count > 1 ? .value("\(parts.count)") : nil
    }

    // MARK: Steps

    static let steps: [FlagRule] = [
        .choice(
            "--batch-norm", of: NormalizationMode.allCases.map(\.rawValue), example: "train",
            [
                "eval": "frozen", "freeze": "frozen", "fixed": "frozen", "inference": "frozen", "false": "frozen",
                "training": "train", "live": "train", "update": "train", "true": "train",
            ]),
        .whole("--epochs", in: 1...1_000_000, example: "10"),
        .whole("--batch", "--batch-size", in: 1...1_000_000, of: "images", example: "32"),
        FlagRule(
            names: ["--lr", "--learning-rate"], accepted: "a number above 0 and up to 1000, or auto", example: "0.01",
            choices: ["auto"], meanings: ["find": "auto", "default": "auto", "lrfind": "auto"],
            repair: FlagRule.decimal
        ) { $0 == "auto" || (Double($0).map { $0 >= 1e-30 && $0 <= 1000 } ?? false) },
        .choice(
            "--optimizer", of: Optimizer.named.map(\.name), example: "adamw",
            [
                "sgdm": "momentum", "sgdmomentum": "momentum", "sgdnesterov": "nesterov", "nag": "nesterov",
                "rms": "rmsprop", "rmspropoptimizer": "rmsprop", "adamw8bit": "adamw", "adam8bit": "adam",
                "fusedadamw": "adamw",
            ]),
        .choice(
            "--schedule", of: ScheduleName.allCases.map(\.rawValue), example: "cosine",
            [
                "cos": "cosine", "cosineannealing": "cosine", "cosinedecay": "cosine", "onecycle": "cosine",
                "steplr": "step", "multistep": "step", "stepdecay": "step", "exponential": "step", "poly": "linear",
                "polynomial": "linear", "none": "constant", "fixed": "constant", "off": "constant",
            ]),
        .number("--warmup", accepted: "a number of epochs from 0 on, below --epochs", example: "1") { $0 >= 0 },
        .number("--step-every", accepted: "a number of epochs from 0.001 to 1000000", example: "5") {
            (1e-3...1e6).contains($0)
        },
        .number("--step-factor", accepted: "a number above 0 and at most 1", example: "0.1") { $0 > 0 && $0 <= 1 },
        .number(
            "--stage-lr-decay", "--layer-decay", accepted: "a number from 0.0001 to 10", example: "0.5"
        ) { (1e-4...10).contains($0) },
        .number("--l1", accepted: "a number from 0 to 1000", example: "0.0001") { (0...1000).contains($0) },
        .number("--l2", "--weight-decay", accepted: "a number from 0 to 1000", example: "0.0001") {
            (0...1000).contains($0)
        },
        .number("--l2-sp", accepted: "a number from 0 to 1000", example: "0.01") { (0...1000).contains($0) },
        .fraction("--dropout", example: "0.2", percentagesFrom: 5),
        .fraction("--label-smoothing", example: "0.1"),
        .number("--mixup", accepted: "a number from 0 to 1000", example: "0.2") { (0...1000).contains($0) },
        .number("--cutmix", accepted: "a number from 0 to 1000", example: "1") { (0...1000).contains($0) },
        .choice(
            "--augment", of: Augmentation.allCases.map(\.rawValue), example: "standard",
            [
                "strong": "standard", "heavy": "standard", "full": "standard", "randaugment": "standard",
                "autoaugment": "standard", "augmix": "standard", "medium": "standard", "trivialaugment": "trivial",
                "trivialaugmentwide": "trivial", "weak": "light", "basic": "light", "flip": "light",
                "default": "light", "true": "light", "yes": "light", "on": "light", "auto": "light", "off": "none",
                "false": "none", "no": "none", "0": "none",
            ]),
        .whole("--start-size", in: 1...8192, of: "pixels", example: "128"),
        .whole("--views", in: 1...1_000_000, example: "4"),
        .whole(
            "--early-stop", "--patience", in: 0...1_000_000, of: "epochs", example: "5",
            ["off": "0", "none": "0", "no": "0", "never": "0", "false": "0", "true": "5", "yes": "5"]),
        .choice(
            "--monitor", of: Monitor.allCases.map(\.rawValue), example: "log-loss",
            [
                "valloss": "log-loss", "loss": "log-loss", "crossentropy": "log-loss", "nll": "log-loss",
                "acc": "accuracy", "valacc": "accuracy", "valaccuracy": "accuracy", "top1": "accuracy",
                "errorrate": "accuracy", "f1": "macro-f1", "f1score": "macro-f1", "f1macro": "macro-f1",
                "valf1": "macro-f1",
            ]),
        .fraction("--ema", example: "0.999", percentagesFrom: 90),
        .number("--clip", accepted: "a number above 0", example: "1") { $0 > 0 && $0.isFinite },
        FlagRule(
            names: ["--time-budget"], accepted: "a time with its unit (s, m or h)", example: "10m", repair: repairTime
        ) { StepOptions.seconds($0) != nil },
        .number("--checkpoint-every", accepted: "a number of seconds from 0 to 320000000", example: "60") {
            (0...3.2e8).contains($0)
        },
    ]

    private static func repairTime(_ value: String) -> FlagRule.Remedy? {
        let plain = Spelling.simplified(value)
        if let sum = sumOfTimes(plain) { return .value(sum) }
        let number = plain.prefix { $0.isNumber || $0 == "." }
        guard Double(number) != nil else { return nil }
        switch plain.dropFirst(number.count) {
        case "": return .sentence("Write the unit: --time-budget \(number)s, \(number)m or \(number)h.")
        case "sec", "secs", "second", "seconds": return .value("\(number)s")
        case "min", "mins", "minute", "minutes": return .value("\(number)m")
        case "hr", "hrs", "hour", "hours": return .value("\(number)h")
        case "d", "day", "days": return Double(number).map { .value("\(($0 * 24).rounded(toPlaces: 2))h") }
        default: return nil
        }
    }
}

extension FlagRules {
    /// A time in several units, such as `1h30m`, in one; nil for anything else.
    private static func sumOfTimes(_ text: String) -> String? {
        var (seconds, digits, count) = (0, "", 0)
        for character in text {
            if character.isASCII, character.isNumber {
                digits.append(character)
                continue
            }
            guard let number = Int(digits), number < 1_000_000, let unit = ["h": 3600, "m": 60, "s": 1][character]
            else {
                return nil
            }
            seconds += number * unit
            (digits, count) = ("", count + 1)
        }
        guard count > 1, digits.isEmpty else { return nil }
        return seconds % 60 == 0 ? "\(seconds / 60)m" : "\(seconds)s"
    }
}

extension FlagRule {
    /// The same rule with another repair.
    func repairing(_ repair: @escaping @Sendable (String) -> Remedy?) -> FlagRule {
        FlagRule(
            names: names, accepted: accepted, example: example, choices: choices, meanings: meanings, repair: repair,
            takesPercentage: takesPercentage, mayRepeat: mayRepeat, isAccepted: isAccepted)
    }
}
