// Accuracy against cost: points with names, whiskers for their intervals, and the one to take.

extension Report {
    package struct ScatterChart: Sendable {
        package struct Point: Sendable {
            package var name: String
            package var x: Double
            package var y: Double
            /// Drawn as whiskers.
            package var interval: ClosedRange<Double>?
            package var isRecommended: Bool

            package init(
                _ name: String, x: Double, y: Double, interval: ClosedRange<Double>? = nil, isRecommended: Bool = false
            ) {
                self.name = name
                self.x = x
                self.y = y
                self.interval = interval
                self.isRecommended = isRecommended
            }
        }

        package var title: String
        package var xLabel: String
        package var yLabel: String
        package var points: [Point]
        package var yUnit: Unit
        /// Whether each step to the right is a factor; points at 0 and below are then left out.
        package var xIsLogarithmic: Bool

        package init(
            title: String, xLabel: String, yLabel: String, points: [Point], yUnit: Unit = .percent,
            xIsLogarithmic: Bool = false
        ) {
            self.title = title
            self.xLabel = xLabel
            self.yLabel = yLabel
            self.points = points
            self.yUnit = yUnit
            self.xIsLogarithmic = xIsLogarithmic
        }
    }
}

extension Report.ScatterChart: Chart {
    private var shown: [Point] {
        points.filter { Axis.shows($0.x) && Axis.shows($0.y) && (!xIsLogarithmic || $0.x > 0) }
    }

    var isEmpty: Bool { shown.isEmpty }

    var legend: [LegendEntry] {
        var entries: [LegendEntry] = []
        if shown.contains(where: \.isRecommended) {
            entries.append(LegendEntry("recommended", line: nil, mark: (3, "mark s0")))
            if shown.contains(where: { !$0.isRecommended }) {
                entries.append(LegendEntry("others", line: nil, mark: (0, "mark other")))
            }
        }
        if shown.contains(where: { $0.interval != nil }) {
            var swatch = SVG(width: 30, height: 12)
            swatch.line(15, 0, 15, 12, "whisker")
            swatch.line(12, 0.75, 18, 0.75, "whisker")
            swatch.line(12, 11.25, 18, 11.25, "whisker")
            entries.append(LegendEntry(name: "95 % interval", swatch: swatch))
        }
        return entries
    }

    var summary: String { shown.map { hint($0) + "." }.joined(separator: " ") }

    private func text(_ y: Double) -> String { yUnit == .percent ? Report.percent(y) : Report.number(y, places: 3) }

    private func hint(_ point: Point) -> String {
        let interval = point.interval.map { " (\(text($0.lowerBound)) to \(text($0.upperBound)))" } ?? ""
        let take = point.isRecommended ? ", recommended" : ""
        return "\(point.name): \(text(point.y))\(interval) at \(Report.number(point.x, places: 1))\(take)"
    }

    func draw(_ size: ChartSize) -> SVG {
        let points = shown
        let values = points.flatMap { [$0.y] + ($0.interval.map { [$0.lowerBound, $0.upperBound] } ?? []) }
        let frame = PlotFrame(
            width: size.width, height: size.height,
            x: {
                let xs = points.map(\.x)
                guard !xIsLogarithmic else { return Axis(logarithmic: xs, target: $0) }
                let (low, high) = (xs.min() ?? 0, xs.max() ?? 1)
                let margin = high > low ? (high - low) * 0.08 : max(abs(high) * 0.1, 0.5)
                return Axis(xs, target: $0, range: (low >= 0 && low < high * 0.3 ? 0 : low - margin)...(high + margin))
            },
            y: { Axis(values, target: $0, unit: yUnit) })
        var svg = SVG(width: size.width, height: size.height)
        frame.draw(into: &svg, xLabel: xLabel, yLabel: yLabel)

        let places = points.map { (x: frame.place(x: $0.x), y: frame.place(y: $0.y)) }
        var labels = LabelPlacement(frame: frame)
        for (point, place) in zip(points, places) {
            labels.avoid(Box(x: place.x - 7, y: place.y - 7, width: 14, height: 14))
            guard let interval = point.interval, Axis.shows(interval.lowerBound), Axis.shows(interval.upperBound) else {
                continue
            }
            let (top, bottom) = (frame.place(y: interval.upperBound), frame.place(y: interval.lowerBound))
            svg.line(place.x, top, place.x, bottom, "whisker")
            for end in [top, bottom] { svg.line(place.x - 4, end, place.x + 4, end, "whisker") }
            labels.avoid(Box(x: place.x - 4, y: top, width: 8, height: bottom - top))
        }
        // The recommended one chooses its place first.
        for index in points.indices.sorted(by: { points[$0].isRecommended && !points[$1].isRecommended }) {
            let (point, place) = (points[index], places[index])
            let name = SVG.fitted(point.name, width: frame.width * 0.6)
            let label = labels.place(name, at: place)
            if let end = label.leader { svg.line(place.x, place.y, end.x, end.y, "leader") }
            svg.text(name, label.x, label.y, label.anchor, point.isRecommended ? "name recommended" : "name")
        }
        for (point, place) in zip(points, places) {
            svg.mark(
                point.isRecommended ? 3 : 0, place.x, place.y, radius: point.isRecommended ? 6 : 4.5,
                point.isRecommended ? "mark s0" : "mark other", hint: hint(point))
        }
        return svg
    }
}
