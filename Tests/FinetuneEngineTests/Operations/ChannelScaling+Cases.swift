// A squeeze-and-excitation.

import FinetuneEngine

extension Case {
    static let channelScalings = [
        Case(
            "squeeze and excitation", channels: 3, size: (9, 8),
            [
                ("conv", convolution(3, 20, .square(3, padding: 1)), [image]), ("bn", normalization(20), ["conv"]),
                ("squeeze", .globalAveragePooling, ["bn"]),
                ("reduce", .dense(inputs: 20, outputs: 6, hasBias: true), ["squeeze"]),
                ("relu", .activation(.relu), ["reduce"]),
                ("expand", .dense(inputs: 6, outputs: 20, hasBias: true), ["relu"]),
                ("gate", .activation(.sigmoid), ["expand"]), ("scale", .channelScaling, ["bn", "gate"]),
                ("short", convolution(3, 20, .square(1)), [image]), ("add", .addition, ["scale", "short"]),
                ("out", .activation(.relu), ["add"]),
            ])
    ]
}
