// Numbers as people read them.

internal import Glibc

extension Double {
    /// The number as text with so many decimal places; as it is where it has no such digits.
    package func rounded(toPlaces places: Int) -> String {
        let scale = pow(10, Double(places))
        guard isFinite, abs(self) * scale < 1e18 else { return "\(self)" }
        let whole = Int((abs(self) * scale).rounded())
        let text = (self < 0 && whole > 0 ? "-" : "") + String(whole / Int(scale))
        guard places > 0 else { return text }
        let fraction = String(whole % Int(scale))
        return text + "." + String(repeating: "0", count: places - fraction.count) + fraction
    }

    /// The number as text with so many digits that count, such as `0.00928` with three; whole digits all stay.
    package func rounded(toDigits digits: Int) -> String {
        guard isFinite, self != 0 else { return "\(self)" }
        return rounded(toPlaces: min(max(0, digits - 1 - Int(log10(abs(self)).rounded(.down))), 15))
    }

    /// A share as a percentage with one decimal place.
    package var percent: String { "\((self * 100).rounded(toPlaces: 1)) %" }
}

extension Int {
    /// A number of bytes, 0 or more, in the largest unit of which there is about one.
    package var bytesText: String {
        var (value, power) = (Double(self), 0)
        while value >= 1000, power < 4 { (value, power) = (value / 1024, power + 1) }
        return power == 0 ? "\(self) bytes" : "\(value.rounded(toPlaces: 1)) \(["KiB", "MiB", "GiB", "TiB"][power - 1])"
    }
}

extension Int {
    /// The number with what it counts: `1 image`, `2 images`, `2 classes`.
    ///
    /// - Parameters:
    ///   - noun: In the singular.
    ///   - plural: If the plural has more than an s at its end.
    package func counted(_ noun: String, _ plural: String? = nil) -> String {
        "\(self) \(self == 1 ? noun : plural ?? noun + "s")"
    }
}
