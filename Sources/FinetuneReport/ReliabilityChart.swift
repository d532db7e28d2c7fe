// How often predictions are right against how sure they were (DeGroot & Fienberg 1983; Guo et al. 2017, figure 1).

internal import FinetuneFiles

extension Report {
    /// The images whose largest probability is between two bounds.
    package struct ReliabilityBin: Sendable {
        package var lower: Double
        package var upper: Double
        package var count: Int
        /// The mean of the largest probabilities.
        package var confidence: Double
        /// The share of right predictions.
        package var accuracy: Double

        package init(lower: Double, upper: Double, count: Int, confidence: Double, accuracy: Double) {
            self.lower = lower
            self.upper = upper
            self.count = count
            self.confidence = confidence
            self.accuracy = accuracy
        }
    }
}

struct ReliabilityChart: Chart {
    let sets: [(name: String, bins: [Report.ReliabilityBin])]

    init(bins: [Report.ReliabilityBin], calibrated: [Report.ReliabilityBin]) {
        func shown(_ bins: [Report.ReliabilityBin]) -> [Report.ReliabilityBin] {
            bins.filter { $0.count > 0 && Axis.shows($0.confidence) && Axis.shows($0.accuracy) }
        }
        let (before, after) = (shown(bins), shown(calibrated))
        sets = after.isEmpty ? [("the model", before)] : [("before calibration", before), ("after calibration", after)]
    }

    var title: String { "Confidence and accuracy" }
    var isEmpty: Bool { sets[0].bins.isEmpty }

    var legend: [LegendEntry] {
        sets.enumerated().map { index, set in
            LegendEntry(set.name, line: SeriesStyle.line(index), mark: (index, SeriesStyle.mark(index)))
        } + [LegendEntry("ideal: accuracy equals confidence", line: "diagonal", mark: nil)]
    }

    var summary: String {
        sets.map { set in
            set.name + ": "
                + set.bins.map {
                    "confidence \(Report.percent($0.confidence)), accuracy \(Report.percent($0.accuracy)) (\($0.count.counted("image")))"
                }.joined(separator: "; ") + "."
        }.joined(separator: " ")
    }

    /// The height of the bars below, which say how many images each bin has.
    private static let bars = 40.0

    func draw(_ size: ChartSize) -> SVG {
        // Nearly square, so that as sure as right is a line half up.
        let (width, height) = (min(size.width, 520), size == .alone ? 460.0 : 390)
        let footroom = Self.bars + 8
        let frame = PlotFrame(
            width: width, height: height, footroom: footroom, leftWords: "images",
            x: { Axis([], target: $0, range: 0...1, unit: .percent) },
            y: { Axis([], target: $0, range: 0...1, unit: .percent) })
        var svg = SVG(width: width, height: height)
        frame.draw(into: &svg, xLabel: "confidence", yLabel: "accuracy", footroom: footroom)
        svg.line(frame.left, frame.bottom, frame.right, frame.top, "diagonal")
        drawCounts(frame, &svg)
        for (index, set) in sets.enumerated() {
            let places = set.bins.map { (x: frame.place(x: $0.confidence), y: frame.place(y: $0.accuracy)) }
            svg.polyline(places, SeriesStyle.line(index))
            for (bin, place) in zip(set.bins, places) {
                let hint =
                    "\(set.name), confidence \(Report.percent(bin.confidence)): accuracy \(Report.percent(bin.accuracy)), \(Report.count(bin.count)) \(bin.count == 1 ? "image" : "images")"
                svg.mark(index, place.x, place.y, radius: 4, SeriesStyle.mark(index), hint: hint)
            }
        }
        return svg
    }

    private func drawCounts(_ frame: PlotFrame, _ svg: inout SVG) {
        let base = frame.bottom + Self.bars + 8
        let most = Double(max(1, sets.flatMap(\.bins).map(\.count).max() ?? 1))
        svg.line(frame.left, base, frame.right, base, "axis")
        for (index, set) in sets.enumerated() {
            for bin in set.bins where Axis.shows(bin.lower) && Axis.shows(bin.upper) {
                let slot = frame.place(x: bin.upper) - frame.place(x: bin.lower) - 3
                let width = slot / Double(sets.count)
                let height = max(1, Double(bin.count) / most * (Self.bars - 12))
                svg.rectangle(
                    frame.place(x: bin.lower) + 1.5 + Double(index) * width, base - height, width: width - 0.5,
                    height: height, "count s\(index)")
            }
        }
        svg.text("images", frame.left - 8, base - 2, .end)
    }
}
