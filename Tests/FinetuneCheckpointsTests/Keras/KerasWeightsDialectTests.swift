// Weights that Keras saved without their network: `model.save_weights` of Keras 2, keras.applications' files.

import Testing

@Suite("A file of Keras weights") struct KerasWeightsDialectTests: DialectSuite {
    static let dialect = "keras-weights"
    static let words = "Keras weights"

    @Test("gives the features and logits of the library that wrote it", arguments: cases)
    func numbers(_ example: WeightCase) async throws { try await example.expectNumbers() }

    @Test("is recognised by its content, with its preprocessing", arguments: cases)
    func recognition(_ example: WeightCase) throws { try example.expectRecognition(as: Self.words) }
}
