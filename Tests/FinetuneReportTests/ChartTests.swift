// Axes, places and what of a matrix is drawn.

import Testing

@testable import FinetuneReport

@Suite("A chart") struct ChartTests {
    @Test("has ticks at 1, 2 and 5 times powers of ten")
    func ticks() {
        let axis = Axis([0.12, 0.87], target: 5)
        #expect(axis.labels == ["0", "0.2", "0.4", "0.6", "0.8", "1.0"] && axis.lower == 0 && axis.upper == 1)
        #expect(
            Axis([0.61, 0.843], target: 5, unit: .percent).labels == [
                "60\u{00A0}%", "65\u{00A0}%", "70\u{00A0}%", "75\u{00A0}%", "80\u{00A0}%", "85\u{00A0}%",
            ])
        #expect(Axis([-3, 4], target: 4).labels == ["−4", "−2", "0", "2", "4"])
        #expect(Axis([0, 23_000], target: 3).labels == ["0", "10\u{202F}000", "20\u{202F}000", "30\u{202F}000"])
        #expect(Axis([0, 4e-6], target: 4).labels == ["0", "1e−6", "2e−6", "3e−6", "4e−6"])
    }

    @Test("has whole ticks between whole numbers, and ends with them")
    func epochs() {
        let axis = Axis([1, 2, 3], target: 9, isTight: true)
        #expect(axis.labels == ["1", "2", "3"] && axis.lower == 1 && axis.upper == 3)
        #expect(Axis([1, 20], target: 4, isTight: true).labels == ["5", "10", "15", "20"])
    }

    @Test("has decades on a logarithmic axis, and steps between where there are few")
    func logarithmic() {
        #expect(
            Axis(logarithmic: [1, 1e6], target: 8).labels == [
                "1", "10", "100", "1000", "10\u{202F}000", "100\u{202F}000", "1e6",
            ])
        #expect(Axis(logarithmic: [20, 300], target: 8).labels == ["30", "100", "300"])
        let axis = Axis(logarithmic: [10, 1000], target: 8)
        #expect(abs(axis.share(100) - 0.5) < 1e-12 && axis.share(-1) == 0 && axis.share(0) == 0)
    }

    @Test(
        "has an axis for whatever it is given",
        arguments: [
            [], [3], [0, 0], [1e99, -1e99], [1, 1 + 1e-15], [.nan, .infinity, 2], [1e-300, 2e-300],
            [-.leastNonzeroMagnitude, .leastNonzeroMagnitude],
        ] as [[Double]])
    func odd(_ values: [Double]) {
        for axis in [
            Axis(values, target: 5), Axis(values, target: 5, isTight: true), Axis(logarithmic: values, target: 5),
        ] {
            #expect(axis.lower < axis.upper && axis.upper.isFinite && axis.ticks.count <= 50)
            #expect(axis.ticks.allSatisfy { (0...1).contains(axis.share($0)) })
            #expect(axis.labels.allSatisfy { !$0.contains("n") })
        }
    }

    @Test("never sees numbers that are none")
    func notNumbers() throws {
        let odd: [Double] = [.nan, .infinity, -.infinity, 1e300, .signalingNaN]
        let points = odd.enumerated().map { (x: Double($0.offset), y: $0.element) } + odd.map { (x: $0, y: 1) }
        let html = try ReportTests.main([
            .lines(
                .init(
                    title: "t", xLabel: "x", yLabel: "y",
                    series: [
                        .init(
                            "s", points + [(7, 2), (8, 3)], band: odd.map { .init(x: 1, low: $0, high: 1) }, marks: true
                        )
                    ], yRange: 0...(.infinity), marker: .init(x: .nan, label: "best"))),
            .scatter(
                .init(
                    title: "t", xLabel: "x", yLabel: "y",
                    points: odd.map { .init("p", x: 1, y: $0) } + [
                        .init("q", x: 1, y: 1, interval: -.infinity ... .infinity)
                    ])),
            .reliability(
                odd.map { .init(lower: $0, upper: 1, count: 2, confidence: 0.5, accuracy: $0) } + [
                    .init(lower: .nan, upper: .infinity, count: 3, confidence: 0.5, accuracy: 0.5)
                ]),
            .plan([.init(stage: "s", parameters: 1, learns: true, rateFactor: .nan)]),
        ])
        let words = html.lowercased()
        #expect(
            !words.contains("nan") && !words.contains("inf\"") && !words.contains("infinity") && !words.contains("e+"))
        #expect(MarkupChecker(html).faults == [] || html.hasSuffix("</"))
        #expect(words.contains("<polyline"))
    }

    @Test("has a mark for a line of a single point")
    func single() throws {
        let html = try ReportTests.main([
            .lines(.init(title: "t", xLabel: "x", yLabel: "y", series: [.init("s", [(1, 0.5)])]))
        ])
        #expect(html.contains("class=\"mark s0\"") && !html.contains("<polyline"))
    }

    @Test("interrupts a line where a number is missing")
    func gap() throws {
        let html = try ReportTests.main([
            .lines(
                .init(
                    title: "t", xLabel: "x", yLabel: "y",
                    series: [.init("s", [(1, 1), (2, 2), (3, .nan), (4, 1), (5, 2)])]))
        ])
        // Twice: wide and narrow.
        #expect(html.split(separator: "<polyline").count - 1 == 4)
    }

    @Test("tells series apart by colour and dashes for as many as there are pairs")
    func styles() {
        #expect(Set((0..<36).map(SeriesStyle.line)).count == 36)
    }

    @Test("puts names where they cover neither each other nor a point")
    func labels() {
        let frame = PlotFrame(
            width: 720, height: 340, x: { Axis([0, 1], target: $0) }, y: { Axis([0, 1], target: $0) })
        let points = (0..<6).map { (x: 300 + Double($0) * 9, y: 150.0) }
        var placement = LabelPlacement(frame: frame)
        for point in points { placement.avoid(Box(x: point.x - 7, y: point.y - 7, width: 14, height: 14)) }
        let boxes = points.map { point -> Box in
            let label = placement.place("strategy", at: point)
            let width = SVG.width(of: "strategy")
            let left = label.anchor == .start ? label.x : label.anchor == .end ? label.x - width : label.x - width / 2
            return Box(x: left, y: label.y - 11.5, width: width, height: 15)
        }
        for (index, box) in boxes.enumerated() {
            for other in boxes[..<index] { #expect(box.overlap(other) == 0) }
            for point in points { #expect(box.overlap(Box(x: point.x - 4, y: point.y - 4, width: 8, height: 8)) == 0) }
        }
    }

    @Test("shows a matrix of up to twenty classes as a table")
    func table() throws {
        let html = try ReportTests.main([.matrix(.init(classes: ["a", "b"], counts: [[3, 1], [0, 0]]))])
        #expect(html.contains("<td class=\"right dark\" style=\"--share:77%\">3</td><td style=\"--share:31%\">1</td>"))
        #expect(html.contains("<td class=\"none\">0</td><td class=\"right none\">0</td>"))
    }

    @Test("stays small for many classes, even where all are confused with all", arguments: [(200, 700), (1000, 1100)])
    func size(_ count: Int, _ kilobytes: Int) throws {
        let counts = (0..<count).map { row in (0..<count).map { 1 + (row &* 31 &+ $0 &* 17) % 60 } }
        let html = try ReportTests.main([.matrix(.init(classes: (0..<count).map { "class \($0)" }, counts: counts))])
        #expect(html.utf8.count < kilobytes * 1024)
        #expect(html.split(separator: "<tr>").count - 1 <= 16)
    }

    @Test("names the most frequent confusions first, equal ones in the order of the classes")
    func confusions() {
        let matrix = Report.Matrix(classes: ["a", "b", "c"], counts: [[9, 2, 0], [5, 9, 2], [0]])
        #expect(matrix.confusions.map { [$0.truth, $0.prediction, $0.count] } == [[1, 0, 5], [0, 1, 2], [1, 2, 2]])
    }
}
