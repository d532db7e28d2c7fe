// Text of strangers as HTML, SVG and attribute values. https://html.spec.whatwg.org/multipage/parsing.html

enum Escaping {
    /// The text with everything escaped that means something to HTML, between tags as well as between quotes.
    ///
    /// It goes scalar by scalar: a quote followed by a combining mark is one `Character` and still a quote to a browser.
    static func html(_ text: String) -> String {
        var out = ""
        out.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            case "'": out += "&#39;"
            case _ where isUnfit(scalar): out += "\u{FFFD}"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    /// Controls other than tab and line feed, those that turn the direction of text around, and no characters at all.
    private static func isUnfit(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A: false
        case 0..<0x20, 0x7F...0x9F, 0x202A...0x202E, 0x2066...0x2069, 0xFDD0...0xFDEF: true
        case let value: value & 0xFFFE == 0xFFFE
        }
    }
}
