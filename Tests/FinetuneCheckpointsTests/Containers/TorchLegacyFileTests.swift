// State dicts in the files that torch.save wrote before PyTorch 1.6.

import FinetuneEngine
import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneCheckpoints

@Suite("A file from before PyTorch 1.6") struct TorchLegacyFileTests: DialectSuite {
    static let dialect = "legacy"
    static let words = "state dict in a file of the format before PyTorch 1.6"

    @Test("gives the features and logits of the library that wrote it", arguments: cases)
    func numbers(_ example: WeightCase) async throws { try await example.expectNumbers() }

    @Test("is recognised by its content, with its preprocessing", arguments: cases)
    func recognition(_ example: WeightCase) throws { try example.expectRecognition(as: Self.words) }

    @Test(
        "that would run code, or is no state dict, is refused with the reason",
        arguments: [
            ("code", "calls 'posix.system'"),
            ("module", "class 'torch.nn.modules.container.Sequential', not a state dict"),
            ("quantized", "'layer2.0.conv1.weight' is a quantized tensor, which is not read"),
        ])
    func unsafe(_ name: String, _ words: String) {
        expectRefusal("bad-legacy-\(name).pth", words)
        #expect(FileSystem.kind(of: "/tmp/finetune-was-here") == nil)
    }

    private func read(_ bytes: [UInt8]) throws -> NamedArrays { try TorchLegacyFile.read(.bytes(bytes), path: "x.pth") }

    @Test("that is cut short anywhere is refused; bytes after its end are passed over, as by PyTorch")
    func cut() throws {
        let bytes = try FileSystem.read(Fixtures.path("legacy-plain.pth"))
        let whole = try read(bytes).arrays
        for count in stride(from: 0, to: bytes.count, by: 97) + [bytes.count - 1] {
            #expect(throws: CheckpointError.self) { try read(Array(bytes.prefix(count))) }
        }
        let longer = try read(bytes + [1, 2, 3]).arrays
        #expect(longer.count == whole.count && longer["fc.bias"]?.tensor.values == whole["fc.bias"]?.tensor.values)
    }

    @Test("with parts of storages gives each its own numbers") func parts() throws {
        let arrays = try arrays("legacy-strided.pth").arrays
        let (mean, variance) = (arrays["bn1.running_mean"]?.tensor, arrays["bn1.running_var"]?.tensor)
        #expect(mean?.count == 4 && variance?.count == 4 && mean?.values != variance?.values)
        #expect(variance?.values.allSatisfy { $0 > 0 } == true)
    }

    @Test("has the documents beside it, as other state dicts have") func sidecars() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        var file = try AtomicFile(folder + "/x.pth")
        try file.write(FileSystem.read(Fixtures.path("legacy-checkpoint.pth")))
        try file.commit()
        try AtomicFile.write(#"{"architecture": "resnet17"}"#, to: folder + "/config.json")
        let documents = try WeightFile(folder + "/x.pth", helper: Fixtures.readingHelper).arrays.documents
        #expect(documents["config.json"] == ["architecture": "resnet17"] && documents["checkpoint"]?["epoch"] == 7)
    }

    @Test("with big-endian numbers, another version or an impossible count is refused") func refused() throws {
        let bytes = try FileSystem.read(Fixtures.path("legacy-plain.pth"))
        func changed(_ find: [UInt8], _ offset: Int, _ new: UInt8) throws -> [UInt8] {
            let start = try #require(bytes.indices.first { bytes[$0...].starts(with: find) })
            var copy = bytes
            copy[start + offset] = new
            return copy
        }
        let bigEndian = try changed(Array("little_endianq\u{2}".utf8), 15, 0x89)
        #expect(throws: CheckpointError.self) { try read(bigEndian) }
        var error = #expect(throws: CheckpointError.self) { try read(bigEndian) }
        #expect(error?.description.contains("big-endian") == true, "\(error?.description ?? "")")
        error = #expect(throws: CheckpointError.self) { try read(changed([0x4D, 0xE9, 3], 1, 0xEA)) }
        #expect(error?.description.contains("1001") == true, "\(error?.description ?? "")")
    }
}
