// Settings that contradict each other, named as the program's flags name them.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneModels

/// Why a training cannot be done as it is told.
package struct SettingsError: Error, Sendable, CustomStringConvertible {
    /// A sentence.
    package let reason: String

    package var description: String { "cannot train with these settings: \(reason)" }
}

extension TrainingSettings {
    /// Checks every value's range, and whether the choices fit together.
    ///
    /// - Throws: `SettingsError`.
    package func check() throws {
        try steps.checkRanges()
        guard steps.precision.learns else {
            throw SettingsError(
                reason:
                    "--train-precision \(steps.precision.rawValue) has no gradients. Use fp32 or bf16; --precision int8 is for the frozen part."
            )
        }
        try Self.checkFractions(validation: validation, test: test)
        try checkHead()
        switch scaling {
        case .pca(let count), .whiten(let count?):
            try Self.check("--feature-scaling", count, "a number of components from 1 on") { $0 >= 1 }
        case .none, .standardize, .l2, .whiten(nil): break
        }
        if scaling != .standardize, strategy != .frozen, !strategy.beginsWithFittedHead {
            throw unused("--feature-scaling \(scaling.text)")
        }
        if steps.mixing.cutmix > 0, strategy == .frozen || strategy == .gradual || steps.unfreezing == .head {
            let other = strategy == .fineTune ? "--unfreeze head" : "--strategy \(strategy.rawValue)"
            throw SettingsError(
                reason: "--cutmix is not used with \(other): features have no box to paste. Try --mixup.")
        }
        if steps.augmentation == .none, (steps.views ?? 1) > 1 {
            throw SettingsError(reason: "--views is not used with --augment none: all views would be the same.")
        }
        if let size = steps.startSize, strategy == .frozen || strategy == .gradual || steps.unfreezing != .all {
            let other =
                strategy == .fineTune ? "--unfreeze \(steps.unfreezing.text)" : "--strategy \(strategy.rawValue)"
            throw SettingsError(
                reason:
                    "--start-size \(size) is not used with \(other): frozen layers need images of one size. Try \(strategy == .gradual ? "--strategy lp-ft" : "--unfreeze all")."
            )
        }
        if strategy == .scratch {
            if steps.normalization == .frozen { throw unused("--batch-norm frozen", ", which has no statistics") }
            if steps.pull > 0 { throw unused("--l2-sp", ", which has no base") }
        }
    }

    /// Checks that the fractions of the validation and test images leave images for training.
    ///
    /// - Throws: `SettingsError`.
    package static func checkFractions(validation: Double, test: Double) throws {
        try check("--val", validation, "a fraction from 0 to below 1") { (0..<1).contains($0) }
        try check("--test", test, "a fraction from 0 to below 1") { (0..<1).contains($0) }
        guard validation + test < 1 else {
            throw SettingsError(
                reason:
                    "--val \(validation) and --test \(test) leave no images for training: both are fractions of all images, and their sum must be below 1. For example: --val 0.2 --test 0.2"
            )
        }
    }

    private func checkHead() throws {
        switch head {
        case .convex(let convex):
            if strategy != .frozen {
                throw SettingsError(
                    reason:
                        "--head \(convex.rawValue) is fitted directly to frozen features and cannot be used with --strategy \(strategy.rawValue). Try --head linear."
                )
            }
        case .layers(let design):
            for units in design.hidden {
                try Self.check("--head", units, "a number of units from 1 to 65536") { (1...65536).contains($0) }
            }
            if !design.hidden.isEmpty, design.initialization == .zero {
                throw SettingsError(
                    reason:
                        "--init zero cannot be used with --head mlp: no hidden layer would ever learn. Try --init kaiming."
                )
            }
        }
    }

    private func unused(_ flag: String, _ reason: String = "") -> SettingsError {
        SettingsError(reason: "\(flag) is not used with --strategy \(strategy.rawValue)\(reason).")
    }

    /// - Parameter expected: What the value is, in words.
    fileprivate static func check<Value>(
        _ flag: String, _ value: Value?, _ expected: String, _ isRight: (Value) -> Bool
    ) throws {
        if let value, !isRight(value) {
            throw SettingsError(reason: "\(flag) is \(value), expected \(expected).")
        }
    }
}

extension StepSettings {
    /// Infinities and what is no number are in no range.
    fileprivate func checkRanges() throws {
        func check(_ flag: String, _ value: Double?, _ expected: String, _ isRight: (Double) -> Bool) throws {
            try TrainingSettings.check(flag, value, expected) { $0.isFinite && isRight($0) }
        }
        for (flag, value) in [("--epochs", epochs), ("--batch", batch), ("--views", views)] {
            try TrainingSettings.check(flag, value, "a number from 1 to 1000000") { (1...1_000_000).contains($0) }
        }
        try TrainingSettings.check("--early-stop", patience, "a number from 0 to 1000000") {
            (0...1_000_000).contains($0)
        }
        try TrainingSettings.check("--start-size", startSize, "a number of pixels from 1 to 8192") {
            (1...8192).contains($0)
        }
        try check("--lr", learningRate, "a number above 0 and up to 1000, or auto") { $0 > 0 && $0 <= 1000 }
        try check("--stage-lr-decay", stageRateDecay, "a number from 0.0001 to 10") { (1e-4...10).contains($0) }
        try check("--l1", l1, "a number from 0 to 1000") { (0...1000).contains($0) }
        try check("--l2", l2, "a number from 0 to 1000") { (0...1000).contains($0) }
        try check("--l2-sp", pull, "a number from 0 to 1000") { (0...1000).contains($0) }
        try check("--clip", clip, "a number above 0") { $0 > 0 }
        try check("--dropout", dropout, "a fraction from 0 to below 1") { (0..<1).contains($0) }
        try check("--label-smoothing", labelSmoothing, "a fraction from 0 to below 1") { (0..<1).contains($0) }
        try check("--mixup", mixing.mixup, "a number from 0 to 1000") { (0...1000).contains($0) }
        try check("--cutmix", mixing.cutmix, "a number from 0 to 1000") { (0...1000).contains($0) }
        try check("--ema", averageKept, "a fraction from 0 to below 1") { (0..<1).contains($0) }
        try check("--time-budget", timeBudget, "a time of at most ten years") { $0 > 0 && $0 <= 3.2e8 }
        try check("--checkpoint-every", checkpointInterval, "a number of seconds from 0 to 320000000") {
            (0...3.2e8).contains($0)
        }
        let schedule = chosenSchedule
        try check("--warmup", schedule.warmUp, "a number from 0 to below the \(epochs) epochs") {
            $0 >= 0 && $0 < Double(epochs)
        }
        if case .step(let every, let factor) = schedule.decay {
            try check("--step-every", every, "a number of epochs from 0.001 to 1000000") {
                (1e-3...1e6).contains($0)
            }
            try check("--step-factor", factor, "a number above 0 and at most 1") { $0 > 0 && $0 <= 1 }
        }
        for (name, value) in optimizer.numbers {
            let isShare = name != "epsilon"
            try check("--optimizer", value, "a \(name) \(isShare ? "from 0 to below 1" : "above 0")") {
                isShare ? (0..<1).contains($0) : $0 > 0
            }
        }
    }
}
