// Every operation and every fusion of the inference program against the plain loops of ReferenceNetwork.

import TestSupport
import Testing

@testable import FinetuneEngine

@Suite("The inference program") struct InferenceProgramTests {
    /// One thread serves all tests, as one serves the whole program.
    private static let thread = EngineThread(threads: 2)

    @Test("computes what plain loops compute", arguments: cases)
    func matchesReference(_ example: Case) async throws {
        let weights = example.weights()
        let images = example.images(2)
        let output = try #require(example.nodes.last).name
        let program = try await InferenceProgram(
            example.network, weights, output: output, batch: 3, height: example.height, width: example.width,
            precision: .fp32, thread: Self.thread)
        let result = try await program.run(images)
        let found = result.values
        let size = found.count / 2
        for image in 0..<2 {
            let expected = evaluateReference(
                example.network, weights, output: output, on: images.reference(image: image))
            #expect(expected.values.count == size)
            let shape = example.network.outputShape(of: output, height: example.height, width: example.width)
            #expect(shape == Array(result.shape.dropFirst()))
            // Values are of order 1; Winograd's transforms cost a few more roundings than a direct sum.
            for (index, value) in expected.values.enumerated() {
                #expect(abs(Double(found[image * size + index]) - value) < 3e-5, "image \(image), element \(index)")
            }
        }
    }

    @Test("stays near fp32 in bfloat16", .needs(.bf16), arguments: cases)
    func bfloat16IsClose(_ example: Case) async throws {
        let weights = example.weights()
        let images = example.images(2)
        let output = try #require(example.nodes.last).name
        let program = try await InferenceProgram(
            example.network, weights, output: output, batch: 2, height: example.height, width: example.width,
            precision: .bf16, thread: Self.thread)
        let found = try await program.run(images).values
        let expected = evaluateReference(example.network, weights, output: output, on: images.reference(image: 0))
            .values
        let largest = expected.map(abs).max() ?? 0
        // Eight bits of mantissa, a handful of roundings on the way.
        for index in expected.indices { #expect(abs(Double(found[index]) - expected[index]) < 0.03 * max(largest, 1)) }
    }

    @Test("gives an image the same bits whatever its neighbours and its place in the batch")
    func neighboursDoNotMatter() async throws { try await neighboursDoNotMatter(.fp32) }

    /// Also on processors that emulate bfloat16 with AVX-512.
    @Test(
        "gives an image the same bits in bfloat16 whatever its neighbours",
        .enabled(if: Precision.bf16.isAvailable, "this processor, or the environment, has no AVX-512"))
    func neighboursDoNotMatterInBFloat16() async throws { try await neighboursDoNotMatter(.bf16) }

    @Test("gives an image the same bits in int8 whatever its neighbours", .needs(.int8))
    func neighboursDoNotMatterInIntegers() async throws { try await neighboursDoNotMatter(.int8) }

    private func neighboursDoNotMatter(_ precision: Precision) async throws {
        let example = try Case.named("squeeze and excitation")
        let weights = example.weights()
        let images = example.images(3)
        func run(batch: Int, _ images: Tensor) async throws -> [Float] {
            let program = try await InferenceProgram(
                example.network, weights, output: "out", batch: batch, height: example.height, width: example.width,
                precision: precision, thread: Self.thread)
            return try await program.run(images).values
        }
        let together = try await run(batch: 4, images)
        let size = images.count / 3
        let last = Tensor(shape: [1] + images.shape.dropFirst(), values: Array(images.values.suffix(size)))
        let alone = try await run(batch: 4, last)
        #expect(Array(together.suffix(alone.count)) == alone)
    }

    @Test("refuses an image that is too small, naming the node")
    func tooSmall() async throws {
        let example = try Case.named("a strided convolution with TensorFlow's padding")
        let network = Network(
            name: "small", inputChannels: 3,
            nodes: [
                Node("conv", stage: "stem", convolution(3, 8, .square(7)), inputs: [image])
            ])
        await #expect(throws: EngineError.self) {
            _ = try await InferenceProgram(
                network, ["conv.weight": Tensor(shape: [8, 3, 7, 7], repeating: 1)], output: "conv", batch: 1,
                height: 5, width: example.width, precision: .fp32, thread: Self.thread)
        }
    }

    @Test("refuses images that no memory holds")
    func tooLarge() async throws {
        let example = try Case.named("a dilated convolution")
        await #expect(throws: EngineError.self) {
            _ = try await InferenceProgram(
                example.network, example.weights(), output: "conv", batch: 8, height: 200_000, width: 200_000,
                precision: .fp32, thread: Self.thread)
        }
    }

    @Test("refuses to move more channels than any network has", arguments: [1, 5000])
    func manyChannels(_ channels: Int) async throws {
        let padding = FinetuneEngine.Operation.channelPadding(before: 1_000_000 / channels, after: 0)
        for operation in [padding, .subsampling(step: 2), .zeroPadding(.all(1))]
        where channels > 1 || operation == padding {
            let network = Network(
                name: "wide", inputChannels: channels, nodes: [Node("a", stage: "stem", operation, inputs: [image])])
            let error = await #expect(throws: EngineError.self) {
                _ = try await InferenceProgram(
                    network, [:], output: "a", batch: 1, height: 8, width: 8, precision: .fp32, thread: Self.thread)
            }
            #expect(error?.description.contains("'a'") == true)
        }
    }

    @Test("names a tensor that is missing or does not fit")
    func missingTensor() async throws {
        let example = try Case.named("a convolution with bias and odd channels")
        let network = example.network
        var weights = example.weights()
        weights["conv.bias"] = Tensor(shape: [4], repeating: 0)
        for weights in [[:], weights] {
            let error = await #expect(throws: EngineError.self) {
                _ = try await InferenceProgram(
                    network, weights, output: "conv", batch: 1, height: 9, width: 7, precision: .fp32,
                    thread: Self.thread)
            }
            #expect(error?.description.contains("conv.") == true)
        }
    }
}
