// TrivialAugment (Mueller and Hutter 2021): one operation of fourteen, at one strength of thirty-one, and nothing to
// tune. The wide space, as torchvision's `TrivialAugmentWide` has it.

internal import FinetuneFiles

/// Draws the one operation of a picture.
enum TrivialAugment {
    /// Strengths that an operation may have.
    static let bins = 31

    /// Every operation is as likely as every other, nothing at all among them; then every strength; then, where it
    /// has one, either sign.
    ///
    /// - Returns: Nil for no change.
    static func draw(_ random: inout RandomNumbers) -> PictureOperation? {
        func magnitude(_ last: Float) -> Double {
            let drawn = evenly(to: last, bin(&random))
            return random.next(upperBound: UInt64(2)) == 1 ? -drawn : drawn
        }
        switch random.next(upperBound: UInt64(14)) {
        case 0: return .shearX(magnitude(0.99))
        case 1: return .shearY(magnitude(0.99))
        // Whole pixels whatever the picture's size; fractions are cut off.
        case 2: return .translateX(Int(magnitude(32)))
        case 3: return .translateY(Int(magnitude(32)))
        case 4: return .rotate(degrees: magnitude(135))
        case 5: return .brightness(1 + magnitude(0.99))
        case 6: return .saturation(1 + magnitude(0.99))
        case 7: return .contrast(1 + magnitude(0.99))
        case 8: return .sharpness(1 + magnitude(0.99))
        case 9: return .posterize(bits: bits(bin(&random)))
        case 10: return .solarize(from: threshold(bin(&random)))
        case 11: return .autocontrast
        case 12: return .equalize
        default: return nil
        }
    }

    private static func bin(_ random: inout RandomNumbers) -> Int {
        Int(random.next(upperBound: UInt64(bins)))
    }

    /// The numbers of `torch.linspace(0, last, 31)` in 32 bits: counted from the nearer end and rounded once, which
    /// decides that the middle of 0 to 32 is 15 whole pixels.
    static func evenly(to last: Float, _ bin: Int) -> Double {
        let step = last / Float(bins - 1)
        return Double(bin < bins / 2 ? step * Float(bin) : last.addingProduct(-step, Float(bins - 1 - bin)))
    }

    /// 8 bits of a level down to 2.
    static func bits(_ bin: Int) -> Int { 8 - (bin + 2) / 5 }

    /// The level from which on a picture is inverted: 255 down to 0.
    static func threshold(_ bin: Int) -> Double { 255 - 8.5 * Double(bin) }
}
