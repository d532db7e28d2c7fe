// Numbers of every type that files hold.

import FinetuneEngine
import Testing

@testable import FinetuneCheckpoints

@Suite("Number types") struct ElementTypeTests {
    @Test(
        "become floats as NumPy makes them",
        arguments: [
            ("float16", [0x00, 0x3C, 0xFF, 0x7B, 0x01, 0x00], [1, 65504, 5.960464477539063e-08]),
            ("bfloat16", [0x80, 0x3F, 0x49, 0x40], [1, 3.140625]),
            ("float64", [0, 0, 0, 0, 0, 0, 0xF8, 0x3F], [1.5]),
            ("int64", [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [-2]), ("bool", [0, 1, 2], [0, 1, 1]),
            ("int8", [0xFF], [-1]), ("uint16", [1, 1], [257]),
        ] as [(String, [UInt8], [Float])])
    func conversions(_ name: String, _ bytes: [UInt8], _ expected: [Float]) throws {
        let type = try #require(ElementType(rawValue: name))
        let tensor = Tensor.unsafelyFilled(shape: [expected.count]) { floats in
            bytes.withUnsafeBytes { type.convert($0, into: floats) }
        }
        #expect(tensor.values == expected)
    }
}
