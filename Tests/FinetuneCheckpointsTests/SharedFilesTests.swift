// Larger real files, where they stand beside this checkout.

import FinetuneEngine
import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneCheckpoints

@Suite(
    "Real files beside this checkout",
    .enabled(if: Fixtures.shared("fixtures/manifest.json") != nil, "the shared files are not here"))
struct SharedFilesTests {
    @Test("load with the real libraries' numbers")
    func fixtures() async throws {
        let folder = try #require(Fixtures.shared("fixtures"))
        let entries = try #require(
            try JSON(parsing: FileSystem.read(folder + "/manifest.json"))["fixtures"]?.arrayValue)
        let good = entries.filter { $0["expect"] == "load" }
        #expect(!good.isEmpty)
        for entry in good {
            let (file, id) = (try #require(entry["file"]?.stringValue), try #require(entry["id"]?.stringValue))
            let model = try load("\(folder)/\(file)")
            let array = try NumpyArray(parsing: FileSystem.read("\(folder)/\(id)/input.npy"), name: id)
            let tensor = Tensor(shape: array.shape, values: array.floats)
            let input = entry["layout"] == "NCHW" ? tensor.transposed([0, 2, 3, 1]) : tensor
            for (layer, name) in [("pooled", "features"), ("logits", "logits")] where entry["expected"]?[name] != nil {
                let expected = try NumpyArray(parsing: FileSystem.read("\(folder)/\(id)/\(name).npy"), name: id).floats
                let found = try await run(model, layer, on: input)
                let tolerance = entry["tolerance"]?[name]
                let (absolute, relative) = (tolerance?["atol"]?.doubleValue ?? 0, tolerance?["rtol"]?.doubleValue ?? 0)
                #expect(found.count == expected.count)
                for (a, b) in zip(found, expected) {
                    #expect(Double(abs(a - b)) <= absolute + relative * Double(abs(b)), "\(id)")
                }
            }
        }
    }

    @Test("that are malformed are refused or survived, as each asks")
    func malformed() throws {
        let folder = try #require(Fixtures.shared("fixtures"))
        let entries = try #require(
            try JSON(parsing: FileSystem.read(folder + "/manifest.json"))["fixtures"]?.arrayValue)
        for entry in entries where entry["family"] == "malformed" {
            let (file, expect) = (entry["file"]?.stringValue ?? "", entry["expect"]?.stringValue ?? "")
            do {
                _ = try load("\(folder)/\(file)")
                #expect(!expect.hasPrefix("reject"), "\(file) was loaded")
            } catch let error as CheckpointError {
                if let name = entry["error_names"]?.stringValue {
                    #expect(error.description.contains(name), "\(file): \(error)")
                }
            }
        }
    }

    @Test("pretrained networks give their golden logits")
    func golden() async throws {
        let folder = try #require(Fixtures.shared("pretrained"))
        let images = try NumpyArray(parsing: FileSystem.read(folder + "/golden_images_u8.npy"), name: "images")
        let scale = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)].map { (Float($0.0), Float($0.1)) }
        let values = images.bytes.enumerated().map { (Float($1) / 255 - scale[$0 % 3].0) / scale[$0 % 3].1 }
        for depth in [20, 32, 44, 56] {
            let model = try load("\(folder)/resnet\(depth).h5")
            let expected = try NumpyArray(
                parsing: FileSystem.read("\(folder)/resnet\(depth)_golden_logits.npy"), name: "logits"
            ).floats
            for (a, b) in zip(try await run(model, "logits", on: Tensor(shape: images.shape, values: values)), expected)
            { #expect(abs(a - b) < 1e-3) }
        }
    }
}
