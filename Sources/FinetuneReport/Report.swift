// Numbers in, one self-contained HTML file out: sections of blocks, which train, evaluate and compare put together.
// The page holds no script and loads nothing; a content security policy says so to the browser.

/// A page of results.
///
/// Whatever comes from files, such as the names of classes and paths, goes in as it is: the page escapes all of it.
package struct Report: Sendable {
    package var title: String
    package var subtitle: String
    package var sections: [Section]

    package init(title: String, subtitle: String, sections: [Section]) {
        self.title = title
        self.subtitle = subtitle
        self.sections = sections
    }

    /// A titled part of the page. One without anything to show is left out.
    package struct Section: Sendable {
        package var title: String
        /// A sentence below the title: what is to be seen here, and how to read it.
        package var note: String?
        package var blocks: [Block]

        package init(_ title: String, note: String? = nil, _ blocks: [Block]) {
            self.title = title
            self.note = note
            self.blocks = blocks
        }
    }

    /// Something to show. One that is empty is left out.
    package enum Block: Sendable {
        /// The sentence to go home with.
        case advice(String)
        /// Running text; an empty line begins a new paragraph.
        case text(String)
        /// Big numbers, side by side.
        case figures([Figure])
        case table(Table)
        /// Charts that follow each other stand side by side where there is room.
        case lines(LineChart)
        case scatter(ScatterChart)
        /// How often predictions are right against how sure they were, before calibration and, if given, after.
        case reliability([ReliabilityBin], calibrated: [ReliabilityBin] = [])
        case matrix(Matrix)
        /// What learned and what did not, one row a stage in the order data takes them.
        case plan([PlanRow])
        case gallery([Thumbnail])
        case findings([Finding])
        /// A command or another text of a machine, as it is.
        case code(String)
        /// Names and values of little texts, such as versions and hashes.
        case keyValues([(String, String)])
    }
}

extension Report {
    /// The whole page: UTF-8 text that any browser opens without a network.
    ///
    /// - Throws: `ReportError` where a template of our own is not Mustache.
    package func html() throws -> String {
        let templates = try Templates()
        let shown: [(section: Section, body: String)] = try sections.compactMap { section in
            let body = try section.body(templates)
            return body.isEmpty ? nil : (section, body)
        }
        let slots = shown.enumerated().map { index, part -> [String: Slot] in
            [
                "id": .text("section-\(index + 1)"), "title": .text(part.section.title),
                "note": .text(part.section.note), "body": .markup(part.body),
            ]
        }
        return try templates.render(
            "page",
            [
                "title": .text(title), "subtitle": .text(subtitle), "sections": .list(slots),
                "style": .markup(templates.style),
                "contents": slots.count > 4 ? .list([["entries": .list(slots)]]) : .nothing,
            ])
    }
}

extension Report.Section {
    /// The blocks as HTML, empty where none has anything to show.
    fileprivate func body(_ templates: Templates) throws -> String {
        var body = ""
        var charts: [any Chart] = []
        func closeCharts() throws {
            guard !charts.isEmpty else { return }
            let size: ChartSize = charts.count > 1 ? .paired : .alone
            let figures = try charts.map { try templates.render("chart", $0.slots(size)) }.joined()
            body += "<div class=\"charts\(charts.count > 1 ? " paired" : "")\">\n\(figures)</div>\n"
            charts = []
        }
        for block in blocks {
            if let chart = block.chart {
                if !chart.isEmpty { charts.append(chart) }
            } else if let (template, slots) = block.filled {
                try closeCharts()
                body += try templates.render(template, slots)
            }
        }
        try closeCharts()
        return body
    }
}

extension Report.Block {
    /// The block as a chart, where it is one.
    fileprivate var chart: (any Chart)? {
        switch self {
        case .lines(let chart): chart
        case .scatter(let chart): chart
        case .reliability(let bins, let calibrated): ReliabilityChart(bins: bins, calibrated: calibrated)
        default: nil
        }
    }
}
