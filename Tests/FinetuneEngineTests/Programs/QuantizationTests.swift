// Integers in place of floats: ranges against a search by brute force, sums against exact ones, networks against loops.

import TestSupport
import Testing

@testable import FinetuneEngine

@Suite("A range of magnitudes") struct RangeTests {
    /// The mean squared error of numbers that become `levels` integers up to a cut, by doing it.
    private func error(_ values: [Float], cut: Double, levels: Int) -> Double {
        let step = cut / Double(levels)
        return values.reduce(0) { sum, value in
            let level = min((Double(value) / step).rounded(), Double(levels))
            return sum + (Double(value) - level * step) * (Double(value) - level * step)
        } / Double(values.count)
    }

    /// Numbers from 0 up with a long tail, and those evenly spread in 0…1.
    private static let samples: [[Float]] = [1, 3, 6].map { power in
        var numbers = Numbers(seed: UInt64(power))
        return (0..<20_000).map { _ in
            var product: Float = 1
            for _ in 0..<power { product *= abs(numbers.next()) * 2 }
            return product
        }
    }

    @Test("is cut where the squared error is smallest", arguments: samples)
    func isBest(_ values: [Float]) throws {
        var histogram = MagnitudeHistogram()
        values.withUnsafeBufferPointer { histogram.add($0) }
        let largest = Double(try #require(values.max()))
        let best = (1...400).map { error(values, cut: largest * Double($0) / 400, levels: 255) }.min() ?? 0
        // Bins are a 2,048th of the largest number or finer, and rounding errors are even only on average.
        #expect(error(values, cut: Double(histogram.range), levels: 255) < 1.03 * best)
    }

    @Test("keeps all of numbers that are evenly spread, and cuts a lone one off")
    func knownCases() {
        var even = MagnitudeHistogram()
        (0..<10_000).map { Float($0) / 10_000 }.withUnsafeBufferPointer { even.add($0) }
        #expect(abs(even.range - 1) < 0.002)
        var zeros = MagnitudeHistogram()
        [Float](repeating: 0, count: 10).withUnsafeBufferPointer { zeros.add($0) }
        #expect(zeros.range == 0)
        [Float.nan, .infinity, 1].withUnsafeBufferPointer { zeros.add($0) }
        #expect(abs(zeros.range - 1) < 0.002)
        // A million numbers below 1 lose more by a range of 100 than one number of 100 loses by being cut to 9.
        var tailed = MagnitudeHistogram()
        let values = (0..<1_000_000).map { Float($0 % 1000) / 1000 } + [100]
        values.withUnsafeBufferPointer { tailed.add($0) }
        #expect(tailed.range < 100)
    }

    @Test("does not depend on who counted what, in which order")
    func merges() {
        let values = Self.samples[2]
        var whole = MagnitudeHistogram()
        values.withUnsafeBufferPointer { whole.add($0) }
        var parts = (0..<3).map { _ in MagnitudeHistogram() }
        for part in 0..<3 {
            Array(values.enumerated().filter { $0.offset % 3 == part }.map(\.element).reversed())
                .withUnsafeBufferPointer { parts[part].add($0) }
        }
        var merged = parts[2]
        merged.merge(parts[0])
        merged.merge(parts[1])
        #expect(merged == whole)
    }
}

@Suite("Integers", .serialized) struct IntegerTests {
    private static let thread = EngineThread(threads: 2)

