// Batch norms behind a convolution, into which they fold, and before one.

import FinetuneEngine

extension Case {
    static let batchNormalizations = [
        Case(
            "convolution, batch norm, ReLU", channels: 3, size: (12, 10),
            [
                ("conv", convolution(3, 16, .square(7, stride: 2, padding: 3), hasBias: true), [image]),
                ("bn", normalization(16), ["conv"]), ("relu", .activation(.relu), ["bn"]),
            ]),
        Case(
            "pre-activation: a batch norm without a convolution before it", channels: 5, size: (6, 6),
            [
                ("bn", normalization(5), [image]), ("relu", .activation(.relu), ["bn"]),
                ("conv", convolution(5, 7, .square(3)), ["relu"]),
            ]),
    ]
}
