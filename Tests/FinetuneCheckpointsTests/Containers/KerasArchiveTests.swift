// Whole models of Keras in a zip archive: `model.keras`.

import Testing

@Suite("An archive of Keras") struct KerasArchiveTests: DialectSuite {
    static let dialect = "keras-archive"
    static let words = "Keras whole model"

    @Test("gives the features and logits of the library that wrote it", arguments: cases)
    func numbers(_ example: WeightCase) async throws { try await example.expectNumbers() }

    @Test("is recognised by its content, with its preprocessing", arguments: cases)
    func recognition(_ example: WeightCase) throws { try example.expectRecognition(as: Self.words) }

    @Test(
        "with Python code or a layer that is used twice is refused",
        arguments: [
            ("lambda", "Python code"), ("shared", "more than once"),
        ])
    func refused(_ name: String, _ words: String) { expectRefusal("bad-\(name).keras", words) }
}
