// Convolutions of every window, group and padding.

import FinetuneEngine

extension Case {
    static let convolutions = [
        Case(
            "a convolution with bias and odd channels", channels: 3, size: (9, 7),
            [
                ("conv", convolution(3, 5, .square(3, padding: 1), hasBias: true), [image])
            ]),
        Case(
            "a strided convolution with TensorFlow's padding", channels: 3, size: (10, 7),
            [
                ("conv", convolution(3, 8, Window(3, 3, stride: 2, padding: .same)), [image])
            ]),
        Case(
            "a dilated convolution", channels: 4, size: (11, 9),
            [
                ("conv", convolution(4, 6, Window(3, 3, dilation: 2, padding: .edges(.all(2)))), [image])
            ]),
        Case(
            "a grouped convolution", channels: 8, size: (8, 8),
            [
                ("conv", convolution(8, 12, .square(3, padding: 1), groups: 4), [image])
            ]),
        Case(
            "a convolution wide enough for Winograd", channels: 32, size: (14, 14),
            [
                ("conv", convolution(32, 48, .square(3, padding: 1)), [image])
            ]),
    ]
}
