// A configuration that another library wrote: every member is followed, refused, known to change nothing, or named.

internal import FinetuneFiles

/// Reads the members of a JSON object and keeps account of those that were asked for.
struct ConfigurationReader {
    /// The document, for messages, such as `config.json`.
    let source: String
    private let json: JSON
    private var known: Set<String> = []

    init(_ json: JSON, source: String) { (self.json, self.source) = (json, source) }

    /// The member, which counts as followed from now on; nil if it is missing or null.
    subscript(key: String) -> JSON? {
        mutating get {
            known.insert(key)
            let value = json[key]
            return value == .null ? nil : value
        }
    }

    func has(_ key: String) -> Bool { json[key] != nil && json[key] != .null }

    /// Members that change nothing here.
    mutating func ignore(_ keys: Set<String>) { known.formUnion(keys) }

    /// Members that nothing is known of, in the order of the document; those that are null or empty say nothing.
    var unknown: [String] {
        (json.members ?? []).filter {
            !known.contains($0.key) && $0.value != .null && $0.value != [] && $0.value != .object([])
        }
        .map(\.key)
    }

    /// The warning about members that nothing is known of; nil if there are none.
    var warning: String? {
        let names = unknown
        guard !names.isEmpty else { return nil }
        let list = names.prefix(12).joined(separator: ", ") + (names.count > 12 ? " and \(names.count - 12) more" : "")
        return "\(source) has keys that are not known here and not followed: \(list)."
    }

    // MARK: Values of a kind

    /// A value that does not fit.
    struct Misfit: Error {
        let reason: String
    }

    func misfit(_ key: String, _ value: JSON, _ expected: String) -> Misfit {
        Misfit(reason: "\(source) has \(key) \(String(value.text.prefix(80))); expected \(expected)")
    }

    mutating func text(_ key: String) throws -> String? {
        guard let value = self[key] else { return nil }
        guard let text = value.stringValue else { throw misfit(key, value, "a text") }
        return text
    }

    mutating func flag(_ key: String) throws -> Bool? {
        guard let value = self[key] else { return nil }
        guard let flag = value.boolValue ?? value.intValue.flatMap({ $0 == 0 ? false : $0 == 1 ? true : nil }) else {
            throw misfit(key, value, "true or false")
        }
        return flag
    }

    mutating func number(_ key: String, in range: ClosedRange<Double>) throws -> Double? {
        guard let value = self[key] else { return nil }
        guard let number = value.doubleValue, range.contains(number) else {
            throw misfit(key, value, "a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    mutating func whole(_ key: String, in range: ClosedRange<Int>) throws -> Int? {
        guard let value = self[key] else { return nil }
        guard let number = value.intValue, range.contains(number) else {
            throw misfit(key, value, "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// One number for each channel, or one for all.
    mutating func channels(_ key: String, _ count: Int, in range: ClosedRange<Double>) throws -> [Double]? {
        guard let value = self[key] else { return nil }
        let numbers = value.allNumbers ?? []
        guard numbers.count == count || numbers.count == 1, numbers.allSatisfy(range.contains) else {
            throw misfit(
                key, value,
                "\(count == 1 ? "a number" : "\(count) numbers") from \(range.lowerBound) to \(range.upperBound)")
        }
        return numbers.count == count ? numbers : Array(repeating: numbers[0], count: count)
    }
}
