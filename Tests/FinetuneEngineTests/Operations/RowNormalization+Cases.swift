// Rows of length 1.

import FinetuneEngine

extension Case {
    static let rowNormalizations = [
        Case(
            "a row brought to length 1", channels: 8, size: (4, 3),
            [("pool", .globalAveragePooling, [image]), ("unit", .rowNormalization, ["pool"])])
    ]
}