    @Test(
        "of filters are within half a level, and two of them never overflow 16 bits where sums are narrow",
        arguments: [true, false])
    func filters(_ hasWideSums: Bool) {
        var numbers = Numbers(seed: 5)
        let weight = Tensor(shape: [6, 8, 3, 3], values: (0..<6 * 72).map { _ in numbers.next() })
        let filters = QuantizedFilters(weight, hasWideSums: hasWideSums)
        let (values, integers) = (weight.values, filters.integers())
        for (index, integer) in integers.enumerated() {
            let scale = filters.scales[index / 72]
            let difference = abs(values[index] - Float(integer) * scale)
            #expect(difference <= scale * 0.5001)
        }
        for filter in 0..<6 {
            let own = integers[filter * 72..<(filter + 1) * 72].map { Int($0) }
            if hasWideSums { #expect(own.map(abs).max() == 127) }
            for channel in stride(from: 0, to: 8, by: 2) where !hasWideSums {
                for pixel in 0..<9 {
                    let (a, b) = (own[channel * 9 + pixel], own[channel * 9 + 9 + pixel])
                    let (most, least) = (max(a, 0) + max(b, 0), min(a, 0) + min(b, 0))
                    #expect(255 * most <= 32767)
                    #expect(255 * least >= -32768)
                }
            }
        }
    }

    @Test("are summed without loss where all are as large as can be", .needs(.int8), arguments: [1, 3])
    func extremes(_ side: Int) async throws {
        let network = Network(
            name: "sums", inputChannels: 32,
            nodes: [
                Node("relu", stage: "stem", .activation(.relu), inputs: [image]),
                Node("conv", stage: "stem", convolution(32, 16, .square(side)), inputs: ["relu"]),
            ])
        let count = 32 * side * side
        let weights = ["conv.weight": Tensor(shape: [16, 32, side, side], repeating: 0.5)]
        let program = try await InferenceProgram(
            network, weights, output: "conv", batch: 1, height: 6, width: 6, precision: .int8, ranges: ["relu": 255],
            thread: Self.thread)
        #expect(await program.kernels.contains { $0.step == "conv" && $0.isConvolution && $0.source == .int8 })
        let result = try await program.run(Tensor(shape: [1, 6, 6, 32], repeating: 255)).values
        // A weight may be off by half of a 127th, where products are added in 16 bits by twice that.
        let expected = 255 * 0.5 * Double(count)
        for value in result { #expect(abs(Double(value) - expected) < 0.009 * expected) }
    }

    /// The ranges of what the nodes of an example give on its own images.
    private func ranges(_ example: Case, _ weights: Weights, _ output: String) async throws -> [String: Float] {
        let observer = try await InferenceProgram(
            example.network, weights, output: output, batch: 2, height: example.height, width: example.width,
            precision: .fp32, observes: true, thread: Self.thread)
        _ = try await observer.run(example.images(2))
        return await observer.histograms.mapValues(\.range)
    }

    @Test("have ranges of every channel, at every size", arguments: [32, 64, 112, 128, 192, 224])
    func rangesOfChannels(_ side: Int) async throws {
        let network = Network(
            name: "ranges", inputChannels: 3,
            nodes: [Node("relu", stage: "stem", .activation(.relu), inputs: [image])])
        for channel in 0..<3 {
            let observer = try await InferenceProgram(
                network, [:], output: "relu", batch: 1, height: side, width: side, precision: .native, observes: true,
                thread: Self.thread)
            let values = (0..<side * side * 3).map { $0 % 3 == channel ? Float(8) : 1 }
            _ = try await observer.run(Tensor(shape: [1, side, side, 3], values: values))
            let ranges = await observer.histograms.mapValues(\.range)
            #expect(try abs(#require(ranges[image]) - 8) < 0.1)
            #expect(try abs(#require(ranges["relu"]) - 8) < 0.1)
        }
    }

    @Test("stay near what plain loops compute", .needs(.int8), arguments: cases + residualCases)
    func staysNear(_ example: Case) async throws {
        let weights = example.weights()
        let images = example.images(2)
        let output = try #require(example.nodes.last).name
        let program = try await InferenceProgram(
            example.network, weights, output: output, batch: 2, height: example.height, width: example.width,
            precision: .int8, ranges: try await ranges(example, weights, output), thread: Self.thread)
        let found = try await program.run(images).values
        let size = found.count / 2
        for place in 0..<2 {
            let expected = evaluateReference(
                example.network, weights, output: output, on: images.reference(image: place)
            ).values
            let power = expected.reduce(0) { $0 + $1 * $1 }
            var error = 0.0
            for index in expected.indices {
                let difference = expected[index] - Double(found[place * size + index])
                error += difference * difference
            }
            // Eight bits of each value and each weight, a handful of roundings on the way.
            let relative = (error / max(power, 1e-9)).squareRoot()
            #expect(relative < 0.03)
        }
    }

    @Test("compute the convolutions of a bottleneck, its shortcut and its sum", .needs(.int8))
    func kernels() async throws {
        let example = residualCases[0]
        let weights = example.weights()
        let program = try await InferenceProgram(
            example.network, weights, output: "out2", batch: 1, height: example.height, width: example.width,
            precision: .int8, ranges: try await ranges(example, weights, "out2"), thread: Self.thread)
        let kernels = await program.kernels
        for step in ["relu1", "relu2", "bn3", "out", "relu5", "out2"] {
            #expect(
                kernels.contains { $0.step == step && $0.isConvolution && $0.source == .int8 }, "\(step) in \(kernels)")
        }
    }

    @Test("give an image the same bits on any number of threads, in any batch", .needs(.int8))
    func independence() async throws {
        let example = residualCases[0]
        let weights = example.weights()
        let ranges = try await ranges(example, weights, "out2")
        func run(_ images: Tensor, batch: Int, _ thread: EngineThread) async throws -> [Float] {
            try await InferenceProgram(
                example.network, weights, output: "out2", batch: batch, height: example.height, width: example.width,
                precision: .int8, ranges: ranges, thread: thread
            ).run(images).values
        }
        let images = example.images(3)
        let together = try await run(images, batch: 4, Self.thread)
        let size = images.count / 3
        let last = Tensor(shape: [1] + images.shape.dropFirst(), values: Array(images.values.suffix(size)))
        let alone = try await run(last, batch: 1, Self.thread.lanes[0])
        #expect(Array(together.suffix(alone.count)) == alone)
    }
}

/// Bottlenecks as ResNets have them: with a projected shortcut and without.
let residualCases = [
    Case(
        "two bottlenecks", channels: 3, size: (12, 12),
        [
            ("conv0", convolution(3, 32, .square(3, padding: 1)), [image]), ("bn0", normalization(32), ["conv0"]),
            ("relu0", .activation(.relu), ["bn0"]), ("pool", .maxPooling(.square(3, stride: 2, padding: 1)), ["relu0"]),
            ("conv1", convolution(32, 16, .square(1)), ["pool"]), ("bn1", normalization(16), ["conv1"]),
            ("relu1", .activation(.relu), ["bn1"]),
            ("conv2", convolution(16, 16, .square(3, padding: 1)), ["relu1"]), ("bn2", normalization(16), ["conv2"]),
            ("relu2", .activation(.relu), ["bn2"]),
            ("conv3", convolution(16, 64, .square(1)), ["relu2"]), ("bn3", normalization(64), ["conv3"]),
            ("side", convolution(32, 64, .square(1)), ["pool"]), ("bns", normalization(64), ["side"]),
            ("add", .addition, ["bn3", "bns"]), ("out", .activation(.relu), ["add"]),
            ("conv5", convolution(64, 32, .square(3, padding: 1)), ["out"]), ("bn5", normalization(32), ["conv5"]),
            ("relu5", .activation(.relu), ["bn5"]),
            ("conv6", convolution(32, 64, .square(1)), ["relu5"]), ("bn6", normalization(64), ["conv6"]),
            ("add2", .addition, ["bn6", "out"]), ("out2", .activation(.relu), ["add2"]),
        ]),
    Case(
        "a pre-activated block", channels: 3, size: (8, 8),
        [
            ("conv0", convolution(3, 32, .square(3, padding: 1)), [image]), ("bn0", normalization(32), ["conv0"]),
            ("relu0", .activation(.relu), ["bn0"]),
            ("conv1", convolution(32, 32, .square(3, padding: 1)), ["relu0"]), ("bn1", normalization(32), ["conv1"]),
            ("relu1", .activation(.relu), ["bn1"]), ("conv2", convolution(32, 32, .square(1)), ["relu1"]),
            ("add", .addition, ["conv2", "conv0"]), ("bn3", normalization(32), ["add"]),
            ("relu3", .activation(.relu), ["bn3"]), ("conv3", convolution(32, 16, .square(1)), ["relu3"]),
            ("mean", .globalAveragePooling, ["conv3"]),
        ]),
]
