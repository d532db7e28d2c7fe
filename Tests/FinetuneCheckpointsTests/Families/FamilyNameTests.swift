// What networks are called.

import FinetuneEngine
import FinetuneModels
import TestSupport
import Testing

@testable import FinetuneCheckpoints

@Suite("An architecture") struct FamilyNameTests {
    @Test("is named in the field's words")
    func architectures() throws {
        let expected = [
            "torch-basic.h5": "ResNet-10, width 4", "torch-bottleneck-nested.h5": "ResNet-17 v1.5, width 2",
            "keras-weights.h5": "ResNet-14 v1, width 2", "keras-whole.h5": "ResNet-14 v1, width 2",
            "keras-odd.h5": "functional network, 2 convolutions",
            "keras-v2.keras": " V2,", "keras-nested.keras": " v1,",
            "timm-se/model.safetensors": "SE-ResNet", "timm-resnext.safetensors": "ResNeXt-",
            "timm-wide.h5": "Wide ResNet-", "timm-d.pth": "-D", "keras-v2-weights.h5": " V2,",
            "kuangliu.pth": "(small images)", "vgg-norms.pth": "VGG-7 with batch norm, width 4",
            "keras-vgg.h5": "VGG-16, width 2",
        ]
        for (file, words) in expected {
            let name = try load(Fixtures.path(file)).network.name
            #expect(name.contains(words), "\(file): \(name)")
        }
    }
}
