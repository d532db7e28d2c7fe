// Shortcuts and other sums.

import FinetuneEngine

extension Case {
    static let additions = [
        Case(
            "an identity shortcut", channels: 16, size: (8, 8),
            [
                ("first", convolution(16, 16, .square(1)), [image]), ("relu", .activation(.relu), ["first"]),
                ("conv1", convolution(16, 16, .square(3, padding: 1)), ["relu"]), ("bn1", normalization(16), ["conv1"]),
                ("relu1", .activation(.relu), ["bn1"]),
                ("conv2", convolution(16, 16, .square(3, padding: 1)), ["relu1"]),
                ("bn2", normalization(16), ["conv2"]),
                ("add", .addition, ["bn2", "relu"]), ("out", .activation(.relu), ["add"]),
            ]),
        Case(
            "a projection shortcut, either order of the sum", channels: 8, size: (9, 9),
            [
                ("first", convolution(8, 8, .square(1)), [image]),
                ("main", convolution(8, 20, .square(3, stride: 2, padding: 1)), ["first"]),
                ("bnm", normalization(20), ["main"]),
                ("side", convolution(8, 20, .square(1, stride: 2)), ["first"]), ("bns", normalization(20), ["side"]),
                ("add", .addition, ["bnm", "bns"]), ("out", .activation(.relu), ["add"]),
            ]),
        Case(
            "a residual that is read again later", channels: 16, size: (6, 6),
            [
                ("a", convolution(16, 16, .square(1)), [image]), ("b", convolution(16, 16, .square(1)), ["a"]),
                ("sum", .addition, ["b", "a"]), ("sum2", .addition, ["sum", "a"]),
            ]),
    ]
}
