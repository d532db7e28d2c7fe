// That no fixture is lost: each is a case of the manifest, and each case has a suite.

import FinetuneFiles
import TestSupport
import Testing

@Suite("The manifest of weight files") struct ManifestTests {
    private static let suites: [any DialectSuite.Type] = [
        KerasWeightsDialectTests.self, KerasStoreTests.self, KerasModelDialectTests.self, KerasArchiveTests.self,
        TorchDialectTests.self, SafetensorsTests.self, TorchArchiveTests.self, TorchLegacyFileTests.self,
    ]

    @Test("names dialects that each have one suite") func dialects() {
        let dialects = Self.suites.map { $0.dialect }
        #expect(Set(dialects) == Set(WeightCase.all.map(\.dialect)))
        #expect(dialects.count == Set(dialects).count)
    }

    /// Their own tests read the two that hold tensors of no network.
    @Test("is a case if it is among the fixtures") func hasFixtures() throws {
        let files = try FileSystem.list(String(Fixtures.path("manifest.json").dropLast("/manifest.json".count)))
        let weights = files.filter { file in
            [".h5", ".keras", ".pth", ".safetensors"].contains(where: file.hasSuffix) && !file.hasPrefix("bad-")
        }
        #expect(Set(weights).subtracting(WeightCase.all.map(\.file)) == ["tensors.pth", "legacy-tensors.pth"])
        #expect(WeightCase.all.allSatisfy { FileSystem.kind(of: $0.path) == .file })
    }
}
