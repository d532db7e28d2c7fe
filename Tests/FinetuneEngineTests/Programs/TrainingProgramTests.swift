// Every gradient of the training program against plain loops in double precision, and those against differences.

import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneEngine

@Suite("The training program") struct TrainingProgramTests {
    static let thread = EngineThread(threads: 2)

    @Test(
        "has a reference whose gradients are those of differences",
        arguments: TrainingCase.withStatistics(TrainingCase.small))
    func referenceMatchesDifferences(_ example: TrainingCase, _ isLive: Bool) {
        let live = isLive ? example.normalizations : []
        let weights = example.weights.mapValues { $0.values.map { Double($0) } }
        let step = example.reference(live: live, weights)
        let h = 1e-6
        for (name, gradient) in step.gradients {
            for index in stride(from: 0, to: gradient.count, by: max(1, gradient.count / 2)) {
                var (above, below) = (weights, weights)
                above[name]?[index] += h
                below[name]?[index] -= h
                let slope =
                    (example.reference(live: live, above).loss - example.reference(live: live, below).loss) / (2 * h)
                // The error of the difference is of order h², that of the two losses 1e-16 / h.
                #expect(
                    abs(slope - gradient[index]) < 1e-7, "\(name)[\(index)]: \(gradient[index]), difference \(slope)")
            }
        }
    }

    @Test(
        "computes the reference's loss, logits and gradients", arguments: TrainingCase.withStatistics(TrainingCase.all))
    func matchesReference(_ example: TrainingCase, _ isLive: Bool) async throws {
        let live = isLive ? example.normalizations : []
        let program = try await example.program(live: live)
        let result = try await program.evaluate(example.images, targets: example.targetTensor)
        let expected = example.reference(live: live)
        #expect(abs(result.loss - expected.loss) < 1e-5 * expected.loss)
        let gradients = await program.gradients
        for (name, values) in expected.gradients {
            let found = try #require(gradients[name]).values
            let largest = values.map(abs).max() ?? 0
            let difference = zip(found, values).map { abs(Double($0) - $1) }.max() ?? 0
            // Sums of a few hundred products in fp32; Winograd's transforms cost a few more roundings.
            #expect(difference < 1e-4 * max(largest, 1e-3), "\(name): \(difference) of \(largest)")
        }
        // Stored statistics move towards the batch's where they are live, and nowhere else.
        let weights = await program.weights()
        for node in example.network.nodes {
            guard case .batchNormalization(let normalization) = node.operation else { continue }
            let name = "\(node.name).running_var"
            guard let batch = expected.statistics[node.name] else {
                #expect(weights[name] == nil)
                continue
            }
            let kept = normalization.statisticsKept
            let shape = try #require(
                example.network.outputShape(of: node.name, height: example.height, width: example.width))
            let count = Double(TrainingCase.batch * shape[1] * shape[2])
            let old = try #require(example.weights[name]).values
            for (channel, value) in try #require(weights[name]).values.enumerated() {
                let moved = kept * Double(old[channel]) + (1 - kept) * batch.variance[channel] * count / (count - 1)
                #expect(abs(Double(value) - moved) < 1e-5 * max(1, moved))
            }
        }
    }

    @Test("stays near the reference in bfloat16", .needs(.bf16), arguments: TrainingCase.all)
    func bfloat16IsClose(_ example: TrainingCase) async throws {
        let program = try await example.program(.bf16)
        let result = try await program.evaluate(example.images, targets: example.targetTensor)
        let expected = example.reference(live: [])
        #expect(abs(result.loss - expected.loss) < 0.05 * expected.loss)
        let gradients = await program.gradients
        var sums: [(name: String, product: Double, own: Double, other: Double)] = []
        for (name, values) in expected.gradients {
            var (product, own, other) = (0.0, 0.0, 0.0)
            for (found, value) in zip(try #require(gradients[name]).values, values) {
                product += Double(found) * value
                own += Double(found) * Double(found)
                other += value * value
            }
            sums.append((name, product, own, other))
        }
        let (product, own, other) = sums.reduce((0, 0, 0)) { ($0.0 + $1.product, $0.1 + $1.own, $0.2 + $1.other) }
        // Eight bits of mantissa; a unit near zero may fall on its other side. The direction is what training follows.
        #expect(product / (own * other).squareRoot() > 0.98)
        // No tensor may hide among larger ones, but for those that hardly matter.
        for sum in sums where sum.other > 1e-4 * other {
            #expect(sum.product / (sum.own * sum.other).squareRoot() > 0.8, "\(sum.name)")
        }
    }

    @Test("gives a batch that is not full the gradients of its images alone")
    func partialBatch() async throws {
        let example = try TrainingCase.named("convolution, batch norm, ReLU")
        let large = try await example.program(batch: 5)
        let small = try await example.program()
        let a = try await large.evaluate(example.images, targets: example.targetTensor)
        let b = try await small.evaluate(example.images, targets: example.targetTensor)
        #expect(abs(a.loss - b.loss) < 1e-6 && a.logits.shape == [3, 3])
        let (first, second) = (await large.gradients, await small.gradients)
        for (name, tensor) in first {
            let pairs = zip(tensor.values, try #require(second[name]).values)
            #expect(pairs.allSatisfy { abs($0 - $1) < 1e-5 }, "\(name)")
        }
    }

    @Test("goes back no further than to what learns, and leaves the rest alone")
    func stopsAtTheBoundary() async throws {
        let example = try TrainingCase.named("an identity shortcut")
        let rules = example.rules.filter { $0.key.hasPrefix("conv2") || $0.key.hasPrefix("head") }
        let program = try await example.program(rules: rules)
        let whole = try await example.program()
        let (few, many) = (await program.kernels.count, await whole.kernels.count)
        #expect(few < many)
        _ = try await program.evaluate(example.images, targets: example.targetTensor)
        let gradients = await program.gradients
        #expect(Set(gradients.keys) == Set(rules.keys))
        let expected = example.reference(live: []).gradients
        for (name, tensor) in gradients {
            for (found, value) in zip(tensor.values, try #require(expected[name])) {
                #expect(abs(Double(found) - value) < 1e-5, "\(name)")
            }
        }
        await program.update(rate: 0.1)
        #expect(Set(await program.weights().keys) == Set(rules.keys))
    }

    @Test(
        "needs no reference kernel of oneDNN for a few channels, where the processor has better", .needs(.bf16),
        arguments: [4, 8, 12])
    func narrowKernels(_ channels: Int) async throws {
        let example = TrainingCase(
            Case(
                "narrow", channels: channels, size: (16, 16),
                [
                    (
                        "wide", convolution(channels, channels * 2, Window(3, 3, stride: 2, padding: .edges(.all(1)))),
                        [image]
                    )
                ]))
        let program = try await example.program(.bf16)
        let kernels = await program.kernels
        #expect(kernels.contains { $0.step == "wide" } && !kernels.contains(where: \.isReference))
    }

    @Test("steps to the same bits, also from a restored state") func repeats() async throws {
        try await repeats(.fp32)
    }

    @Test("steps to the same bits in bfloat16, also from a restored state", .needs(.bf16))
    func repeatsInBFloat16() async throws { try await repeats(.bf16) }

    private func repeats(_ precision: Precision) async throws {
        let example = try TrainingCase.named("an identity shortcut")
        let live = example.normalizations
        func run(_ program: TrainingProgram, _ steps: Range<Int>) async throws {
            for step in steps {
                _ = try await program.evaluate(
                    example.images, targets: example.targetTensor, dropoutKey: UInt64(step))
                await program.update(rate: 0.05, averageKept: 0.9)
            }
        }
        let whole = try await example.program(
            live: live, dropout: ["head": Dropout(.inverted, rate: 0.3)], averages: true, precision)
        try await run(whole, 0..<6)
        let first = try await example.program(
            live: live, dropout: ["head": Dropout(.inverted, rate: 0.3)], averages: true, precision)
        try await run(first, 0..<3)
        let second = try await example.program(
            live: live, dropout: ["head": Dropout(.inverted, rate: 0.3)], averages: true, precision)
        await second.restore(first.state)
        try await run(second, 3..<6)
        for isAveraged in [false, true] {
            let (a, b) = (await whole.weights(averaged: isAveraged), await second.weights(averaged: isAveraged))
            #expect(a.count == b.count && !a.isEmpty)
            for (name, tensor) in a { #expect(tensor.values == b[name]?.values, "\(name)") }
        }
    }

    @Test("keeps a moving average of what learns and of the statistics that go with it")
    func averages() async throws {
        let example = try TrainingCase.named("an identity shortcut")
        let program = try await example.program(live: example.normalizations, averages: true)
        var expected = await program.weights().mapValues { $0.values.map { Double($0) } }
        for kept in [0.1, 0.5, 0.9, 0.8] {
            _ = try await program.evaluate(example.images, targets: example.targetTensor)
            await program.update(rate: 0.05, averageKept: kept)
            for (name, tensor) in await program.weights() {
                expected[name] = zip(expected[name] ?? [], tensor.values).map { kept * $0 + (1 - kept) * Double($1) }
            }
        }
        let found = await program.weights(averaged: true)
        #expect(found.count == expected.count && found.keys.contains { $0.hasSuffix("running_var") })
        for (name, values) in expected {
            for (a, b) in zip(found[name]?.values ?? [], values) {
                #expect(abs(Double(a) - b) < 1e-6 * max(1, abs(b)), "\(name): \(a), \(b)")
            }
        }
    }

    @Test("pulls towards the initial values, and towards zero, as strongly as it is told")
    func penalties() async throws {
        let example = try TrainingCase.named("a convolution with bias and odd channels")
        var rules = example.rules
        rules["conv.weight"] = ParameterRule(learns: true, rateFactor: 0.5, l2: 0.2, pull: 0.3)
        let program = try await example.program(rules: rules)
        let start = try #require(example.weights["conv.weight"]).values.map { Double($0) }
        var (w, v) = (start, [Double](repeating: 0, count: start.count))
        for _ in 0..<3 {
            _ = try await program.evaluate(example.images, targets: example.targetTensor)
            let g = try #require(await program.gradients["conv.weight"]).values
            for index in w.indices {
                v[index] = 0.9 * v[index] + Double(g[index]) + 0.2 * w[index] + 0.3 * (w[index] - start[index])
                w[index] -= 0.5 * 0.1 * v[index]
            }
            await program.update(rate: 0.1)
            let found = try #require(await program.weights()["conv.weight"]).values
            for index in w.indices { #expect(abs(Double(found[index]) - w[index]) < 1e-6) }
        }
    }

    @Test("finds units that never fire")
    func deadUnits() async throws {
        let example = try TrainingCase.named("convolution, batch norm, ReLU")
        var weights = example.weights
        var beta = try #require(weights["bn.bias"]).values
        beta[3] = -1000
        weights["bn.bias"] = Tensor(shape: [beta.count], values: beta)
        for live: Set<String> in [[], example.normalizations] {
            let program = try await TrainingProgram(
                example.network, weights, rules: example.rules, live: live, batch: TrainingCase.batch,
                height: example.height, width: example.width, precision: .fp32, thread: Self.thread)
            _ = try await program.evaluate(example.images, targets: example.targetTensor)
            let units = try #require(await program.units.first)
            #expect(units.fired.count == 16 && units.fired[3] == false)
            let reference = ReferenceTraining(
                example.network, weights.mapValues { $0.values.map { Double($0) } }, live: live,
                images: (0..<TrainingCase.batch).map { example.images.reference(image: $0) },
                targets: example.targets)
            // A unit that never fires passes on nothing at all.
            #expect(units.fired == reference.gradients["bn.bias"]?.map { $0 != 0 })
        }
    }
}
