// Lines over epochs or whatever goes from left to right.

extension Report {
    package struct LineChart: Sendable {
        /// What stands at one place from bottom to top, such as the highest and the lowest of several seeds.
        package struct Span: Sendable {
            package var x: Double
            package var low: Double
            package var high: Double

            package init(x: Double, low: Double, high: Double) {
                self.x = x
                self.low = low
                self.high = high
            }
        }

        package struct Series: Sendable {
            package var name: String
            /// From left to right. A point that is no number interrupts the line.
            package var points: [(x: Double, y: Double)]
            /// A band around the line.
            package var band: [Span]?
            /// Whether each point has a mark.
            package var marks: Bool

            package init(_ name: String, _ points: [(x: Double, y: Double)], band: [Span]? = nil, marks: Bool = false) {
                self.name = name
                self.points = points
                self.band = band
                self.marks = marks
            }
        }

        /// A place that matters, such as the best epoch.
        package struct Marker: Sendable {
            package var x: Double
            package var label: String

            package init(x: Double, label: String) {
                self.x = x
                self.label = label
            }
        }

        package var title: String
        package var xLabel: String
        package var yLabel: String
        package var series: [Series]
        /// Where the y axis begins and ends; as a rule where the points do.
        package var yRange: ClosedRange<Double>?
        package var yUnit: Unit
        package var marker: Marker?

        package init(
            title: String, xLabel: String, yLabel: String, series: [Series], yRange: ClosedRange<Double>? = nil,
            yUnit: Unit = .plain, marker: Marker? = nil
        ) {
            self.title = title
            self.xLabel = xLabel
            self.yLabel = yLabel
            self.series = series
            self.yRange = yRange
            self.yUnit = yUnit
            self.marker = marker
        }
    }
}

extension Report.LineChart: Chart {
    private var points: [(x: Double, y: Double)] {
        series.flatMap(\.points).filter { Axis.shows($0.x) && Axis.shows($0.y) }
    }

    var isEmpty: Bool { points.isEmpty }

    var legend: [LegendEntry] {
        guard series.count > 1 || series.contains(where: { !$0.name.isEmpty && $0.name != yLabel }) else { return [] }
        return series.enumerated().map { index, series in
            LegendEntry(
                series.name, line: SeriesStyle.line(index),
                mark: series.marks ? (index, SeriesStyle.mark(index)) : nil)
        }
    }

    var summary: String {
        series.compactMap { series in
            let shown = series.points.filter { Axis.shows($0.x) && Axis.shows($0.y) }
            guard let first = shown.first, let last = shown.last else { return nil }
            return "\(series.name): \(text(first.y)) at \(xText(first.x)), \(text(last.y)) at \(xText(last.x))."
        }.joined(separator: " ")
    }

    private func text(_ y: Double) -> String {
        yUnit == .percent ? Report.percent(y) : abs(y) < 0.01 ? Report.scientific(y) : Report.number(y, places: 3)
    }

    private func xText(_ x: Double) -> String { Report.number(x, places: x == x.rounded() ? 0 : 3) }

    func draw(_ size: ChartSize) -> SVG {
        let spans = series.flatMap { $0.band ?? [] }.filter {
            Axis.shows($0.x) && Axis.shows($0.low) && Axis.shows($0.high)
        }
        let values = points.map(\.y) + spans.flatMap { [$0.low, $0.high] }
        let marker = marker.flatMap { Axis.shows($0.x) ? $0 : nil }
        let frame = PlotFrame(
            width: size.width, height: size.height, headroom: marker == nil ? 0 : 16,
            x: { Axis(points.map(\.x) + spans.map(\.x), target: $0, isTight: true) },
            y: { Axis(values, target: $0, range: yRange, unit: yUnit) })
        var svg = SVG(width: size.width, height: size.height)
        frame.draw(into: &svg, xLabel: xLabel, yLabel: yLabel)
        for (index, series) in series.enumerated() { drawBand(series, index, frame, &svg) }
        if let marker { draw(marker, frame, &svg) }
        for (index, series) in series.enumerated() { drawLine(series, index, frame, &svg) }
        return svg
    }

    private func drawBand(_ series: Series, _ index: Int, _ frame: PlotFrame, _ svg: inout SVG) {
        let edges = (series.band ?? []).compactMap { span in
            frame.place(span.x, span.low).flatMap { low in frame.place(span.x, span.high).map { (low: low, high: $0) } }
        }
        svg.polyline(edges.map(\.high) + edges.reversed().map(\.low), SeriesStyle.band(index), isClosed: true)
    }

    private func drawLine(_ series: Series, _ index: Int, _ frame: PlotFrame, _ svg: inout SVG) {
        let runs = series.points.map { frame.place($0.x, $0.y) }.split { $0 == nil }.map { $0.compactMap(\.self) }
        for run in runs { svg.polyline(run, SeriesStyle.line(index)) }
        let isAlone = runs.count == 1 && runs[0].count == 1
        for point in series.points where series.marks || isAlone {
            guard let place = frame.place(point.x, point.y) else { continue }
            svg.mark(
                index, place.x, place.y, radius: series.points.count > 40 ? 2.2 : 3.4, SeriesStyle.mark(index),
                hint: "\(series.name), \(xText(point.x)): \(text(point.y))")
        }
    }

    /// A line from top to bottom, its label above the plot.
    private func draw(_ marker: Marker, _ frame: PlotFrame, _ svg: inout SVG) {
        let place = frame.place(x: marker.x)
        svg.line(place, frame.top - 6, place, frame.bottom, "marker")
        let label = SVG.fitted(marker.label, width: frame.width)
        let half = SVG.width(of: label) / 2
        svg.text(label, min(max(place, half + 2), svg.width - half - 2), frame.top - 10, .middle, "marker-label")
    }
}
