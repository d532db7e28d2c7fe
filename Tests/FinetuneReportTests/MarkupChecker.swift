// A checker of tags: every element is closed in its place, every attribute has its value between quotes.

struct MarkupChecker {
    private(set) var faults: [String] = []
    private(set) var elements: [String] = []

    private static let void: Set<String> = ["meta", "link", "img", "br"]

    init(_ html: String) {
        var open: [String] = []
        var rest = html.utf8[...]
        while let start = rest.firstIndex(of: UInt8(ascii: "<")) {
            rest = rest[rest.index(after: start)...]
            guard let end = Self.end(of: rest) else {
                faults.append("a tag without an end: \(String(rest.prefix(40)) ?? "")")
                return
            }
            let tag = String(rest[..<end]) ?? ""
            rest = rest[rest.index(after: end)...]
            if tag.hasPrefix("!") { continue }
            let name = String(tag.drop { $0 == "/" }.prefix { $0.isLetter || $0.isNumber })
            if tag.hasPrefix("/") {
                if open.popLast() != name { faults.append("</\(name)> closes another element") }
            } else {
                elements.append(name)
                if !Self.hasWellFormedAttributes(tag.dropFirst(name.count)) {
                    faults.append("odd attributes: <\(tag)>")
                }
                if !tag.hasSuffix("/"), !Self.void.contains(name) { open.append(name) }
            }
            // What is in a style sheet are no tags.
            if name == "style", !tag.hasPrefix("/"), let close = rest.firstIndex(of: UInt8(ascii: "<")) {
                rest = rest[close...]
            }
        }
        if !open.isEmpty { faults.append("never closed: \(open)") }
    }

    /// Where the tag ends; a `>` between quotes is not its end.
    private static func end(of text: Substring.UTF8View) -> Substring.UTF8View.Index? {
        var isQuoted = false
        return text.indices.first { index in
            if text[index] == UInt8(ascii: "\"") { isQuoted.toggle() }
            return text[index] == UInt8(ascii: ">") && !isQuoted
        }
    }

    /// ` name="value"` any number of times; `open` and the slash at the end have no value.
    private static func hasWellFormedAttributes(_ text: Substring) -> Bool {
        var rest = text
        while let first = rest.first {
            if first == "/" { return rest.count == 1 }
            guard first == " " else { return false }
            rest = rest.dropFirst()
            let name = rest.prefix { $0.isLetter || $0.isNumber || $0 == "-" }
            rest = rest.dropFirst(name.count)
            guard !name.isEmpty, rest.hasPrefix("=\"") else { return false }
            rest = rest.dropFirst(2)
            guard let end = rest.firstIndex(of: "\"") else { return false }
            rest = rest[rest.index(after: end)...]
        }
        return true
    }
}
