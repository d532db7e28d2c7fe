// What copies pixels and channels: subsampling and zeros around channels.

import FinetuneEngine

extension Case {
    static let copies = [
        Case(
            "a parameter-free shortcut of the CIFAR networks", channels: 6, size: (9, 7),
            [
                ("main", convolution(6, 12, .square(3, stride: 2, padding: 1)), [image]),
                ("sub", .subsampling(step: 2), [image]), ("pad", .channelPadding(before: 3, after: 3), ["sub"]),
                ("add", .addition, ["main", "pad"]), ("out", .activation(.relu), ["add"]),
            ])
    ]
}
