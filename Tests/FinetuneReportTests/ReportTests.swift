// Whole pages: what they may hold, what they must never hold.

import Testing

@testable import FinetuneReport

@Suite("A report") struct ReportTests {
    static func page(_ blocks: [Report.Block]) throws -> String {
        try Report(title: "t", subtitle: "s", sections: [.init("one", blocks)]).html()
    }

    /// What stands between `<main>` and `</main>`.
    static func main(_ blocks: [Report.Block]) throws -> String {
        let html = try page(blocks)
        let parts = html.split(separator: "main>", maxSplits: 2)
        return String(parts[1])
    }

    @Test("is well-formed with blocks of every kind")
    func wellFormed() throws {
        let checker = MarkupChecker(try SamplePage.report().html())
        #expect(checker.faults == [])
        #expect(Set(["svg", "table", "figure", "details", "pre", "dl", "nav"]).isSubset(of: checker.elements))
    }

    @Test("is found out by the checker where it is not")
    func checker() {
        for text in ["<p><b></p></b>", "<p>", "<p a=b></p>", "<p title=\"a\"b\"></p>", "<p"] {
            #expect(!MarkupChecker(text).faults.isEmpty, "\(text)")
        }
        #expect(MarkupChecker("<p a=\"x > y\">b<br><path d=\"M0 0\"/></p>").faults == [])
    }

    @Test("holds no script, and nothing that a browser would load")
    func selfContained() throws {
        let html = try SamplePage.report().html()
        #expect(!MarkupChecker(html).elements.contains { ["script", "iframe", "object", "base"].contains($0) })
        for text in ["<script", "http://", "https://", "url(", "@import", "javascript:", "src=\"/", "nan", "inf\""] {
            #expect(!html.contains(text), "\(text)")
        }
        #expect(html.contains("default-src 'none'; style-src 'unsafe-inline'; img-src data:"))
    }

    /// Ends an attribute for a browser, although it is no `Character` of its own.
    static let hostile = "\"' onload=\"x\"\u{301} &amp; <script>alert(1)</script>\u{0}\u{202E}"

    static let everyBlock: [(String, Report.Block)] = [
        ("advice", .advice(hostile)), ("text", .text(hostile)), ("code", .code(hostile)),
        ("figures", .figures([.init(hostile, hostile, detail: hostile)])),
        (
            "table",
            .table(
                .init(
                    columns: [.init(hostile), .init(hostile)], rows: [[.init(hostile), .init(hostile)]],
                    caption: hostile))
        ),
        (
            "lines",
            .lines(
                .init(
                    title: hostile, xLabel: hostile, yLabel: hostile,
                    series: [.init(hostile, [(1, 2), (2, 3)], marks: true)], marker: .init(x: 1, label: hostile)))
        ),
        (
            "scatter",
            .scatter(
                .init(
                    title: hostile, xLabel: hostile, yLabel: hostile,
                    points: [.init(hostile, x: 1, y: 0.5, interval: 0...1)]))
        ),
        ("matrix", .matrix(.init(classes: [hostile, hostile], counts: [[1, 2], [3, 4]]))),
        (
            "heat map",
            .matrix(.init(classes: Array(repeating: hostile, count: 30), counts: [[0, 3]]))
        ),
        ("plan", .plan([.init(stage: hostile, parameters: 3, learns: true, rateFactor: 1, normalization: hostile)])),
        (
            "gallery",
            .gallery([
                .init(title: hostile, image: [0xFF, 0xD8, 0xFF], overlay: [0x89, 0x50, 0x4E, 0x47], lines: [hostile])
            ])
        ),
        ("findings", .findings([.init(kind: hostile, severity: .error, detail: hostile, paths: [hostile])])),
        (
            "folded findings",
            .findings([.init(kind: "k", severity: .note, detail: "d", paths: Array(repeating: hostile, count: 9))])
        ),
        ("pairs", .keyValues([(hostile, hostile)])),
    ]

    @Test("escapes what comes from files in every block", arguments: everyBlock.map(\.0))
    func escapes(_ name: String) throws {
        let block = try #require(Self.everyBlock.first { $0.0 == name }).1
        let html = try Self.page([block])
        #expect(MarkupChecker(html).faults == [])
        #expect(!html.contains("<script") && !html.unicodeScalars.contains { $0 == "\u{0}" || $0 == "\u{202E}" })
        #expect(html.contains("&quot;&#39; onl"))
        // The quote before the combining mark, which `contains` would not find alone.
        #expect(!html.unicodeScalars.split(separator: "\"").contains { $0.first == "\u{301}" })
    }

    @Test("escapes its titles and notes")
    func titles() throws {
        let html = try Report(
            title: Self.hostile, subtitle: Self.hostile,
            sections: (0..<5).map { _ in .init(Self.hostile, note: Self.hostile, [.text("x")]) }
        ).html()
        #expect(MarkupChecker(html).faults == [] && !html.contains("<script"))
    }

