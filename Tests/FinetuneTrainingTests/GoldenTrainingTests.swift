// Twenty steps of fine-tuning narrow networks of each family, beside PyTorch's (scripts/fixtures/training.py).

import FinetuneEngine
import FinetuneFiles
import FinetuneModels
import FinetuneTraining
import Glibc
import TestSupport
import Testing

/// The numbers that fixtures start from: part of SplitMix64, by array and place.
private func uniform(_ array: Int, _ index: Int) -> Double {
    var z = (UInt64(array) << 32 &+ UInt64(index)) &* 0x9E37_79B9_7F4A_7C15
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    z ^= z >> 31
    return Double(z >> 40) / 0x1p23 - 1
}

/// A variant of the fixture.
struct GoldenTraining: Sendable, CustomTestStringConvertible {
    let json: JSON
    var testDescription: String { json["file"]?.stringValue ?? "?" }

    static let document = (try? Fixtures.json("training.json")) ?? .null
    static let all = (document["variants"]?.arrayValue ?? []).map { GoldenTraining(json: $0) }

    func number(_ key: String) -> Double { json[key]?.doubleValue ?? .nan }

    var network: Network {
        get throws {
            let name = json["network"]?.stringValue ?? ""
            let numbers = Self.document["networks"]?[name] ?? .null
            guard let blocks = numbers["blocks"]?.arrayValue?.compactMap(\.integers) else {
                let width = numbers["width"]?.intValue ?? 0
                return try Architecture("\(name),width=\(width)", outputs: 5).design.network()
            }
            let hidden = VGG.Hidden(side: numbers["side"]?.intValue ?? 0, widths: numbers["hidden"]?.integers ?? [])
            return VGG(blocks: blocks, hasNormalization: true, hidden: hidden, head: (VGG.headName, 5, true)).network()
        }
    }

    /// The weights before the first step: arrays numbered from 1 in the order of their names.
    func start(_ network: Network) -> Weights {
        let shapes = Dictionary(uniqueKeysWithValues: network.tensors.map { ($0.name, $0.spec.shape) })
        let heads = network.nodes.filter { $0.stage == Stage.head }.map(\.name)
        let scale = Self.document["networks"]?[json["network"]?.stringValue ?? ""]?["residual_scale"]?.doubleValue ?? 1
        var weights: Weights = [:]
        for (place, name) in shapes.keys.sorted().enumerated() {
            let shape = shapes[name] ?? []
            let value: (Double) -> Double =
                if shape.count == 4 {
                    { $0 * (6 / Double(shape.dropFirst().reduce(1, *))).squareRoot() }
                } else if heads.contains(where: { name == "\($0).weight" }) {
                    { $0 * (3 / Double(shape[1])).squareRoot() }
                } else if name.hasSuffix("running_var") {
                    { 1 + 0.3 * $0 }
                } else if heads.contains(where: { name == "\($0).bias" }) || name.hasSuffix("running_mean") {
                    { 0.1 * $0 }
                } else if name.hasSuffix("weight") {
                    { (name.hasSuffix("bn3.weight") ? scale : 1) * (1 + 0.2 * $0) }
                } else {
                    { 0.2 * $0 }
                }
            weights[name] = Tensor(
                shape: shape, values: (0..<shape.reduce(1, *)).map { Float(value(uniform(place + 1, $0))) })
        }
        return weights
    }

    /// Images of a step, channels last, with targets.
    func batch(_ step: Int) -> (images: Tensor, targets: Tensor) {
        let (count, size) = (8, 48)
        let smoothing = number("label_smoothing")
        let indices = (0..<count).map { (step * count + $0) % 40 }
        let images = Tensor(shape: [count, size, size, 3]) { values in
            for (place, image) in indices.enumerated() {
                for channel in 0..<3 {
                    for pixel in 0..<size * size {
                        let u = uniform(1000, (image * 3 + channel) * size * size + pixel)
                        values[(place * size * size + pixel) * 3 + channel] = Float(
                            Double(Float(u)) + Double(image % 5 - 2) * 0.3)
                    }
                }
            }
        }
        let targets = Tensor(shape: [count, 5]) { values in
            for (place, image) in indices.enumerated() {
                for k in 0..<5 {
                    values[place * 5 + k] = Float(smoothing / 5 + (image % 5 == k ? 1 - smoothing : 0))
                }
            }
        }
        return (images, targets)
    }
}

