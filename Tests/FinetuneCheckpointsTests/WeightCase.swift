// What the tests of weight files share: loading a fixture, running a network, and the cases of the manifest, each with
// what its library computes.

import FinetuneEngine
import FinetuneFiles
import FinetuneModels
import Glibc
import TestSupport
import Testing

@testable import FinetuneCheckpoints

let thread = EngineThread(threads: 2)

func load(_ path: String) throws -> Model { try WeightFile(path, helper: Fixtures.readingHelper).model() }

/// The tensors and documents of a fixture.
func arrays(_ file: String) throws -> NamedArrays {
    try WeightFile(Fixtures.path(file), helper: Fixtures.readingHelper).arrays
}

/// What a layer gives for a batch of images.
func run(_ model: Model, _ layer: String, on input: Tensor) async throws -> [Float] {
    let node = try #require(model.network.node(forLayer: layer))
    let program = try await InferenceProgram(
        model.network, model.weights, output: node, batch: input.shape[0], height: input.shape[1],
        width: input.shape[2], precision: .fp32, thread: thread)
    return try await program.run(input).values
}

/// Expects that a fixture is refused with some words.
func expectRefusal(_ file: String, _ words: String) {
    let error = #expect(throws: CheckpointError.self) { try load(Fixtures.path(file)) }
    #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
}

/// The tests of one dialect of the manifest.
protocol DialectSuite: Sendable {
    /// As the manifest says it.
    static var dialect: String { get }
    /// How `Model.dialect` ends.
    static var words: String { get }
}

extension DialectSuite {
    static var cases: [WeightCase] { WeightCase.all.filter { $0.dialect == dialect } }
}

/// A file of the manifest, with what the library that wrote it computes.
struct WeightCase: CustomTestStringConvertible, Sendable {
    static let all = ((try? Fixtures.json("manifest.json"))?["cases"]?.arrayValue ?? []).map(WeightCase.init)

    let file: String
    let dialect: String
    private let json: JSON

    init(_ json: JSON) {
        self.json = json
        file = json["file"]?.stringValue ?? ""
        dialect = json["dialect"]?.stringValue ?? ""
    }

    var testDescription: String { file }
    var path: String { Fixtures.path(file) }

    /// Expects the features and logits of the library that wrote the file.
    func expectNumbers() async throws {
        let shape = json["shape"]?.integers ?? []
        // The fixtures' script feeds this sine; it stands in no file.
        var values = (0..<shape.reduce(1, *)).map { 1.5 * sin(0.7 * Double($0)) }
        if json["pixels"]?.boolValue == true, let affine = json["affine"]?.arrayValue?.map(\.numbers) {
            // The model scales pixels itself, which is the recipe's part here.
            values = values.enumerated().map { (127.5 + 85 * $1) * affine[0][$0 % 3] + affine[1][$0 % 3] }
        }
        let input = Tensor(shape: shape, values: values.map { Float($0) })
        let model = try load(path)
        let features = json["features"]?.numbers ?? []
        let largest = features.map(abs).max() ?? 1
        let found = try await run(model, "pooled", on: input)
        #expect(found.count == features.count)
        for (a, b) in zip(found, features) { #expect(abs(Double(a) - b) < 2e-5 * max(largest, 1)) }
        let logits = try await run(model, "logits", on: input)
        let expected = json["logits"]?.numbers ?? []
        #expect(logits.count == expected.count)
        // Where a file ends in a softmax, the expected logits are known up to a constant a row.
        let classes = model.headOutputs ?? 1
        for row in 0..<shape[0] {
            let shift =
                json["softmax"]?.boolValue == true ? expected[row * classes] - Double(logits[row * classes]) : 0
            for k in row * classes..<(row + 1) * classes {
                #expect(abs(Double(logits[k]) + shift - expected[k]) < 1e-4)
            }
        }
    }

    /// Expects that the file is recognised by its content, with its preprocessing.
    ///
    /// - Parameter words: How `Model.dialect` ends.
    func expectRecognition(as words: String) throws {
        let model = try load(path)
        #expect(model.dialect.hasSuffix(words), "\(model.dialect) is no \(dialect)")
        if let recipe = json["recipe"]?.stringValue {
            #expect(model.recipe?.pixels == InputRecipe.Pixels.named.first { $0.name == recipe }?.pixels)
        }
        if let affine = json["affine"]?.arrayValue?.map(\.numbers) {
            let recipe = try #require(model.recipe)
            for channel in 0..<3 {
                let factor = recipe.scale / recipe.standardDeviation[channel]
                #expect(abs(factor - affine[0][channel]) < 1e-9)
                let offset = -recipe.mean[channel] / recipe.standardDeviation[channel]
                #expect(abs(offset - affine[1][channel]) < 1e-6)
            }
        }
        if let labels = json["labels"]?.arrayValue?.compactMap(\.stringValue) { #expect(model.classes == labels) }
    }
}