    @Test("has a table of contents from five sections on")
    func contents() throws {
        func report(_ count: Int) -> Report {
            Report(title: "t", subtitle: "", sections: (0..<count).map { .init("part \($0)", [.text("x")]) })
        }
        #expect(try !report(4).html().contains("<nav"))
        let html = try report(5).html()
        #expect(html.contains("<a href=\"#section-5\">part 4</a>") && html.contains("<section id=\"section-5\""))
    }

    @Test("is a page even with nothing to say")
    func empty() throws {
        let html = try Report(title: "", subtitle: "", sections: []).html()
        #expect(MarkupChecker(html).faults == [] && !html.contains("<section"))
    }

    static let nothing: [Report.Block] = [
        .advice(""), .text(" \n\n"), .code(""), .figures([]), .table(.init(columns: [.init("a")], rows: [])),
        .table(.init(columns: [], rows: [[.init("a")]])), .keyValues([]), .gallery([]), .findings([]), .plan([]),
        .lines(.init(title: "t", xLabel: "x", yLabel: "y", series: [.init("s", [(1, .nan)])])),
        .scatter(.init(title: "t", xLabel: "x", yLabel: "y", points: [.init("p", x: 0, y: 1)], xIsLogarithmic: true)),
        .reliability([]), .reliability([.init(lower: 0, upper: 1, count: 0, confidence: .nan, accuracy: .nan)]),
        .matrix(.init(classes: [], counts: [])), .matrix(.init(classes: ["a", "b"], counts: [[0, 0], [0, 0]])),
    ]

    @Test("leaves out blocks and sections without anything in them")
    func vanishing() throws {
        for block in Self.nothing { #expect(try !Self.page([block]).contains("<section"), "\(block)") }
        #expect(try Self.page(Self.nothing + [.text("x")]).contains("<p class=\"text\">x</p>"))
    }

    @Test("makes paragraphs of text between empty lines")
    func paragraphs() throws {
        #expect(try Self.main([.text("a\nb\n\n\nc\n")]).contains("<p class=\"text\">a\nb</p>\n<p class=\"text\">c</p>"))
    }

    @Test("fills up short rows of a table and cuts long ones")
    func raggedTable() throws {
        let html = try Self.main([
            .table(
                .init(
                    columns: [.init("a"), .init("b", isNumber: true)],
                    rows: [[.init("1")], [.init("2"), .init("3"), .init("4")]]))
        ])
        #expect(html.contains("<tr><th scope=\"row\">1</th><td class=\"number\"></td></tr>"))
        #expect(html.contains("<tr><th scope=\"row\">2</th><td class=\"number\">3</td></tr>"))
    }

    @Test("draws bars of shares only, from nothing to all")
    func bars() throws {
        func cell(_ bar: Double) throws -> String {
            try Self.main([.table(.init(columns: [.init("a")], rows: [[.init("1", bar: bar)]]))])
        }
        #expect(try cell(0.25).contains("style=\"--bar:0.25\"") && cell(7).contains("--bar:1\""))
        #expect(try cell(-1).contains("--bar:0\"") && !cell(.nan).contains("--bar"))
    }

    @Test("folds long lists of paths, and ends them somewhere")
    func folding() throws {
        func findings(_ count: Int) throws -> String {
            try Self.main([
                .findings([.init(kind: "k", severity: .note, detail: "d", paths: (0..<count).map { "p\($0)." })])
            ])
        }
        #expect(try !findings(4).contains("<details") && findings(5).contains("<summary>5 images</summary>"))
        let many = try findings(12_345)
        #expect(many.contains("p499.") && !many.contains("p500.") && many.contains("and 11\u{202F}845 more"))
    }

    @Test("shows pictures that are pictures")
    func pictures() throws {
        let html = try Self.main([
            .gallery([.init(title: "a", image: [0xFF, 0xD8, 0xFF, 0xE0]), .init(title: "b", image: [1, 2, 3])])
        ])
        #expect(html.contains("<img src=\"data:image/jpeg;base64,/9j/4A==\" alt=\"a\">"))
        #expect(html.contains("no picture"))
    }

    @Test("says of a plan what learns and how much that is")
    func plan() throws {
        let html = try Self.main([
            .plan([
                .init(stage: "stem", parameters: 1500, learns: false),
                .init(stage: "pool", parameters: 0, learns: false),
                .init(stage: "head", parameters: 500, learns: true, rateFactor: 0.3),
            ])
        ])
        #expect(html.contains("500 of 2000 parameters are trained, 25.0\u{00A0}%."))
        #expect(html.contains("<span class=\"state\">learns × 0.3</span>") && html.contains("class=\"empty\""))
        #expect(html.contains("<span class=\"size\">1.5 k</span>"))
    }
}
