// Weights as people have them: every case goes from a picture file to the numbers of the library that made it, or is
// refused with the reason (scripts/fixtures/situations.py).

import FinetuneDatasets
import FinetuneEngine
import FinetuneFiles
import FinetuneModels
import Glibc
import TestSupport
import Testing

@testable import FinetuneCheckpoints

@Suite("Weights as people have them") struct SituationTests {
    private static let thread = EngineThread(threads: 2)
    static let manifest = (try? Fixtures.json("situations/situations.json")) ?? .null
    static let cases = manifest["cases"]?.arrayValue ?? []
    static let loaded = cases.filter { $0["refused"] == nil }.compactMap { $0["name"]?.stringValue }
    static let refused = cases.filter { $0["refused"] != nil }.compactMap { $0["name"]?.stringValue }

    private static func entry(_ name: String) throws -> JSON {
        try #require(cases.first { $0["name"]?.stringValue == name })
    }

    /// Reads the weights of a case, with its documents beside them.
    private static func load(_ entry: JSON) throws -> Model {
        let weights = Fixtures.path("situations/" + (entry["weights"]?.stringValue ?? ""))
        let key = entry["key"]?.stringValue
        var documents = (entry["documents"]?.members ?? []).map { ($0.key, $0.value.text) }
        if let name = entry["damaged"]?.stringValue { documents.append((name, #"{"pretrained_cfg": {"mean": [0.5,"#)) }
        guard !documents.isEmpty else {
            return try WeightFile(weights, helper: Fixtures.readingHelper).model(weightsKey: key)
        }
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        var file = try AtomicFile(folder + "/model.safetensors")
        try file.write(try FileSystem.read(weights))
        try file.commit()
        for (name, text) in documents { try AtomicFile.write(text, to: Path.join(folder, name)) }
        return try WeightFile(folder, helper: Fixtures.readingHelper).model(weightsKey: key)
    }

    /// The rows that a layer gives for all pictures of the manifest, or for the sine that a case asks for.
    private static func rows(_ model: Model, _ layer: String, _ entry: JSON) async throws -> [[Float]] {
        let node = try #require(model.network.node(forLayer: layer))
        let inputs: [Tensor]
        if let shape = entry["inputs"]?.integers {
            let values = (0..<shape.reduce(1, *)).map { Float(1.5 * sin(0.7 * Double($0))) }
            inputs = [Tensor(shape: shape, values: values)]
        } else {
            let preprocessor = try Preprocessor(try #require(model.recipe))
            inputs = try (manifest["pictures"]?.arrayValue ?? []).compactMap(\.stringValue).map { name in
                let crop = try preprocessor.crop(
                    decoding: FileSystem.read(Fixtures.path("situations/\(name)")))
                return Tensor(shape: [1, crop.height, crop.width, model.network.inputChannels]) {
                    preprocessor.write(crop, into: &$0)
                }
            }
        }
        var rows: [[Float]] = []
        for input in inputs {
            let program = try await InferenceProgram(
                model.network, model.weights, output: node, batch: input.shape[0], height: input.shape[1],
                width: input.shape[2], precision: .fp32, thread: thread)
            let values = try await program.run(input).values
            let count = values.count / input.shape[0]
            for row in 0..<input.shape[0] { rows.append(Array(values[row * count..<(row + 1) * count])) }
        }
        return rows
    }

    @Test("there are fixtures") func hasFixtures() {
        #expect(!Self.loaded.isEmpty && !Self.refused.isEmpty)
    }

    @Test("give their library's numbers, from a picture file on", arguments: loaded)
    func numbers(_ name: String) async throws {
        let entry = try Self.entry(name)
        let model = try Self.load(entry)
        for layer in ["pooled", "logits"] {
            guard let expected = entry[layer]?.arrayValue?.map(\.numbers) else { continue }
            let found = try await Self.rows(model, layer, entry)
            #expect(found.map(\.count) == expected.map(\.count), "\(layer)")
            let largest = expected.joined().map(abs).max() ?? 1
            let tolerance = (entry["tolerance"]?.doubleValue ?? 0) * largest
            for (a, b) in zip(found, expected) {
                // Where a model ends in a softmax, its logits are known up to a constant a row.
                let shift = entry["softmax"] == true ? b[0] - Double(a[0]) : 0
                let difference = zip(a, b).map { abs(Double($0) + shift - $1) }.max() ?? 0
                #expect(difference <= tolerance, "\(layer): off by \(difference), \(tolerance) is allowed")
            }
        }
    }

    @Test("are read with what there is to say, and nothing else", arguments: loaded)
    func words(_ name: String) throws {
        let entry = try Self.entry(name)
        let model = try Self.load(entry)
        let head = model.leftOutHead.map { "left out \($0.layers) \($0.reason)" } ?? ""
        let said = model.notes + model.remarks + [head]
        if let words = entry["says"]?.stringValue {
            #expect(said.contains { $0.contains(words) }, "\(said)")
        } else {
            #expect(model.notes.isEmpty, "\(model.notes)")
        }
        if let classes = entry["classes"]?.arrayValue?.compactMap(\.stringValue) { #expect(model.classes == classes) }
        #expect(model.outputMeaning.rawValue == entry["outputs"]?.stringValue ?? "classes")
    }

    @Test("are refused with what is not read", arguments: refused)
    func refusals(_ name: String) throws {
        let entry = try Self.entry(name)
        let error = #expect(throws: CheckpointError.self) { try Self.load(entry) }
        let words = entry["refused"]?.stringValue ?? "no words"
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }
}
