// From luma and chroma to red, green and blue: ITU-T H.273, whose numbers HEIC carries.

internal import CFinetuneHEIF

/// What three numbers of 8 bits mean as a color.
struct ColorMatrix {
    private enum Kind: Equatable {
        case identity
        /// The parts of red and blue in luma.
        case weights(red: Float, blue: Float)
    }

    private let kind: Kind
    /// Whether numbers use all of their range, or leave room at both ends as video does.
    private let isFull: Bool

    /// - Parameter colors: Nil if neither container nor stream says anything: ITU-R BT.601 in full range then.
    init(_ colors: heif_color_profile_nclx?) {
        isFull = colors.map { $0.full_range_flag != 0 } ?? true
        kind =
            switch colors?.matrix_coefficients {
            case heif_matrix_coefficients_RGB_GBR: .identity
            case heif_matrix_coefficients_ITU_R_BT_709_5: .weights(red: 0.2126, blue: 0.0722)
            case heif_matrix_coefficients_US_FCC_T47: .weights(red: 0.30, blue: 0.11)
            case heif_matrix_coefficients_SMPTE_240M: .weights(red: 0.212, blue: 0.087)
            case heif_matrix_coefficients_ITU_R_BT_2020_2_non_constant_luminance,
                heif_matrix_coefficients_ITU_R_BT_2020_2_constant_luminance:
                .weights(red: 0.2627, blue: 0.0593)
            default: .weights(red: 0.299, blue: 0.114)
            }
    }

    private static func level(_ value: Float) -> UInt8 { UInt8(min(max(value.rounded(), 0), 255)) }

    /// A shade of gray.
    func shade(_ luma: UInt8) -> UInt8 { isFull ? luma : Self.level((Float(luma) - 16) * 255 / 219) }

    /// The color of luma and two chroma numbers of 8 bits.
    func color(_ luma: Int, _ blueness: Int, _ redness: Int) -> (UInt8, UInt8, UInt8) {
        guard case .weights(let red, let blue) = kind else {
            return (UInt8(clamping: redness), UInt8(clamping: luma), UInt8(clamping: blueness))
        }
        let y = isFull ? Float(luma) : (Float(luma) - 16) * 255 / 219
        let scale: Float = isFull ? 1 : 255 / 224
        let (cb, cr) = (Float(blueness - 128) * scale, Float(redness - 128) * scale)
        let (r, b) = (y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb)
        return (Self.level(r), Self.level((y - red * r - blue * b) / (1 - red - blue)), Self.level(b))
    }

    /// The color of red, green and blue of more than 8 bits that were made from luma and chroma of as many: these are found
    /// again, cut to 8 bits and made into a color.
    func narrowed(red: Int, green: Int, blue: Int, bits: Int) -> (UInt8, UInt8, UInt8) {
        guard case .weights(let redWeight, let blueWeight) = kind else {
            return (
                UInt8(clamping: red >> (bits - 8)), UInt8(clamping: green >> (bits - 8)),
                UInt8(clamping: blue >> (bits - 8))
            )
        }
        let unit = Float(1 << (bits - 8))
        let (r, g, b) = (Float(red), Float(green), Float(blue))
        let y = redWeight * r + (1 - redWeight - blueWeight) * g + blueWeight * b
        let (cb, cr) = ((b - y) / (2 * (1 - blueWeight)), (r - y) / (2 * (1 - redWeight)))
        let (luma, scale) = isFull ? (y, 1) : (y * 219 / 255 + 16 * unit, Float(224) / 255)
        func cut(_ value: Float) -> Int { Int((value.rounded() / unit).rounded(.down)) }
        return color(cut(luma), cut(cb * scale + 128 * unit), cut(cr * scale + 128 * unit))
    }
}
