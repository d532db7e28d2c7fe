// Numbers in fewer bits, against values worked out by hand and against the language's own type.

import Testing

@testable import FinetuneEngine
@testable import FinetunePipeline

@Suite("Rounding of features") struct FeatureRoundingTests {
    /// Powers of two written out, so that each line can be checked by hand.
    @Test(
        "to float16 takes the nearest number, of two the even one",
        arguments: [
            (0, 0), (1, 1), (-2.5, -2.5), (65504, 65504),
            // Eleven bits: 2049 lies halfway between 2048 and 2050, 2051 between 2050 and 2052.
            (2049, 2048), (2051, 2052), (-2049, -2048), (2049.01, 2050), (2050.99, 2050),
            (1 + 0x1p-11, 1), (1 + 3 * 0x1p-11, 1 + 0x1p-9), (2 - 0x1p-12, 2),
            // Below 2⁻¹⁴ the step stays 2⁻²⁴.
            (0x1p-14, 0x1p-14), (0x1p-24, 0x1p-24), (-0x1p-24, -0x1p-24), (0x1p-25, 0), (0x1.8p-25, 0x1p-24),
            (0x1.8p-24, 0x1p-23), (0x1p-26, 0), (0x1p-149, 0), (0x1p-14 - 0x1p-24, 0x1p-14 - 0x1p-24),
            (0x1p-14 - 0x1p-26, 0x1p-14), (0x1p-14 - 0x1p-25, 0x1p-14),
            // Saturation.
            (65519, 65504), (65520, 65504), (65536, 65504), (-1e30, -65504), (.infinity, 65504), (-.infinity, -65504),
        ] as [(Float, Float)])
    func float16(_ value: Float, _ expected: Float) { #expect(rounded([value], .float16) == [expected]) }

    @Test(
        "to bfloat16 takes the nearest number, of two the even one",
        arguments: [
            (0, 0), (1, 1), (-2.5, -2.5), (65504, 65536),
            // Eight bits: 257 lies halfway between 256 and 258, 259 between 258 and 260.
            (257, 256), (259, 260), (-257, -256), (257.01, 258), (258.99, 258),
            (1 + 0x1p-8, 1), (1 + 3 * 0x1p-8, 1 + 0x1p-6), (2 - 0x1p-10, 2),
            (0x1p-133, 0x1p-133), (0x1p-134, 0), (0x1.8p-134, 0x1p-133), (0x1p-149, 0),
            (0x1.fep127, 0x1.fep127), (.greatestFiniteMagnitude, .infinity), (.infinity, .infinity),
            (-.infinity, -.infinity),
        ] as [(Float, Float)])
    func bfloat16(_ value: Float, _ expected: Float) { #expect(rounded([value], .bfloat16) == [expected]) }

    @Test("keeps a NaN one, and the sign of zero", arguments: Element.allCases)
    func special(_ element: Element) {
        let patterns: [UInt32] = [0x7fc0_0000, 0x7f80_0001, 0x7fff_ffff, 0xff80_0001, 0xffff_ffff]
        for pattern in patterns {
            let value = rounded([Float(bitPattern: pattern)], element)[0]
            #expect(value.isNaN && value.sign == (pattern >> 31 == 1 ? .minus : .plus))
        }
        #expect(rounded([-0.0], element)[0].bitPattern == 0x8000_0000)
    }

    @Test("leaves every number that either type has as it is")
    func all() {
        for pattern in UInt16.min...UInt16.max {
            let half = Element.fromFloat16(pattern)
            let expected = Float(Float16(bitPattern: pattern))
            let brain = Float(bitPattern: UInt32(pattern) << 16)
            if expected.isNaN { #expect(half.isNaN) } else { #expect(half == expected) }
            if expected.isFinite { #expect(Element.toFloat16(half) == pattern) }
            if !brain.isNaN { #expect(BFloat16.bits(of: brain) == pattern) }
        }
    }

    @Test("agrees with the language's own half precision")
    func language() {
        var (pattern, differences) = (UInt32(0), 0)
        for _ in 0..<300_000 {
            pattern = pattern &* 1_664_525 &+ 1_013_904_223
            let value = Float(bitPattern: 0x3000_0000 + pattern >> 3 | pattern << 31)
            let expected = Float16(max(-65504, min(65504, value)))
            if Element.toFloat16(value) != expected.bitPattern { differences += 1 }
        }
        #expect(differences == 0)
    }
}
