// Whole models of Keras in HDF5, with their network.

import Testing

@Suite("A whole model of Keras") struct KerasModelDialectTests: DialectSuite {
    static let dialect = "keras-whole"
    static let words = "Keras whole model"

    @Test("gives the features and logits of the library that wrote it", arguments: cases)
    func numbers(_ example: WeightCase) async throws { try await example.expectNumbers() }

    @Test("is recognised by its content, with its preprocessing", arguments: cases)
    func recognition(_ example: WeightCase) throws { try example.expectRecognition(as: Self.words) }

    @Test(
        "with layers that are not computed is refused with the reason",
        arguments: [("layer", "DepthwiseConv2D"), ("channels-first", "channels")])
    func refused(_ name: String, _ words: String) { expectRefusal("bad-\(name).h5", words) }
}