@Suite("Twenty steps of fine-tuning")
struct GoldenTrainingTests {
    @Test("give PyTorch's losses and weights", arguments: GoldenTraining.all)
    func matchesPyTorch(_ golden: GoldenTraining) async throws {
        let file = golden.json["file"]?.stringValue ?? ""
        let archive = try ZipArchive(FileSystem.read(Fixtures.path(file)), name: file)
        func array(_ name: String) throws -> [Float] {
            let member = try #require(archive.member("\(name).npy"))
            return try NumpyArray(parsing: archive.content(of: member), name: name).floats
        }
        let network = try golden.network
        let start = golden.start(network)
        let prefixes = golden.json["learning_prefixes"]?.arrayValue?.compactMap(\.stringValue) ?? []
        let isLive = golden.json["batch_norm"] == "train"
        // PyTorch's weight_decay takes in everything that learns.
        let rules = start.filter { name, _ in prefixes.contains { name.hasPrefix($0) } }.mapValues { _ in
            ParameterRule(learns: true, l2: golden.number("weight_decay"))
        }
        let live = isLive ? Set(network.nodes.filter(\.isNormalization).map(\.name)) : []
        let optimizer = try #require(Optimizer(name: golden.json["optimizer"]?.stringValue ?? ""))
        let program = try await TrainingProgram(
            network, start, rules: rules, optimizer: optimizer, live: live, batch: 8, height: 48, width: 48,
            precision: .fp32,
            thread: EngineThread(threads: 2))

        let losses = try array("losses").map { Double($0) }
        let spreads = golden.json["loss_spread"]?.numbers ?? []
        let learned = golden.json["weights_after"]?.intValue ?? 0
        var weights: Weights = [:]
        var spread = 0.0
        for step in 0..<20 {
            let (images, targets) = golden.batch(step)
            let result = try await program.evaluate(images, targets: targets)
            if step == 0 { try expectClose(result.logits.values, array("logits"), 1e-5, "logits") }
            // Where float32's rounding itself moves PyTorch's losses by more, ten times as much.
            spread = max(spread, spreads[step])
            let tolerance = max(1e-4, 10 * spread)
            #expect(
                abs(result.loss - losses[step]) <= tolerance * losses[step],
                "step \(step + 1): \(result.loss), PyTorch \(losses[step])")
            await program.update(rate: golden.number("lr"), clip: golden.json["clip"]?.doubleValue)
            if step + 1 == learned { weights = await program.weights() }
        }
        let final = archive.members.filter { $0.name.hasPrefix("final.") }
        #expect(!final.isEmpty)
        for member in final {
            let name = String(member.name.dropFirst(6).dropLast(4))
            let expected = try NumpyArray(parsing: archive.content(of: member), name: name).floats
            // Adam and LAMB divide a gradient by its own size, so that rounding decides the sign of the smallest.
            try expectClose(
                #require(weights[name]).values, expected, 1e-3, name, atLeast: 2 * golden.number("weight_spread"))
        }
    }

    /// - Parameters:
    ///   - tolerance: Relative to the largest expected value.
    ///   - least: What PyTorch's own runs differ by if their numbers move by what 32 bits round.
    private func expectClose(
        _ found: [Float], _ expected: [Float], _ tolerance: Double, _ what: String, atLeast least: Double = 0
    ) throws {
        try #require(found.count == expected.count, "\(what)")
        let largest = Double(expected.map(abs).max() ?? 0)
        let difference = zip(found, expected).map { abs(Double($0) - Double($1)) }.max() ?? 0
        #expect(difference <= max(least, tolerance * largest), "\(what): differs by \(difference), largest \(largest)")
    }
}

extension Node {
    fileprivate var isNormalization: Bool {
        if case .batchNormalization = operation { true } else { false }
    }
}
