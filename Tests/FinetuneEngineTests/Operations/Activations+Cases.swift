// Every activation after every operation that it fuses with, and on rows.

import FinetuneEngine

extension Case {
    static let activations = activationsInARow + activationsAlone + activationsFused

    private static let activationsInARow = [
        Case(
            "activations in a row", channels: 3, size: (64, 64),
            [
                ("a", convolution(3, 3, .square(1), hasBias: true), [image]), ("gelu", .activation(.gelu), ["a"]),
                ("silu", .activation(.silu), ["gelu"]), ("relu6", .activation(.relu6), ["silu"]),
                ("b", convolution(3, 3, .square(3, padding: 1), hasBias: true), ["relu6"]),
                ("gate", .activation(.silu), ["b"]), ("end", .activation(.relu6), ["gate"]),
            ])
    ]

    private static let activationsAlone = Activation.allCases.map { activation in
        Case(
            "\(activation) over an image and on rows", channels: 3, size: (5, 6),
            [
                ("conv", convolution(3, 5, .square(3, padding: 1)), [image]),
                ("over", .activation(activation), ["conv"]), ("pool", .globalAveragePooling, ["over"]),
                ("fc", .dense(inputs: 5, outputs: 6, hasBias: true), ["pool"]),
                ("row", .activation(activation), ["fc"]),
            ])
    }

    private static let activationsFused = Activation.allCases.map { activation in
        Case(
            "\(activation) after a sum and after a pooling", channels: 4, size: (6, 6),
            [
                ("a", convolution(4, 16, .square(1)), [image]),
                ("b", convolution(4, 16, .square(3, padding: 1)), [image]),
                ("bn", normalization(16), ["b"]), ("sum", .addition, ["bn", "a"]),
                ("first", .activation(activation), ["sum"]),
                ("pool", .averagePooling(.square(2, stride: 2), countsPadding: true), ["first"]),
                ("second", .activation(activation), ["pool"]),
            ])
    }
}
