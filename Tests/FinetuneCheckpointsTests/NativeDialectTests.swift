// Our own model file: every fixture there and back.

import FinetuneEngine
import FinetuneFiles
import FinetuneModels
import TestSupport
import Testing

@testable import FinetuneCheckpoints

@Suite("Our own model file") struct NativeDialectTests {
    @Test("comes back as it was written, with the same bytes twice", arguments: WeightCase.all)
    func roundTrip(_ example: WeightCase) throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        var model = try load(example.path)
        let size = model.inputSize ?? ImageSize(height: 64, width: 64)
        let width = try #require(
            model.network.outputShape(of: model.network.featureNode, height: size.height, width: size.width)?.first)
        let head = DenseHead(
            weight: Tensor(shape: [2, width], values: (0..<2 * width).map { Float($0) / 7 }),
            bias: Tensor(shape: [2], values: [0.5, -1]), record: .null)
        model = model.adapted(
            Head(head, named: model.headName, reading: model.network.featureNode), classes: ["one", "two \"quoted\""])
        model.precision = .fp32
        model.trainingImages = [0, 0x11aa, .max]
        try ModelFile.write(model, to: folder + "/a.h5")
        try ModelFile.write(model, to: folder + "/b.h5")
        #expect(try FileSystem.read(folder + "/a.h5") == FileSystem.read(folder + "/b.h5"))
        let read = try load(folder + "/a.h5")
        #expect(read.network == model.network && read.classes == model.classes && read.recipe == model.recipe)
        #expect(read.precision == .fp32 && read.trainingImages == model.trainingImages)
        #expect(Set(read.weights.keys) == Set(model.weights.keys))
        for (name, tensor) in model.weights { #expect(read.weights[name]?.values == tensor.values) }
        #expect(try FileSystem.list(folder) == ["a.h5", "b.h5"])
    }

    @Test("with a recipe that cannot be is refused like any damaged file")
    func badRecipe() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        var model = try load(Fixtures.path("torch-basic.h5"))
        model.recipe?.height = 0
        try ModelFile.write(model, to: folder + "/a.h5")
        let error = #expect(throws: CheckpointError.self) { try load(folder + "/a.h5") }
        #expect(error?.description.contains("'size'") == true)
    }
}
