// Numbers as a page shows them: a real minus, thin spaces between thousands, a dash for what is no number.

internal import FinetuneFiles
internal import Glibc

extension Report {
    /// What stands where a number is missing.
    package static let noNumber = "–"

    /// A number with so many decimal places; a dash for NaN, infinities and nil.
    package static func number(_ value: Double?, places: Int = 2) -> String {
        guard let value, value.isFinite else { return noNumber }
        guard value == 0 || (1e-9..<1e15).contains(abs(value)) else { return scientific(value) }
        return grouped(value.rounded(toPlaces: places))
    }

    /// A share as a percentage; a dash for NaN, infinities and nil.
    package static func percent(_ share: Double?, places: Int = 1) -> String {
        guard let share, share.isFinite else { return noNumber }
        return number(share * 100, places: places) + "\u{00A0}%"
    }

    /// A whole number with thin spaces between its thousands.
    package static func count(_ value: Int) -> String { grouped(String(value)) }

    /// `2.5e−7`.
    static func scientific(_ value: Double) -> String {
        guard value.isFinite, value != 0 else { return value == 0 ? "0" : noNumber }
        var exponent = Int(log10(abs(value)).rounded(.down))
        var digits = (abs(value) / pow(10, Double(exponent)) * 10).rounded() / 10
        if digits >= 10 { (digits, exponent) = (digits / 10, exponent + 1) }
        let places = digits == digits.rounded() ? 0 : 1
        return grouped((value < 0 ? "-" : "") + digits.rounded(toPlaces: places)) + "e" + grouped(String(exponent))
    }

    private static func grouped(_ text: String) -> String {
        let isNegative = text.hasPrefix("-")
        let parts = text.drop { $0 == "-" }.split(separator: ".", maxSplits: 1)
        let whole = Array(parts.first ?? "0")
        var out = isNegative ? "−" : ""
        for (index, digit) in whole.enumerated() {
            if whole.count > 4, index > 0, (whole.count - index) % 3 == 0 { out += "\u{202F}" }
            out.append(digit)
        }
        return parts.count > 1 ? out + "." + parts[1] : out
    }
}
