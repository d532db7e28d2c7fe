// Weights in the store of Keras 3: `model.weights.h5`.

import Testing

@Suite("A store of Keras weights") struct KerasStoreTests: DialectSuite {
    static let dialect = "keras-store"
    static let words = "Keras weights"

    @Test("gives the features and logits of the library that wrote it", arguments: cases)
    func numbers(_ example: WeightCase) async throws { try await example.expectNumbers() }

    @Test("is recognised by its content, with its preprocessing", arguments: cases)
    func recognition(_ example: WeightCase) throws { try example.expectRecognition(as: Self.words) }
}
