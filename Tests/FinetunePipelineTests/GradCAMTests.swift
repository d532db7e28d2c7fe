// Maps of heat against PyTorch's gradients.

import FinetuneEngine
import FinetuneFiles
import FinetuneModels
import TestSupport
import Testing

@testable import FinetuneDatasets
@testable import FinetunePipeline

@Suite("Grad-CAM") struct GradCAMTests {
    static let cases = ((try? Fixtures.json("gradcam.json"))?["cases"]?.arrayValue ?? [])

    /// The network of a case: two convolutions, their means, and the head that its name says.
    private func model(_ example: JSON) -> Model {
        var weights: Weights = [:]
        func keep(_ name: String, _ json: JSON?, _ shape: [Int]) {
            weights["\(name).weight"] = Tensor(shape: shape, values: (json?["weight"]?.numbers ?? []).map { Float($0) })
            weights["\(name).bias"] = Tensor(
                shape: [shape[0]], values: (json?["bias"]?.numbers ?? []).map { Float($0) })
        }
        let convolutions = example["convolutions"]?.arrayValue ?? []
        keep("a", convolutions[0], [6, 3, 3, 3])
        keep("b", convolutions[1], [8, 6, 3, 3])
        var nodes = [
            Node(
                "a", stage: "stem",
                .convolution(.init(channels: 3, filters: 6, window: .square(3, padding: 1), hasBias: true)),
                inputs: [Node.image]),
            Node("a.relu", stage: "stem", .activation(.relu), inputs: ["a"]),
            Node(
                "b", stage: "stage1",
                .convolution(.init(channels: 6, filters: 8, window: .square(3, stride: 2, padding: 1), hasBias: true)),
                inputs: ["a.relu"]),
            Node("b.relu", stage: "stage1", .activation(.relu), inputs: ["b"]),
            Node("pool", stage: Stage.pooled, .globalAveragePooling, inputs: ["b.relu"]),
        ]
        if example["name"] == "normalized" {
            nodes.append(Node("unit", stage: Stage.head, .rowNormalization, inputs: ["pool"]))
        }
        let layers = example["dense"]?.arrayValue ?? []
        for (index, layer) in layers.enumerated() {
            let (inputs, outputs) = (layer["inputs"]?.intValue ?? 0, layer["outputs"]?.intValue ?? 0)
            keep("fc\(index)", layer, [outputs, inputs])
            nodes.append(
                Node(
                    "fc\(index)", stage: Stage.head, .dense(inputs: inputs, outputs: outputs, hasBias: true),
                    inputs: [nodes[nodes.count - 1].name]))
            if index < layers.count - 1 {
                let activation: Activation = example["name"] == "gelu" ? .gelu : .relu
                nodes.append(Node("act", stage: Stage.head, .activation(activation), inputs: ["fc\(index)"]))
            }
        }
        return Model(
            network: Network(name: "small", inputChannels: 3, nodes: nodes), weights: weights, recipe: nil,
            dialect: "test")
    }

    @Test("is what PyTorch's gradients say", arguments: 0..<4)
    func golden(_ number: Int) async throws {
        let example = Self.cases[number]
        let images = NumberArray((example["images"]?.numbers ?? []).map { Float($0) }, count: 10 * 12 * 3)
        let origin = ImageDataset.Origin(.numbers(images, name: "images"))
        let dataset = ImageDataset(
            path: "", classes: [], items: (0..<3).map { .init("\($0)", of: origin) }, inputShape: [10, 12, 3])
        let thread = EngineThread(threads: 2)
        let cam = try #require(
            try await GradCAM(
                model(example), inputShape: [10, 12, 3], precision: .fp32, imageCount: 3, thread: thread))
        let maps = try await cam.maps(of: [0, 1, 2], in: dataset, classes: example["labels"]?.integers ?? [])
        let found = maps.compactMap(\.self)
        #expect(found.count == 3 && [found[0].height, found[0].width] == example["size"]?.integers)
        let expected = example["heat"]?.numbers ?? []
        #expect(expected.contains { $0 > 0.5 })
        // Convolutions in single precision, in two libraries' orders of sums.
        for (a, b) in zip(found.flatMap(\.values), expected) { #expect(abs(Double(a) - b) < 1e-4) }
    }

    @Test("there are fixtures") func hasFixtures() { #expect(!Self.cases.isEmpty) }

    @Test("of a network that does not pool is none")
    func none() async throws {
        var model = model(Self.cases[0])
        model.network.nodes[4].operation = .flatten
        let cam = try await GradCAM(
            model, inputShape: [10, 12, 3], precision: .fp32, imageCount: 1, thread: EngineThread(threads: 1))
        #expect(cam == nil)
    }
}
