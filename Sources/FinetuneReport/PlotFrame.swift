// The frame of a chart with two axes: gridlines, numbers, names of the axes, and where a point goes.

struct PlotFrame {
    let x: Axis
    let y: Axis
    let left: Double
    let top: Double
    let width: Double
    let height: Double

    /// - Parameters:
    ///   - headroom: Pixels above the plot for what else is written there.
    ///   - footroom: Pixels between the plot and the numbers below it.
    ///   - leftWords: What is written at the left besides numbers.
    init(
        width fullWidth: Double, height fullHeight: Double, headroom: Double = 0, footroom: Double = 0,
        leftWords: String = "",
        x: (Int) -> Axis,
        y: (Int) -> Axis
    ) {
        let heightLeft = fullHeight - 26 - headroom - 44 - footroom
        let yAxis = y(max(2, Int(heightLeft / 46)))
        let widest = (yAxis.labels + [leftWords]).map { SVG.width(of: $0) }.max() ?? 0
        left = widest.rounded(.up) + 10
        top = 26 + headroom
        width = fullWidth - left - 14
        height = heightLeft
        self.y = yAxis
        self.x = x(max(2, Int(width / 64)))
    }

    var right: Double { left + width }
    var bottom: Double { top + height }

    func place(x value: Double) -> Double { left + x.share(value) * width }
    func place(y value: Double) -> Double { bottom - y.share(value) * height }

    /// Where a point goes; nil for one that cannot be shown.
    func place(_ xValue: Double, _ yValue: Double) -> (x: Double, y: Double)? {
        guard Axis.shows(xValue), Axis.shows(yValue), !x.isLogarithmic || xValue > 0 else { return nil }
        return (place(x: xValue), place(y: yValue))
    }

    /// Gridlines and numbers, under everything else.
    ///
    /// - Parameter footroom: As the frame was made with.
    func draw(into svg: inout SVG, xLabel: String, yLabel: String, footroom: Double = 0) {
        for (tick, label) in zip(y.ticks, y.labels) {
            let place = place(y: tick)
            svg.line(left, place, right, place, tick == y.ticks.first && tick <= y.lower ? "axis" : "grid")
            svg.text(label, left - 8, place + 4, .end)
        }
        var free = -Double.infinity
        for (tick, label) in zip(x.ticks, x.labels) {
            let half = SVG.width(of: label) / 2
            let center = place(x: tick)
            svg.line(center, bottom + footroom, center, bottom + footroom + 4, "axis")
            let middle = min(max(center, left - 6 + half), svg.width - half)
            guard middle - half > free else { continue }
            svg.text(label, middle, bottom + footroom + 18, .middle)
            free = middle + half + 8
        }
        svg.text(SVG.fitted(yLabel, width: svg.width - 4), 0, 13, .start, "label")
        svg.text(
            SVG.fitted(xLabel, width: width), left + width / 2, bottom + footroom + 37, .middle, "label")
    }
}
