// The programs of the documentation, line by line as they stand there, so that the compiler reads them.
// `DocumentationTests` holds the two against each other.

import Finetune

enum Examples {
    static func overview() async throws {
        let base = try Base(contentsOf: "resnet50.h5")
        let images = try ImageDataset(contentsOf: "imgs")
        let run = try await Trainer(base, images).run { event in print(event) }
        print(run.validation?.accuracy ?? .nan)
        try run.model.write(to: "model.h5")
        let answer = try await run.model.predict(contentsOf: "photo.jpg")
        _ = answer
    }

    static func readme() async throws {
        let base = try Base(contentsOf: "resnet50.h5")
        let images = try ImageDataset(contentsOf: "imgs")
        let settings = TrainingSettings(head: .layers(HeadDesign(hidden: [512], activation: .gelu)))
        let run = try await Trainer(base, images, settings: settings).run { event in print(event) }
        try run.model.write(to: "model.h5")
        let answer = try await run.model.predict(contentsOf: "photo.jpg")
        _ = answer
    }

    static func firstModel() async throws {
        let base = try Base(contentsOf: "resnet50.h5")
        let images = try ImageDataset(contentsOf: "imgs")
        let run = try await Trainer(base, images).run { event in
            if case .warning(let text) = event { print("warning: \(text)") }
        }
        print(run.validation?.accuracy ?? .nan)
        try run.model.write(to: "model.h5")
        if let answer = try await run.model.predict(contentsOf: "photo.jpg") { print(answer.label, answer.probability) }
    }

    static func readAgain() async throws {
        let model = try AdaptedModel(contentsOf: "model.h5")
        let paths = ["a.jpg", "b.jpg"]
        let answers = try await model.predict(contentsOf: paths)
        for (path, answer) in zip(paths, answers) { print(path, answer?.label ?? "cannot be read") }
    }
}
