// Poolings, with zeros before them and without.

import FinetuneEngine

extension Case {
    static let poolings = [
        Case(
            "max pooling that pads with minus infinity", channels: 4, size: (9, 8),
            [
                ("conv", convolution(4, 16, .square(1), hasBias: true), [image]),
                ("pool", .maxPooling(.square(3, stride: 2, padding: 1)), ["conv"]),
            ]),
        Case(
            "zero padding before max pooling of numbers that may be negative", channels: 4, size: (9, 8),
            [
                ("conv", convolution(4, 16, .square(1), hasBias: true), [image]),
                ("pad", .zeroPadding(.all(1)), ["conv"]), ("pool", .maxPooling(.square(3, stride: 2)), ["pad"]),
            ]),
        Case(
            "zero padding before max pooling after a ReLU", channels: 4, size: (9, 8),
            [
                ("conv", convolution(4, 16, .square(1), hasBias: true), [image]),
                ("relu", .activation(.relu), ["conv"]),
                ("pad", .zeroPadding(.all(1)), ["relu"]), ("pool", .maxPooling(.square(3, stride: 2)), ["pad"]),
            ]),
        Case(
            "average pooling without the padding", channels: 3, size: (7, 7),
            [
                ("pool", .averagePooling(.square(2, stride: 2, padding: 1), countsPadding: false), [image])
            ]),
        Case(
            "average pooling with the padding", channels: 16, size: (7, 7),
            [
                ("pool", .averagePooling(.square(2, stride: 2, padding: 1), countsPadding: true), [image])
            ]),
    ]
}
