// The choices of the textbook, end to end: each trains, is on record, and gives a model that answers as it was scored.

import FinetuneFiles
import Foundation
import TestSupport
import Testing

private let base = Fixtures.path("resnet20-random.h5")

@Suite("Choices", .serialized) struct ChoiceTests {
    static let onFeatures = [
        "--head mlp:8,4 --activation gelu --dropout 0.2", "--head mlp:8 --activation selu --dropout 0.3 --init lecun",
        "--head mlp:8 --activation leaky-relu --init xavier", "--head mlp:8 --activation elu --l2 0.001",
        "--head linear --label-smoothing 0.1 --mixup 0.4", "--head linear --init kaiming --feature-scaling none",
        "--head linear --augment light --views 2 --early-stop 3", "--augment standard --views 3",
        "--head linear --schedule constant --lr 0.01 --ema 0.9 --l1 0.001",
        "--head linear --optimizer adamw --l2 0.01 --schedule step --step-every 10 --step-factor 0.5 --warmup 2",
        "--head mlp:8 --optimizer rmsprop --class-weights balanced", "--head ridge --class-weights balanced",
    ]

    @Test("on frozen features", arguments: onFeatures)
    func features(_ flags: String) throws {
        try train("\(flags)", perClass: 16)
    }

    static let throughTheNetwork = [
        "--unfreeze stage3 --head mlp:8 --activation tanh --cutmix 1 --mixup 0.4 --label-smoothing 0.1",
        "--unfreeze stage3 --head mlp:8 --activation sigmoid --dropout 0.1 --cutmix 0.5",
        "--strategy gradual --unfreeze stage3 --mixup 0.2 --head mlp:6 --optimizer adam",
        "--unfreeze all --augment trivial --optimizer nesterov --schedule linear --warmup 0.5 --l1 0.00001",
    ]

    @Test("through the network", arguments: throughTheNetwork)
    func network(_ flags: String) throws {
        try train("\(flags) --epochs 2 --batch 8", perClass: 8)
    }

    /// Trains, evaluates, and converts: each time the same scores.
    private func train(_ flags: String, perClass: Int) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: perClass)
        let words = ["--base", base, "--data", "@images", "--json"] + flags.split(separator: " ").map(String.init)
        let training = try workspace.finetune(words + ["--out", "@run"])
        #expect(training.code == 0, "\(training.errors)")
        let evaluation = try workspace.finetune("evaluate", "--model", "@run/model.h5", "--data", "@images", "--json")
        #expect(evaluation.done["metrics"] == training.done["val"], "\(evaluation.errors)")
        for name in ["model.onnx", "keras.h5"] {
            let format = name == "keras.h5" ? ["--to", "keras"] : []
            let converted = try workspace.finetune(["convert", "@run/model.h5", "@\(name)"] + format)
            #expect(converted.code == 0, "\(converted.errors)")
        }
        let back = try workspace.finetune(
            "evaluate", "--model", "@keras.h5", "--data", "@images", "--precision", "fp32", "--json")
        #expect(back.code == 0, "\(back.errors)")
    }

    @Test("earn a word where the textbook has one")
    func advice() throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 8)
        func said(_ flags: String...) throws -> String {
            let outcome = try workspace.finetune(
                ["--base", base, "--data", "@images", "--out", "@run", "--force"] + flags)
            #expect(outcome.code == 0, "\(outcome.errors)")
            return outcome.errors
        }
        func count(_ text: String, in errors: String) -> Int { errors.components(separatedBy: text).count - 1 }
        let both = try said(
            "--head", "mlp:4", "--activation", "sigmoid", "--optimizer", "adam", "--schedule", "cosine",
            "--epochs", "2")
        #expect(count("sigmoid is flat at both ends", in: both) == 1, "\(both)")
        #expect(count("adam already fits the length of its steps", in: both) == 1, "\(both)")
        let neither = try said("--head", "mlp:4", "--optimizer", "adam", "--epochs", "2")
        #expect(!neither.contains("flat at both ends") && !neither.contains("already fits"), "\(neither)")
    }

    @Test(
        "that mean nothing together are refused, both by name",
        arguments: [
            ("--head mlp:8 --init zero", "--init zero", "--head mlp"),
            ("--head linear --activation gelu", "--activation", "--head linear"),
            ("--activation gelu", "--activation", "--head logistic"), ("--init zero", "--init", "--head logistic"),
            ("--head ridge --epochs 3", "--epochs", "--head ridge"), ("--mixup 0.2", "--mixup", "--head logistic"),
            ("--head linear --cutmix 1", "--cutmix", "--strategy frozen"),
            ("--unfreeze all --strategy gradual --cutmix 1", "--cutmix", "--strategy gradual"),
            ("--head linear --stage-lr-decay 0.5", "--stage-lr-decay", "--strategy frozen"),
            ("--strategy fine-tune --feature-scaling none", "--feature-scaling", "--strategy fine-tune"),
            ("--unfreeze all --head ridge", "--head ridge", "--strategy lp-ft"),
            ("--strategy frozen --clip 1", "--clip", "--head logistic"),
            ("--unfreeze all --views 8", "--views", "every epoch sees other views"),
            ("--strategy fine-tune --views 8", "--views", "every epoch sees other views"),
            ("--strategy fine-tune --precision fp32", "--precision", "--train-precision"),
            ("--head mlp:0", "--head", "mlp:0"), ("--head mlp:8, ", "--head", "mlp:8,"),
            ("--views 3", "--views", "--augment none"), ("--l1 0.1", "--l1", "--head logistic"),
            ("--head linear --step-every 3", "--step-every", "--schedule step"),
            ("--head linear --schedule cosine --step-factor 0.5", "--step-factor", "--schedule step"),
            ("--head linear --epochs 5 --warmup 5", "--warmup", "5 epochs"),
            ("--head linear --optimizer adagrad", "--optimizer", "adamw"),
        ])
    func refusals(_ flags: String, _ first: String, _ second: String) throws {
        let workspace = try Workspace()
        try workspace.makeImages("images", perClass: 4)
        let outcome = try workspace.finetune(
            ["--base", base, "--data", "@images", "--out", "@run"] + flags.split(separator: " ").map(String.init))
        #expect(
            outcome.code == 64 && outcome.errors.contains(first) && outcome.errors.contains(second),
            "\(outcome.code): \(outcome.errors)")
    }
}
