// A drawing in SVG, element by element. Colours come from the page's style sheet, by class, so that they follow its
// light and dark modes. https://www.w3.org/TR/SVG2/

internal import FinetuneFiles

/// One drawing. Coordinates are pixels from the top left; those that are no numbers never get here, see `PlotFrame`.
struct SVG {
    let width: Double
    let height: Double
    private var body = ""

    enum Anchor: String { case start, middle, end }

    init(width: Double, height: Double) {
        self.width = width
        self.height = height
    }

    /// The whole element, with its name and a description for those who cannot see it.
    func element(title: String, description: String, kind: String) -> String {
        let size = "viewBox=\"0 0 \(Self.number(width)) \(Self.number(height))\""
        let words = "<title>\(Escaping.html(title))</title><desc>\(Escaping.html(description))</desc>"
        return
            "<svg class=\"plot \(kind)\" \(size) width=\"\(Self.number(width))\" role=\"img\">\(words)\n\(body)</svg>"
    }

    /// A small drawing beside words that say the same.
    var decoration: String {
        let size = "width=\"\(Self.number(width))\" height=\"\(Self.number(height))\""
        return "<svg class=\"swatch\" \(size) aria-hidden=\"true\">\(body)</svg>"
    }

    mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ kind: String) {
        let ends =
            "x1=\"\(Self.number(x1))\" y1=\"\(Self.number(y1))\" x2=\"\(Self.number(x2))\" y2=\"\(Self.number(y2))\""
        body += "<line \(ends) class=\"\(kind)\"/>\n"
    }

    mutating func rectangle(_ x: Double, _ y: Double, width: Double, height: Double, _ kind: String) {
        let place = "x=\"\(Self.number(x))\" y=\"\(Self.number(y))\""
        let size = "width=\"\(Self.number(max(0, width)))\" height=\"\(Self.number(max(0, height)))\""
        body += "<rect \(place) \(size) class=\"\(kind)\"/>\n"
    }

    mutating func polyline(_ points: [(x: Double, y: Double)], _ kind: String, isClosed: Bool = false) {
        guard points.count > 1 else { return }
        let text = points.map { "\(Self.number($0.x)),\(Self.number($0.y))" }.joined(separator: " ")
        body += "<\(isClosed ? "polygon" : "polyline") points=\"\(text)\" class=\"\(kind)\"/>\n"
    }

    /// - Parameter data: A path of our own making.
    mutating func path(_ data: String, _ kind: String) {
        if !data.isEmpty { body += "<path d=\"\(data)\" class=\"\(kind)\"/>\n" }
    }

    mutating func text(_ words: String, _ x: Double, _ y: Double, _ anchor: Anchor = .start, _ kind: String = "tick") {
        let place = "x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" text-anchor=\"\(anchor.rawValue)\""
        body += "<text \(place) class=\"\(kind)\">\(Escaping.html(words))</text>\n"
    }

    /// The mark of a series, by its shape as well as its colour.
    ///
    /// - Parameter hint: What a pointer resting on it is told.
    mutating func mark(_ shape: Int, _ x: Double, _ y: Double, radius r: Double, _ kind: String, hint: String? = nil) {
        func at(_ dx: Double, _ dy: Double) -> String { "\(Self.number(x + dx * r)) \(Self.number(y + dy * r))" }
        let data =
            switch shape % 6 {
            case 0:
                "M\(at(-1, 0))a\(Self.number(r)) \(Self.number(r)) 0 1 0 \(Self.number(2 * r)) 0a\(Self.number(r)) \(Self.number(r)) 0 1 0 \(Self.number(-2 * r)) 0z"
            case 1: "M\(at(-0.9, -0.9))L\(at(0.9, -0.9))L\(at(0.9, 0.9))L\(at(-0.9, 0.9))z"
            case 2: "M\(at(0, -1.2))L\(at(1.1, 0.8))L\(at(-1.1, 0.8))z"
            case 3: "M\(at(0, -1.3))L\(at(1.3, 0))L\(at(0, 1.3))L\(at(-1.3, 0))z"
            case 4: "M\(at(0, 1.2))L\(at(1.1, -0.8))L\(at(-1.1, -0.8))z"
            default:
                "M\(at(-0.4, -1.1))L\(at(0.4, -1.1))L\(at(0.4, -0.4))L\(at(1.1, -0.4))L\(at(1.1, 0.4))L\(at(0.4, 0.4))L\(at(0.4, 1.1))L\(at(-0.4, 1.1))L\(at(-0.4, 0.4))L\(at(-1.1, 0.4))L\(at(-1.1, -0.4))L\(at(-0.4, -0.4))z"
            }
        let title = hint.map { "<title>\(Escaping.html($0))</title>" } ?? ""
        body += "<path d=\"\(data)\" class=\"\(kind)\">\(title)</path>\n"
    }

    /// A coordinate with at most two places. What is no number, which no caller should pass, lands at the edge.
    static func number(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e9 else { return "0" }
        var text = value.rounded(toPlaces: 2)
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text
    }

    /// About how wide words are in the page's font, in pixels.
    static func width(of words: String, fontSize: Double = 12) -> Double {
        let ems = words.unicodeScalars.reduce(0.0) { sum, scalar in
            switch scalar {
            case "i", "l", "j", "t", "f", "r", "I", ".", ",", ":", ";", "|", "'", " ", "(", ")": sum + 0.34
            case "m", "w", "M", "W", "%", "@": sum + 0.9
            case "A"..."Z": sum + 0.68
            case _ where scalar.value >= 0x2E80: sum + 1
            default: sum + 0.57
            }
        }
        return ems * fontSize
    }

    /// The words, or as much of them as fits with an ellipsis.
    static func fitted(_ words: String, width limit: Double) -> String {
        guard width(of: words) > limit else { return words }
        var kept = words
        while !kept.isEmpty, width(of: kept + "…") > limit { kept.removeLast() }
        return kept + "…"
    }
}
