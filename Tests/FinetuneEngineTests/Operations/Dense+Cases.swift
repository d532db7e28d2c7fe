// Dense layers on the means of channels and on all pixels.

import FinetuneEngine

extension Case {
    static let denseLayers = [
        Case(
            "global pooling and a dense layer", channels: 20, size: (5, 6),
            [
                ("relu", .activation(.relu), [image]), ("pool", .globalAveragePooling, ["relu"]),
                ("fc", .dense(inputs: 20, outputs: 7, hasBias: true), ["pool"]),
            ]),
        Case(
            "a dense layer on a flattened image", channels: 4, size: (3, 2),
            [
                ("conv", convolution(4, 6, .square(1)), [image]), ("flat", .flatten, ["conv"]),
                ("fc1", .dense(inputs: 36, outputs: 9, hasBias: false), ["flat"]),
                ("relu", .activation(.relu), ["fc1"]),
                ("fc2", .dense(inputs: 9, outputs: 4, hasBias: true), ["relu"]),
            ]),
    ]
}
