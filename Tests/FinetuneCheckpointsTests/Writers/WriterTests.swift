// What is written comes back with the same numbers; what a format cannot hold is refused by name. That other libraries
// read the files too is what scripts/check-interchange shows.

import FinetuneEngine
import FinetuneFiles
import FinetuneModels
import Glibc
import TestSupport
import Testing

@testable import FinetuneCheckpoints

@Suite("A written model") struct WriterTests {
    /// Files whose network PyTorch has a class for.
    private static let torchCases = [
        "torch-basic.h5", "torch-bottleneck-nested.h5", "torch-types.h5", "torch-f16.safetensors", "timm-d.pth",
        "timm-se/model.safetensors", "timm-wide.h5", "timm-resnext.safetensors", "transformers-basic/model.safetensors",
        "kuangliu.pth", "cadene.pth", "vgg-norms.pth", "vgg.safetensors", "timm-vgg.safetensors", "keras-vgg.h5",
    ]
    private static let kerasCases = [
        "keras-weights.h5", "keras-v2-weights.h5", "keras-old-names.h5", "keras-v1.keras", "keras-nested.keras",
        "keras-odd.h5", "keras-v2-whole.h5",
    ]

    private func roundTrip(_ file: String, _ format: ModelFile.Format, _ name: String) async throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        var model = try load(Fixtures.path(file))
        model.classes = (0..<(model.headOutputs ?? 0)).map { "class \($0)" }
        let out = "\(folder)/\(name)"
        try ModelFile.write(model, to: out, as: format)
        let first = try FileSystem.read(out)
        let read = try load(out)
        try ModelFile.write(model, to: out, as: format)
        #expect(try FileSystem.read(out) == first, "the same model gives the same bytes")
        #expect(read.classes == model.classes)
        #expect(read.recipe == model.recipe)
        let entry = try Fixtures.json("manifest.json")["cases"]?.arrayValue?.first { $0["file"]?.stringValue == file }
        let shape = try #require(entry?["shape"]?.integers)
        let input = Tensor(shape: shape, values: (0..<shape.reduce(1, *)).map { Float(sin(0.7 * Double($0))) })
        let (before, after) = (try await run(model, "logits", on: input), try await run(read, "logits", on: input))
        let largest = before.map(abs).max() ?? 1
        #expect(before.count == after.count)
        for (a, b) in zip(before, after) { #expect(abs(a - b) <= 1e-5 * largest) }
    }

    @Test("as a state dict in HDF5 gives the same logits", arguments: torchCases)
    func torch(_ file: String) async throws { try await roundTrip(file, .torch, "x.h5") }

    @Test("as safetensors gives the same logits", arguments: torchCases)
    func safetensors(_ file: String) async throws { try await roundTrip(file, .safetensors, "x.safetensors") }

    @Test("as a Keras whole model gives the same logits", arguments: torchCases + kerasCases)
    func keras(_ file: String) async throws { try await roundTrip(file, .keras, "x.h5") }

    /// Of Keras' own, the head gets PyTorch's name.
    @Test(
        "as a Keras whole model and then as safetensors is what it was",
        arguments: torchCases.filter { !$0.hasPrefix("keras") })
    func thereAndBack(_ file: String) throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        let model = try load(Fixtures.path(file))
        try ModelFile.write(model, to: folder + "/k.h5", as: .keras)
        try ModelFile.write(try load(folder + "/k.h5"), to: folder + "/s.safetensors", as: .safetensors)
        let back = try load(folder + "/s.safetensors")
        #expect(back.network == model.network)
        for (name, tensor) in model.weights { #expect(back.weights[name]?.values == tensor.values, "\(name)") }
    }

    @Test("as a Keras whole model has the same stages, with batch norms and without", arguments: torchCases)
    func stages(_ file: String) throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        let model = try load(Fixtures.path(file))
        func parameters(_ network: Network) -> [String] {
            network.stages.map { "\($0.name) \(network.parameterCount(stage: $0.name))" }.filter { !$0.hasSuffix(" 0") }
        }
        for (number, model) in [model, model.folded().model].enumerated() {
            try ModelFile.write(model, to: "\(folder)/\(number).h5", as: .keras)
            #expect(parameters(try load("\(folder)/\(number).h5").network) == parameters(model.network))
        }
    }

    @Test("as ONNX is the same bytes twice, whatever the network", arguments: torchCases + kerasCases)
    func onnx(_ file: String) throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        let model = try load(Fixtures.path(file))
        let count = try ModelFile.write(model, to: folder + "/a.onnx", as: .onnx)
        try ModelFile.write(model, to: folder + "/b.onnx", as: .onnx)
        let bytes = try FileSystem.read(folder + "/a.onnx")
        #expect(try FileSystem.read(folder + "/b.onnx") == bytes && count == model.weights.count)
        // Field 1, the version of the format, and field 2, the producer: onnx.proto's first two.
        #expect(bytes.starts(with: [0x08, 7, 0x12, 8] + Array("finetune".utf8)))
        #expect(bytes.count > model.weights.values.reduce(0) { $0 + $1.count * 4 })
    }

    @Test(
        "is refused where PyTorch has no class for it, with the property",
        arguments: [
            ("keras-weights.h5", "takes a stride of 2"), ("keras-whole.h5", "takes a stride of 2"),
            ("keras-v2-whole.h5", "normalize before they convolve"), ("keras-v2-weights.h5", "normalize before"),
            ("keras-odd.h5", "layers of its own"),
        ])
    func refusals(_ file: String, _ words: String) throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        let model = try load(Fixtures.path(file))
        for format in [ModelFile.Format.torch, .safetensors] {
            let error = #expect(throws: CheckpointError.self) {
                try ModelFile.write(model, to: folder + "/x", as: format)
            }
            let text = error?.description ?? ""
            #expect(text.contains(words) && text.contains("--to onnx"), "\(text)")
        }
        #expect(try FileSystem.list(folder).isEmpty)
    }

    @Test("keeps the shortcut without parameters through Keras' layers")
    func optionA() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        let block = ResNet.Block(filters: [2, 2], stride: 1, hasProjection: false)
        let wide = ResNet.Block(filters: [5, 5], stride: 2, hasProjection: true)
        let network = ResNet(
            stem: .small, stemFilters: 2, stages: [[block], [wide]], shortcut: .padding, stridePlace: .middle,
            head: ("linear", 3, true)
        ).network()
        var weights: Weights = [:]
        for (index, (name, spec)) in network.tensors.enumerated() {
            weights[name] = Tensor(
                shape: spec.shape, values: (0..<spec.count).map { Float(($0 + index) % 7 + 1) / 8 })
        }
        let model = Model(network: network, weights: weights, recipe: nil, dialect: "test")
        try ModelFile.write(model, to: folder + "/k.h5", as: .keras)
        let back = try load(folder + "/k.h5")
        for operation in [FinetuneEngine.Operation.channelPadding(before: 1, after: 2), .subsampling(step: 2)] {
            #expect(back.network.nodes.contains { $0.operation == operation })
        }
        #expect(Set(back.weights.keys) == Set(weights.keys))
        try ModelFile.write(back, to: folder + "/s.safetensors", as: .safetensors)
    }
}
