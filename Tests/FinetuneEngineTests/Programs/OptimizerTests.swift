// Steps and rates against torch.optim's and transformers' (scripts/fixtures/optimizers.py).

import FinetuneEngine
import FinetuneFiles
import TestSupport
import Testing

private let golden = (try? Fixtures.json("optimizers.json")) ?? .null

private struct Golden: Sendable, CustomTestStringConvertible {
    let json: JSON
    var testDescription: String {
        (json.members ?? []).filter { $0.value.arrayValue == nil }.map { "\($0.key) \($0.value.text)" }
            .joined(separator: " ")
    }
    /// A name, and the options that follow it.
    var words: [String] { (json["name"]?.stringValue ?? "").split(separator: " ").map(String.init) }
    var options: [Double] { words.dropFirst().compactMap(Double.init) }

    func number(_ key: String) -> Double { json[key]?.doubleValue ?? .nan }

    static func all(_ key: String) -> [Golden] { (golden[key]?.arrayValue ?? []).map { Golden(json: $0) } }
}

@Suite("An optimizer") struct OptimizerTests {
    @Test("there are fixtures") func hasFixtures() {
        #expect(!Golden.all("optimizers").isEmpty && !Golden.all("schedules").isEmpty)
    }

    private func optimizer(_ words: [String], _ options: [Double]) throws -> FinetuneEngine.Optimizer {
        switch words[0] {
        case "sgd": .sgd
        case "momentum": options.isEmpty ? .momentum() : .momentum(options[0])
        case "nesterov": .nesterov()
        case "rmsprop": options.isEmpty ? .rmsProp() : .rmsProp(decay: options[0], epsilon: 1e-3)
        case "adam": options.isEmpty ? .adam() : .adam(beta1: options[0], beta2: options[1], epsilon: 1e-4)
        case "adamw": options.isEmpty ? .adamW() : .adamW(beta1: options[0], beta2: options[1], epsilon: 1e-4)
        case "lamb": options.isEmpty ? .lamb() : .lamb(beta1: options[0], beta2: options[1], epsilon: 1e-4)
        default: throw FixtureError.unknown(words[0])
        }
    }

    @Test("takes the thirty steps of torch.optim, also after a pause", arguments: Golden.all("optimizers"))
    private func steps(_ example: Golden) async throws {
        func count(_ key: String) -> Int { golden[key]?.intValue ?? 0 }
        func floats(_ key: String) -> [Float] { (golden[key]?.numbers ?? []).map { Float($0) } }
        let (rows, inputs, outputs) = (count("rows"), count("inputs"), count("outputs"))
        let network = Network(
            name: "a dense layer", inputChannels: inputs,
            nodes: [
                Node("rows", stage: "head", .flatten, inputs: [Node.image]),
                Node("fc", stage: "head", .dense(inputs: inputs, outputs: outputs, hasBias: true), inputs: ["rows"]),
            ])
        let weights = [
            "fc.weight": Tensor(shape: [outputs, inputs], values: floats("weight")),
            "fc.bias": Tensor(shape: [outputs], values: floats("bias")),
        ]
        let rules = [
            "fc.weight": ParameterRule(
                learns: true, l1: example.number("l1"), l2: example.number("l2"), pull: example.number("pull")),
            "fc.bias": ParameterRule(learns: true),
        ]
        let optimizer = try optimizer(example.words, example.options)
        func program() async throws -> TrainingProgram {
            try await TrainingProgram(
                network, weights, rules: rules, optimizer: optimizer, batch: rows, height: 1, width: 1,
                precision: .fp32, thread: TrainingProgramTests.thread)
        }
        var running = try await program()
        let (features, labels) = (floats("features"), golden["labels"]?.integers ?? [])
        var shown = (example.json["shown"]?.arrayValue ?? []).map(\.numbers)
        let places = golden["shown_after"]?.integers ?? []
        for step in 0..<30 {
            // Another program that goes on from the state of the first takes the same steps.
            if step == 15 {
                let state = await running.state
                #expect(state.memories.count == optimizer.memories && state.steps == ["fc.weight": 15, "fc.bias": 15])
                running = try await program()
                await running.restore(state)
            }
            let images = Tensor(
                shape: [rows, 1, 1, inputs],
                values: Array(features[step * rows * inputs..<(step + 1) * rows * inputs]))
            let targets = Tensor(shape: [rows, outputs]) { values in
                values.update(repeating: 0)
                for row in 0..<rows { values[row * outputs + labels[step * rows + row]] = 1 }
            }
            _ = try await running.evaluate(images, targets: targets)
            let clip = example.json["clip"]?.doubleValue
            await running.update(rate: example.number("rate"), clip: clip)
            guard places.contains(step + 1) else { continue }
            let reached = await running.weights()
            let found = try #require(reached["fc.weight"]).values + #require(reached["fc.bias"]).values
            for (value, expected) in zip(found, shown.removeFirst()) {
                #expect(abs(Double(value) - expected) < 1e-5, "step \(step + 1)")
            }
        }
        #expect(shown.isEmpty)
    }
}

@Suite("A schedule") struct ScheduleTests {
    @Test("has the rate of lr_scheduler or transformers at every step", arguments: Golden.all("schedules"))
    private func factors(_ example: Golden) throws {
        let decay: Schedule.Decay =
            switch example.words[0] {
            case "constant": .constant
            case "step": .step(every: example.options[0], factor: example.options[1])
            case "cosine": .cosine
            case "linear": .linear
            default: throw FixtureError.unknown(example.words[0])
            }
        let perEpoch = golden["steps_per_epoch"]?.doubleValue ?? 0
        // transformers counts the steps of a warm-up in whole ones.
        let warmUp = (example.number("warmup") * perEpoch).rounded(.toNearestOrEven) / perEpoch
        let schedule = Schedule(decay, warmUp: warmUp)
        let epochs = golden["epochs"]?.doubleValue ?? 0
        let factors = try #require(example.json["factors"]).numbers
        #expect(!factors.isEmpty)
        for (step, expected) in factors.enumerated() {
            // The training counts in shares of all steps.
            let share = Double(step) / Double(factors.count)
            #expect(abs(schedule.factor(after: share * epochs, of: epochs) - expected) < 1e-9, "step \(step)")
        }
    }

    @Test("ends where it should, and never leaves 0 to 1")
    func ends() {
        for decay in [Schedule.Decay.cosine, .linear] {
            #expect(Schedule(decay, warmUp: 2).factor(after: 10, of: 10) == 0)
            #expect(Schedule(decay, warmUp: 2).factor(after: 12, of: 10) == 0)
            #expect(Schedule(decay, warmUp: 2).factor(after: 2, of: 10) == 1)
        }
        #expect(Schedule(.constant, warmUp: 4).factor(after: -1, of: 10) == 0)
    }
}

enum FixtureError: Error { case unknown(String) }
