// Text files that are not UTF-8: those of Windows and Excel, in 16 bits a character or in the Western code page.

/// Turns the encodings that tables come in into UTF-8.
package enum TextEncoding {
    /// The text of a file as UTF-8, and what its encoding was if it was another.
    package static func utf8(_ bytes: [UInt8]) -> (bytes: [UInt8], encoding: String?) {
        if bytes.starts(with: [0xFF, 0xFE, 0, 0]) { return (wide(bytes.dropFirst(4), bytesEach: 4), "UTF-32") }
        if bytes.starts(with: [0xFF, 0xFE]) { return (wide(bytes.dropFirst(2), bytesEach: 2), "UTF-16") }
        if bytes.starts(with: [0xFE, 0xFF]) {
            return (wide(swapped(bytes.dropFirst(2)), bytesEach: 2), "UTF-16")
        }
        // Without a mark, every other byte of Western text is 0.
        let head = bytes.prefix(64)
        if head.count >= 8, head.count.isMultiple(of: 2) {
            let zeros = head.indices.filter { head[$0] == 0 }
            if zeros.count >= head.count / 2 - 2, Set(zeros.map { $0 % 2 }).count == 1 {
                return (wide(zeros[0] % 2 == 1 ? bytes[...] : swapped(bytes[...]), bytesEach: 2), "UTF-16")
            }
        }
        if String(validating: bytes, as: UTF8.self) != nil { return (bytes, nil) }
        return (Array(String(String.UnicodeScalarView(bytes.map(windows1252))).utf8), "Windows-1252")
    }

    /// A text in the letters of the first IBM PC (code page 437), as zip archives write names.
    package static func codePage437(_ bytes: some Sequence<UInt8>) -> String {
        String(
            String.UnicodeScalarView(bytes.map { $0 < 0x80 ? Unicode.Scalar($0) : personalComputer[Int($0) - 0x80] }))
    }

    /// What 0x80 to 0xFF stand for in code page 437.
    private static let personalComputer = Array(
        ("ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐"
            + "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ").unicodeScalars)

    /// The bytes of a text in the Western code page; nil if it has other characters.
    package static func windows1252(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        for scalar in text.unicodeScalars {
            if scalar.value < 0x80 || (0xA0...0xFF).contains(scalar.value) {
                bytes.append(UInt8(scalar.value))
            } else if let place = codePage.firstIndex(of: UInt16(truncatingIfNeeded: scalar.value)), scalar.value > 0xFF
            {
                bytes.append(UInt8(0x80 + place))
            } else {
                return nil
            }
        }
        return bytes
    }

    private static func windows1252(_ byte: UInt8) -> Unicode.Scalar {
        guard (0x80..<0xA0).contains(byte) else { return Unicode.Scalar(byte) }
        return Unicode.Scalar(codePage[Int(byte) - 0x80]) ?? "\u{FFFD}"
    }

    /// What 0x80 to 0x9F stand for in Windows-1252; the five that are free stand for themselves.
    private static let codePage: [UInt16] = [
        0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008D,
        0x017D, 0x008F, 0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A,
        0x0153, 0x009D, 0x017E, 0x0178,
    ]

    private static func swapped(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var result = Array(bytes)
        for place in stride(from: 0, to: result.count - 1, by: 2) { result.swapAt(place, place + 1) }
        return result[...]
    }

    /// Little-endian units as UTF-8; a byte that is left over is dropped.
    private static func wide(_ bytes: ArraySlice<UInt8>, bytesEach: Int) -> [UInt8] {
        let bytes = Array(bytes)
        let starts = stride(from: 0, through: bytes.count - bytesEach, by: bytesEach)
        if bytesEach == 2 {
            return Array(
                String(decoding: starts.map { UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8 }, as: UTF16.self).utf8)
        }
        let units = starts.map { start in
            (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) }
        }
        return Array(String(decoding: units, as: UTF32.self).utf8)
    }
}
