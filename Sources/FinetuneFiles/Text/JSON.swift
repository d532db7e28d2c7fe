// JSON as data: a value, a limited reader for files that nobody vouches for, and a writer.
// RFC 8259, plus the tokens NaN, Infinity and -Infinity that Python's json module writes.

/// A JSON value. Objects keep the order of their keys.
public enum JSON: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([Member])

    /// One `"key": value` of an object.
    public struct Member: Sendable, Equatable {
        /// The name.
        public var key: String
        /// What it has.
        public var value: JSON

        /// A name and what it has.
        public init(_ key: String, _ value: JSON) {
            self.key = key
            self.value = value
        }
    }
}

// MARK: - Looking inside

extension JSON {
    /// The value under `key`, or nil where this is no object or has no such key.
    public subscript(key: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    /// The text; nil for anything else.
    public var stringValue: String? {
        guard case .string(let value) = self else { return nil }
        return value
    }

    /// True or false; nil for anything else.
    public var boolValue: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    /// A whole number; `3.0` counts as one.
    public var intValue: Int? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int(exactly: value)
        default: nil
        }
    }

    /// A number, whole or not; nil for anything else.
    public var doubleValue: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// The elements; nil where this is no array.
    public var arrayValue: [JSON]? {
        guard case .array(let values) = self else { return nil }
        return values
    }

    /// The members in the order of the text; nil where this is no object.
    public var members: [Member]? {
        guard case .object(let members) = self else { return nil }
        return members
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSON)...) { self = .object(elements.map(Member.init)) }

    /// An array of texts.
    public init(_ values: [String]) { self = .array(values.map { .string($0) }) }
    /// An array of whole numbers.
    public init(_ values: [Int]) { self = .array(values.map { .integer($0) }) }
    /// An array of numbers.
    public init(_ values: [Double]) { self = .array(values.map { .number($0) }) }
}

// MARK: - Writing

extension JSON {
    /// The value as JSON text on one line. Numbers that JSON cannot hold (NaN, infinities) become `null`.
    public var text: String {
        var out = ""
        write(to: &out, indentation: nil)
        return out
    }

    /// The value as JSON text with two spaces a level, for files that people open.
    public var prettyText: String {
        var out = ""
        write(to: &out, indentation: 0)
        out += "\n"
        return out
    }

    private func write(to out: inout String, indentation: Int?) {
        switch self {
        case .null: out += "null"
        case .bool(let value): out += value ? "true" : "false"
        case .integer(let value): out += String(value)
        case .number(let value): out += value.isFinite ? "\(value)" : "null"
        case .string(let value): JSON.quote(value, to: &out)
        case .array(let values):
            JSON.writeList("[", "]", values, to: &out, indentation: indentation) { value, out, inner in
                value.write(to: &out, indentation: inner)
            }
        case .object(let members):
            JSON.writeList("{", "}", members, to: &out, indentation: indentation) { member, out, inner in
                JSON.quote(member.key, to: &out)
                out += inner == nil ? ":" : ": "
                member.value.write(to: &out, indentation: inner)
            }
        }
    }

    private static func writeList<Element>(
        _ open: String, _ close: String, _ elements: [Element], to out: inout String, indentation: Int?,
        _ write: (Element, inout String, Int?) -> Void
    ) {
        out += open
        for (index, element) in elements.enumerated() {
            if index > 0 { out += "," }
            if let indentation { out += "\n" + String(repeating: "  ", count: indentation + 1) }
            write(element, &out, indentation.map { $0 + 1 })
        }
        if let indentation, !elements.isEmpty { out += "\n" + String(repeating: "  ", count: indentation) }
        out += close
    }

    private static func quote(_ text: String, to out: inout String) {
        out += "\""
        for scalar in text.withoutStandIns.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case _ where scalar.value < 0x20:
                out += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: out.unicodeScalars.append(scalar)
            }
        }
        out += "\""
    }
}
