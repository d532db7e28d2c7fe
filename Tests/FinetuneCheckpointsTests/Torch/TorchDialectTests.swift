// State dicts of PyTorch in HDF5, one dataset a tensor. Other containers of state dicts have suites of their own.

import Testing

@Suite("A state dict of PyTorch") struct TorchDialectTests: DialectSuite {
    static let dialect = "torch-h5"
    static let words = "state dict in HDF5"

    @Test("gives the features and logits of the library that wrote it", arguments: cases)
    func numbers(_ example: WeightCase) async throws { try await example.expectNumbers() }

    @Test("is recognised by its content, with its preprocessing", arguments: cases)
    func recognition(_ example: WeightCase) throws { try example.expectRecognition(as: Self.words) }

    @Test("whose blocks normalize before they convolve is refused")
    func preactivated() { expectRefusal("bad-preact.pth", "pre-activation") }
}
