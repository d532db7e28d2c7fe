// What charts have in common: they are drawn once for wide pages and once for phones, with a legend in the page's text.

/// How much room a chart has.
enum ChartSize: String {
    /// A chart of its own on a wide page.
    case alone
    /// One of two in a row.
    case paired
    /// A phone.
    case narrow

    var width: Double {
        switch self {
        case .alone: 720
        case .paired: 430
        case .narrow: 340
        }
    }

    var height: Double {
        switch self {
        case .alone: 340
        case .paired: 300
        case .narrow: 280
        }
    }
}

struct LegendEntry {
    let name: String
    let swatch: SVG
}

protocol Chart {
    var title: String { get }
    /// Whether nothing can be drawn.
    var isEmpty: Bool { get }
    /// Nothing where the chart explains itself.
    var legend: [LegendEntry] { get }
    /// What is to be seen, for those who cannot.
    var summary: String { get }

    func draw(_ size: ChartSize) -> SVG
}

extension Chart {
    func slots(_ size: ChartSize) -> [String: Slot] {
        [
            "caption": .text(title), "size": .text(size.rawValue), "legend": .list(legend.map(\.slots)),
            "hasLegend": .flag(!legend.isEmpty),
            "wide": .markup(draw(size).element(title: title, description: summary, kind: "on-wide")),
            "narrow": .markup(draw(.narrow).element(title: title, description: summary, kind: "on-narrow")),
        ]
    }
}

extension LegendEntry {
    var slots: [String: Slot] { ["name": .text(name), "swatch": .markup(swatch.decoration)] }

    /// A piece of a line with the mark of its series.
    init(_ name: String, line kind: String?, mark: (shape: Int, kind: String)?) {
        var swatch = SVG(width: 30, height: 12)
        if let kind { swatch.line(0, 6, 30, 6, kind) }
        if let mark { swatch.mark(mark.shape, 15, 6, radius: 4, mark.kind) }
        self.init(name: name, swatch: swatch)
    }
}

/// The classes of the style sheet for the series of this number: six colours, and six dash patterns that shift against
/// them, so that neither alone tells two series apart.
enum SeriesStyle {
    static func line(_ index: Int) -> String { "line s\(index % 6) d\((index + index / 6) % 6)" }
    static func mark(_ index: Int) -> String { "mark s\(index % 6)" }
    static func band(_ index: Int) -> String { "band s\(index % 6)" }
}
