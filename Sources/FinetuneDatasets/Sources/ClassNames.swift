// Names of classes that are most likely meant as one: they differ by case, by blanks, or as numbers are written.

internal import FinetuneFiles

enum ClassNames {
    /// A name without what people write now this way, now that. Two names with the same key are suspicious.
    static func key(of name: String) -> String {
        let trimmed = name.trimmed
        if let number = Double(trimmed), number.isFinite, !trimmed.lowercased().hasPrefix("0x") {
            return "number \(number)"
        }
        let visible = String(String.UnicodeScalarView(trimmed.unicodeScalars.filter { !isInvisible($0) }))
        return visible.split(whereSeparator: \.isWhitespace).joined(separator: " ").lowercased()
    }

    /// Whether a character has no width: joiners, marks of direction, soft hyphens.
    private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.generalCategory == .format }

    /// A finding for each set of names that hardly differ.
    static func similar(_ classes: [String]) -> [Finding] {
        var groups: [String: [String]] = [:]
        for name in classes { groups[key(of: name), default: []].append(name) }
        return groups.filter { $0.value.count > 1 }.sorted { $0.key < $1.key }.map { _, names in
            let listed = names.prefix(6).map { "'\($0)'" }.joined(separator: ", ") + (names.count > 6 ? ", …" : "")
            return Finding(
                .similarClasses, names,
                "The classes \(listed) differ only \(difference(names)), and are taken as \(names.count) classes. If they are one, give them one name."
            )
        }
    }

    private static func difference(_ names: [String]) -> String {
        if Double(names[0].trimmed) != nil { return "in how a number is written" }
        if names.contains(where: { $0.unicodeScalars.contains(where: isInvisible) }) {
            return "by invisible characters"
        }
        return Set(names.map { $0.lowercased() }).count == 1 ? "by case" : "by blanks or case"
    }
}

extension String {
    /// The text without blanks and control characters at its ends.
    var trimmed: String {
        let isBlank = { (character: Character) in character.isWhitespace || character == "\u{FEFF}" || character == "\0"
        }
        guard let first = firstIndex(where: { !isBlank($0) }), let last = lastIndex(where: { !isBlank($0) }) else {
            return ""
        }
        return first == startIndex && index(after: last) == endIndex ? self : String(self[first...last])
    }
}
