// The library as another package sees it: a model in a few lines, and every choice of the textbook.

import Finetune
import Foundation
import Testing

/// Pictures of two classes, brighter above or below, that are gone after the test.
private final class Pictures: Sendable {
    let folder = NSTemporaryDirectory() + "finetune-library-" + UUID().uuidString
    static let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    static let base = package + "/Tests/FinetuneCommandTests/Fixtures/resnet20-random.h5"

    init(perClass: Int) throws {
        for (label, name) in ["above", "below"].enumerated() {
            try FileManager.default.createDirectory(
                atPath: "\(folder)/imgs/\(name)", withIntermediateDirectories: true)
            for number in 0..<perClass {
                try Self.bitmap(brightRows: label, seed: UInt8(number)).write(
                    to: URL(fileURLWithPath: "\(folder)/imgs/\(name)/\(number).bmp"))
            }
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func file(_ name: String) -> String { folder + "/" + name }

    /// A BMP of 32×32 pixels, rows from below as the format has them.
    private static func bitmap(brightRows label: Int, seed: UInt8) -> Data {
        let side = 32
        func little(_ value: Int, _ bytes: Int) -> [UInt8] { (0..<bytes).map { UInt8(value >> (8 * $0) & 255) } }
        var bytes = Array("BM".utf8) + little(54 + side * side * 3, 4) + little(0, 4) + little(54, 4) + little(40, 4)
        bytes += little(side, 4) + little(side, 4) + little(1, 2) + little(24, 2) + [UInt8](repeating: 0, count: 24)
        for row in 0..<side {
            for column in 0..<side * 3 {
                let isBright = (row < side / 2) == (label == 1)
                bytes.append((isBright ? 170 : 60) &+ UInt8((column * 7 + row * 13 + Int(seed) * 29) % 50))
            }
        }
        return Data(bytes)
    }
}

/// Beside the test bundle, where the build put it.
private let helper: String = {
    let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
    return URL(fileURLWithPath: bundle).deletingLastPathComponent().path + "/finetune-read-weights"
}()

@Suite("The library") struct LibraryTests {
    @Test("adapts a model, which answers the same when it is read again")
    func adapts() async throws {
        let pictures = try Pictures(perClass: 12)
        let base = try Base(contentsOf: Pictures.base, helper: helper)
        let images = try ImageDataset(contentsOf: pictures.file("imgs"))
        #expect(images.classes == ["above", "below"] && images.count == 24 && base.stages.contains("stage3"))
        let run = try await Trainer(base, images, helper: helper).run()
        let validation = try #require(run.validation)
        #expect(validation.accuracy == 1 && validation.accuracyInterval.contains(1) && run.epochs.isEmpty)
        try run.model.write(to: pictures.file("model.h5"))
        let model = try AdaptedModel(contentsOf: pictures.file("model.h5"), helper: helper)
        let photo = pictures.file("imgs/below/3.bmp")
        let answers = try await [run.model, model].asyncMap { try await $0.predict(contentsOf: photo) }
        #expect(answers[0]?.label == "below" && answers[0]?.probabilities == answers[1]?.probabilities)
        #expect(try await model.predict(contentsOf: [Pictures.base, photo]).map { $0?.label } == [nil, "below"])
        #expect(throws: (any Error).self) { _ = try Base(contentsOf: photo, helper: helper) }
    }

    @Test("a finished training is not lost with an image of its test set")
    func vanishedImage() async throws {
        let pictures = try Pictures(perClass: 12)
        for (part, numbers) in [("train", 0..<6), ("val", 6..<9), ("test", 9..<12)] {
            for name in ["above", "below"] {
                let folder = pictures.file("parts/\(part)/\(name)")
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                for number in numbers {
                    try FileManager.default.moveItem(
                        atPath: pictures.file("imgs/\(name)/\(number).bmp"), toPath: "\(folder)/\(number).bmp")
                }
            }
        }
        var settings = TrainingSettings(.fineTune)
        settings.steps.unfreezing = .all
        settings.steps.epochs = 1
        settings.steps.learningRate = 0.001
        let images = try ImageDataset(contentsOf: pictures.file("parts"))
        let base = try Base(contentsOf: Pictures.base, helper: helper)
        let run = try await Trainer(base, images, settings: settings, helper: helper).run { event in
            guard case .epoch = event else { return }
            try? FileManager.default.removeItem(atPath: pictures.file("parts/test/below/10.bmp"))
        }
        #expect(run.epochs.count == 1 && run.validation?.count == 6 && run.test?.count == 5)
    }

    /// Every choice of settings at least once.
    static let choices: [(String, Strategy, @Sendable (inout TrainingSettings) -> Void)] = [
        (
            "ridge on principal components", .frozen,
            {
                $0.head = .ridge
                $0.scaling = .pca(4)
                $0.classWeights = .balanced
            }
        ),
        (
            "whitened", .frozen,
            {
                $0.scaling = .whiten(4)
                $0.test = 0.2
            }
        ),
        (
            "layers on features", .frozen,
            {
                $0.head = .layers(HeadDesign(hidden: [8, 4], activation: .selu, initialization: .lecun))
                $0.scaling = .l2
                $0.steps.epochs = 3
                $0.steps.dropout = 0.2
                $0.steps.optimizer = .adamW(beta1: 0.8)
                $0.steps.l2 = 0.01
                $0.steps.schedule = Schedule(.step(every: 1, factor: 0.5), warmUp: 1)
                $0.steps.learningRate = 0.001
            }
        ),
        (
            "through the last stage", .fineTune,
            {
                $0.steps.unfreezing = .stage("stage3")
                $0.steps.epochs = 2
                $0.steps.optimizer = .rmsProp(decay: 0.9)
                $0.steps.schedule = Schedule(.linear)
                $0.steps.l1 = 1e-5
                $0.steps.pull = 0.01
                $0.steps.mixing = Mixing(mixup: 0.2, cutmix: 1)
                $0.steps.labelSmoothing = 0.1
                $0.steps.augmentation = .trivial
                $0.steps.views = 2
                $0.steps.averageKept = 0.9
            }
        ),
        (
            "all of it", .headFirst,
            {
                $0.scaling = .standardize
                $0.steps.epochs = 1
                $0.steps.normalization = .train
                $0.steps.precision = .fp32
                $0.steps.augmentation = .standard
                $0.steps.optimizer = .nesterov(0.8)
                $0.steps.stageRateDecay = 0.5
                $0.steps.monitor = .logLoss
            }
        ),
        (
            "from nothing", .scratch,
            {
                $0.steps.epochs = 1
                $0.steps.learningRate = 0.01
            }
        ),
        (
            "stage after stage", .gradual,
            {
                $0.steps.epochs = 3
                $0.steps.optimizer = .adam()
                $0.steps.patience = 1
            }
        ),
    ]

    static let refused: [(String, Strategy, @Sendable (inout TrainingSettings) -> Void)] = [
        ("--head logistic", .fineTune, { $0.head = .logistic }), ("--dropout", .fineTune, { $0.steps.dropout = 1 }),
        ("--head", .frozen, { $0.head = .layers(HeadDesign(hidden: [0])) }),
        ("--feature-scaling", .frozen, { $0.scaling = .pca(0) }), ("--epochs", .fineTune, { $0.steps.epochs = 0 }),
        ("--feature-scaling l2", .scratch, { $0.scaling = .l2 }), ("--val", .frozen, { $0.validation = .nan }),
        ("--lr", .fineTune, { $0.steps.learningRate = -1 }), ("--cutmix", .gradual, { $0.steps.mixing.cutmix = 1 }),
        ("--batch-norm frozen", .scratch, { $0.steps.normalization = .frozen }),
        ("--optimizer", .fineTune, { $0.steps.optimizer = .adam(beta2: 1) }),
        ("--step-every", .fineTune, { $0.steps.schedule = Schedule(.step(every: 0, factor: 0.5)) }),
    ]

    @Test("refuses settings that mean nothing", arguments: refused.indices)
    func refuses(_ index: Int) async throws {
        let pictures = try Pictures(perClass: 4)
        let (name, strategy, choose) = Self.refused[index]
        var settings = TrainingSettings(strategy)
        choose(&settings)
        let trainer = try Trainer(
            Base(contentsOf: Pictures.base, helper: helper), ImageDataset(contentsOf: pictures.file("imgs")),
            settings: settings, helper: helper)
        do {
            _ = try await trainer.run()
            Issue.record("\(name) was not refused")
        } catch { #expect("\(error)".contains(name + " is "), "\(error)") }
    }

    @Test("has every choice that the command has", arguments: choices.map(\.0))
    func settings(_ name: String) async throws {
        let pictures = try Pictures(perClass: 12)
        let (_, strategy, choose) = try #require(Self.choices.first { $0.0 == name })
        var settings = TrainingSettings(strategy)
        choose(&settings)
        let base =
            try strategy == .scratch
            ? Base(architecture: "resnet20,width=8") : Base(contentsOf: Pictures.base, helper: helper)
        let trainer = try Trainer(
            base, ImageDataset(contentsOf: pictures.file("imgs")), settings: settings, cache: pictures.file("cache"),
            checkpoint: pictures.file("last.checkpoint.h5"),
            helper: helper)
        let run = try await trainer.run()
        #expect(try #require(run.validation).logLoss.isFinite && (settings.test > 0) == (run.test != nil))
        let isStepped = if case .layers = settings.head { true } else { false }
        #expect(run.epochs.isEmpty != isStepped)
        #expect(FileManager.default.fileExists(atPath: pictures.file("last.checkpoint.h5")) == isStepped)
    }
}

extension Array {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async throws -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
