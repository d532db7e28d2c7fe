// What stands beside a file of tensors: preprocessing, classes, configurations.

import FinetuneModels
import TestSupport
import Testing

@testable import FinetuneCheckpoints

@Suite("A file with documents beside it") struct SidecarTests {
    @Test("takes its preprocessing from what stands beside it")
    func sidecars() throws {
        let timm = try #require(try load(Fixtures.path("timm-se/model.safetensors")).recipe)
        #expect(timm.mean == [0.5, 0.5, 0.5] && timm.interpolation == .bicubic && timm.height == 64)
        #expect(abs(timm.resizeRatio - 1 / 0.95) < 1e-12)
        let transformers = try load(Fixtures.path("transformers-basic/model.safetensors"))
        #expect(transformers.recipeSource == "preprocessor_config.json" && transformers.recipe?.fit == .crop)
    }
}
