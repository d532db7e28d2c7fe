// File names are bytes, which need not be UTF-8; a path in this program is text. Both ways between them, nothing lost.

/// Names that are UTF-8 stand for themselves. A byte that is part of no UTF-8 character is kept as the code point
/// U+10FF00 plus that byte, of a private plane: the idea of Python's `surrogateescape` (PEP 383), whose surrogates a
/// Swift string cannot hold.
extension Path {
    private static let standIns: ClosedRange<UInt32> = 0x10FF80...0x10FFFF

    /// The text of a name or path as the system gives it.
    package static func text(of bytes: some Collection<UInt8>) -> String {
        if let text = String(validating: bytes, as: UTF8.self), !hasStandIns(text) { return text }
        var text = String.UnicodeScalarView()
        var parser = Unicode.UTF8.ForwardParser()
        var iterator = bytes.makeIterator()
        var rest = bytes[...]
        func append(standInsOf count: Int) {
            for byte in rest.prefix(count) { Unicode.Scalar(0x10FF00 + UInt32(byte)).map { text.append($0) } }
        }
        while true {
            switch parser.parseScalar(from: &iterator) {
            case .valid(let encoded):
                let scalar = Unicode.UTF8.decode(encoded)
                // A name that has such a code point itself is kept byte by byte, so that none means two things.
                if standIns.contains(scalar.value) { append(standInsOf: encoded.count) } else { text.append(scalar) }
                rest = rest.dropFirst(encoded.count)
            case .error(let count):
                append(standInsOf: count)
                rest = rest.dropFirst(count)
            case .emptyInput: return String(text)
            }
        }
    }

    /// The bytes of a path as the system wants them.
    package static func bytes(of path: String) -> [UInt8] {
        guard hasStandIns(path) else { return Array(path.utf8) }
        return path.unicodeScalars.flatMap { scalar -> [UInt8] in
            standIns.contains(scalar.value) ? [UInt8(truncatingIfNeeded: scalar.value)] : Array(String(scalar).utf8)
        }
    }

    /// Calls `body` with a path as a C string.
    package static func withCString<Result>(_ path: String, _ body: (UnsafePointer<CChar>) throws -> Result) rethrows
        -> Result
    {
        guard hasStandIns(path) else { return try path.withCString(body) }
        return try body(bytes(of: path).map { CChar(bitPattern: $0) } + [0])
    }

    /// All stand-ins begin with the same two bytes in UTF-8.
    private static func hasStandIns(_ text: String) -> Bool {
        var before: UInt8 = 0
        for byte in text.utf8 {
            if before == 0xF4, byte == 0x8F { return true }
            before = byte
        }
        return false
    }
}

extension String {
    /// The text as a terminal may show it: control characters, which move cursors and ring bells, and those that turn
    /// the direction of writing, as `\u{1B}`; bytes of names that are not UTF-8 as `\xE9`.
    ///
    /// - Parameter keepsLines: Whether line ends and tabs stay.
    package func printable(keepsLines: Bool = false) -> String {
        guard unicodeScalars.contains(where: { Self.escape($0, keepsLines) != nil }) else { return self }
        return unicodeScalars.reduce(into: "") { text, scalar in
            if let escaped = Self.escape(scalar, keepsLines) {
                text += escaped
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
    }

    private static func escape(_ scalar: Unicode.Scalar, _ keepsLines: Bool) -> String? {
        switch scalar.value {
        case 0x09, 0x0A: keepsLines ? nil : scalar == "\n" ? "\\n" : "\\t"
        case 0..<0x20, 0x7F..<0xA0, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069:
            "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
        case 0x10FF80...0x10FFFF: "\\x" + String(scalar.value & 0xFF, radix: 16, uppercase: true)
        default: nil
        }
    }

    /// The text with bytes of names that are not UTF-8 as `\xE9`, for files, which hold text.
    package var withoutStandIns: String {
        utf8.contains(0xF4)
            ? unicodeScalars.reduce(into: "") { text, scalar in
                if (0x10FF80...0x10FFFF).contains(scalar.value) {
                    text += Self.escape(scalar, true) ?? ""
                } else {
                    text.unicodeScalars.append(scalar)
                }
            } : self
    }
}
