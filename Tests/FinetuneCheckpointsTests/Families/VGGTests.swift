// VGGs that people change: what the names and shapes show is followed, and what they cannot show is said.

import FinetuneEngine
import FinetuneModels
import Testing

@testable import FinetuneCheckpoints

@Suite("A VGG in a state dict") struct VGGTests {
    private static let counts = [1, 1, 2, 2, 2]

    /// A VGG-11's tensors under torchvision's names, each of which `change` may rename, reshape or leave out.
    private static func model(
        counts: [Int] = counts, _ change: (String, [Int]) -> (String, [Int])? = { ($0, $1) }
    ) throws -> Model {
        let vgg = VGG(
            blocks: counts.map { Array(repeating: 2, count: $0) }, hasNormalization: false,
            hidden: VGG.Hidden(side: 7, widths: [3, 3]), head: (VGG.headName, 4, true))
        var arrays = NamedArrays()
        for (name, spec) in vgg.network().tensors {
            let isHidden = VGG.hiddenNames.contains { name == "\($0).weight" }
            let shape = isHidden ? [spec.shape[0], spec.shape.dropFirst().reduce(1, *)] : spec.shape
            guard let (name, shape) = change(name, shape) else { continue }
            arrays.add(name, Tensor(shape: shape, repeating: 0.5), type: "float32")
        }
        return try Dialect.model(in: arrays, path: "vgg.pth")
    }

    @Test("is read whole, without a word") func plain() throws {
        let model = try Self.model()
        #expect(model.network.name == "VGG-11, width 2" && model.headOutputs == 4)
        #expect(model.notes.isEmpty && model.remarks.isEmpty && model.leftOutHead == nil)
        #expect(model.recipe?.height == 224)
    }

    @Test("is read with its features in a wrapper, as PyTorch's example saves it") func wrapped() throws {
        let model = try Self.model { ($0.replacing("features.", with: "features.module."), $1) }
        #expect(model.network == (try Self.model().network))
    }

    @Test("keeps its hidden layers where the last one is in a container") func containedHead() throws {
        let model = try Self.model { ($0.replacing("classifier.6.", with: "classifier.6.1."), $1) }
        let plain = try Self.model()
        #expect(model.headOutputs == plain.headOutputs)
        #expect(model.network.nodes.count == plain.network.nodes.count)
    }

    @Test("has the hidden layers of a segmentation network left out") func segmentation() throws {
        let model = try Self.model { $0 == "classifier.0.weight" ? ($0, [3, 2, 7, 7]) : ($0, $1) }
        #expect(model.headOutputs == nil && model.leftOutHead != nil)
        #expect(model.notes.contains { $0.contains("segmentation") }, "\(model.notes)")
    }

    @Test(
        "with a hidden layer that is missing or does not fit is refused, naming it",
        arguments: [nil, [3, 97], [3, 100]] as [[Int]?])
    func damaged(_ shape: [Int]?) {
        let error = #expect(throws: CheckpointError.self) {
            try Self.model { name, old in
                name == "classifier.0.weight" ? shape.map { (name, $0) } : (name, old)
            }
        }
        #expect(error?.description.contains("classifier.0.weight") == true, "\(error?.description ?? "")")
    }

    @Test("of blocks that the paper has not is named in a warning") func unknown() throws {
        let notes = try Self.model(counts: [1, 1, 3]).notes
        #expect(notes.contains { $0.contains("[1, 1, 3] convolutions") }, "\(notes)")
    }

    @Test("without hidden layers says what it takes for granted") func pooled() throws {
        let model = try Self.model { name, shape in name.hasPrefix("classifier") ? nil : (name, shape) }
        #expect(model.remarks.contains { $0.contains("size of the VGG's images") }, "\(model.remarks)")
    }

    @Test("of another size than its layers are made for is refused as a state dict") func sizes() throws {
        var model = try Self.model()
        _ = try TorchWriter.stateDict(of: model, path: "out")
        model.recipe?.height = 448
        let error = #expect(throws: CheckpointError.self) { try TorchWriter.stateDict(of: model, path: "out") }
        #expect(error?.description.contains("448×224") == true, "\(error?.description ?? "")")
    }

    @Test("whose head Keras named has PyTorch's name for it as a state dict") func head() throws {
        var model = try Self.model()
        model.rename([(VGG.headName, "predictions")])
        let names = try TorchWriter.stateDict(of: model, path: "out").map(\.name)
        #expect(names.contains("classifier.6.weight") && !names.contains { $0.hasPrefix("predictions") })
    }

    @Test("of Keras with batch norms is refused as weights alone, naming them") func normalized() {
        var arrays = NamedArrays()
        for (layer, role, shape) in [
            ("block1_conv1", "kernel", [3, 3, 3, 2]), ("block1_conv1", "bias", [2]), ("block1_bn1", "gamma", [2]),
        ] {
            arrays.add("\(layer)/\(role)", Tensor(shape: shape, repeating: 0.5), type: "float32")
        }
        let weights = [("block1_conv1", "kernel"), ("block1_conv1", "bias"), ("block1_bn1", "gamma")].map {
            KerasWeight(layer: $0.0, role: $0.1, fileName: "\($0.0)/\($0.1)", in: arrays)
        }
        let error = #expect(throws: CheckpointError.self) {
            try KerasWeightsDialect.read(weights, path: "vgg.h5")
        }
        #expect(error?.description.contains("block1_bn1/gamma") == true, "\(error?.description ?? "")")
    }
}
