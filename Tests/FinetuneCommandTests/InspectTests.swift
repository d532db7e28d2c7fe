// finetune inspect: what a weights file holds.

import FinetuneFiles
import TestSupport
import Testing

private let base = Fixtures.path("resnet20-random.h5")

@Suite("An inspection") struct InspectTests {
    @Test("says what a weights file holds") func inspect() throws {
        let workspace = try Workspace()
        let outcome = try workspace.finetune("inspect", base, "--json")
        #expect(outcome.code == 0 && outcome.done["architecture"] == "ResNet-20 (CIFAR), width 16")
        #expect(
            outcome.done["stages"]?.arrayValue?.compactMap { $0["name"]?.stringValue } == [
                "stem", "stage1", "stage2", "stage3",
            ])
        #expect(outcome.done["input"]?["height"] == 32)
        #expect(outcome.done["input"]?["source"] == "the convention of CIFAR ResNets")
        let tensors = outcome.done["tensors"]?.arrayValue ?? []
        #expect(tensors.count == 95 && tensors.allSatisfy { $0["mean"]?.doubleValue != nil && $0["std"] != nil })
        #expect(outcome.done["warnings"] == [])
        #expect(try workspace.finetune("inspect", base).output.contains("ResNet-20"))
    }
}
