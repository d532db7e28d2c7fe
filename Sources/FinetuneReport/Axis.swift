// Where an axis begins and ends and which of its numbers are written: 1, 2 and 5 times powers of ten.
// After Heckbert, "Nice Numbers for Graph Labels", Graphics Gems, 1990.

internal import Glibc

extension Report {
    /// What the numbers of an axis are.
    package enum Unit: Sendable {
        case plain
        /// Shares, written as percentages.
        case percent
    }
}

/// One axis of a chart.
struct Axis: Equatable {
    let lower: Double
    let upper: Double
    let ticks: [Double]
    let labels: [String]
    let isLogarithmic: Bool

    /// Numbers of this size and beyond are as good as infinite to a chart.
    static let limit = 1e100

    /// Whether a chart can show the number.
    static func shows(_ value: Double) -> Bool { value.isFinite && abs(value) < limit }

    /// A linear axis.
    ///
    /// - Parameters:
    ///   - values: What it has to hold; those that are no numbers do not count.
    ///   - target: About so many ticks.
    ///   - range: Where it begins and ends, if not with the values.
    ///   - isTight: Whether it ends with the values, or with the next ticks.
    init(
        _ values: [Double], target: Int, range: ClosedRange<Double>? = nil, isTight: Bool = false,
        unit: Report.Unit = .plain
    ) {
        let shown = values.filter(Self.shows)
        var (low, high) = (shown.min() ?? 0, shown.max() ?? 1)
        if let range, Self.shows(range.lowerBound), Self.shows(range.upperBound) {
            (low, high) = (range.lowerBound, range.upperBound)
        }
        if high - low <= max(1e-9 * max(abs(low), abs(high)), 1 / Self.limit) {
            let margin = abs(low) <= 1 / Self.limit ? 1 : abs(low) * 0.1
            (low, high) = (low - margin, high + margin)
        }
        // Whole numbers, such as epochs, have no ticks between them.
        let isWhole = isTight && shown.allSatisfy { $0 == $0.rounded() }
        let step = Self.step(high - low, target: target, atLeast: isWhole ? 1 : 0)
        if !isTight, range == nil {
            (low, high) = ((low / step).rounded(.down) * step, (high / step).rounded(.up) * step)
        }
        let first = (low / step - 1e-6).rounded(.up)
        let count = Int(min(50, max(0, (high / step + 1e-6).rounded(.down) - first + 1)))
        (lower, upper, isLogarithmic) = (low, high, false)
        // The sum may leave a trace of rounding where zero is meant.
        ticks = (0..<count).map { abs(first + Double($0)) < 1e-9 ? 0 : (first + Double($0)) * step }
        labels = ticks.map { Self.label($0, step: step, unit) }
    }

    /// A logarithmic axis, which holds the positive values, with a margin.
    init(logarithmic values: [Double], target: Int) {
        let shown = values.filter { Self.shows($0) && $0 > 1 / Self.limit }
        var (low, high) = (log10(shown.min() ?? 1), log10(shown.max() ?? 10))
        let margin = max(0.12, (high - low) * 0.1)
        (low, high) = (low - margin, high + margin)
        let (first, last) = (Int(low.rounded(.down)), Int(high.rounded(.up)))
        let factors: [Double] = high - low < 1 ? [1, 2, 3, 5, 7] : high - low < 3.2 ? [1, 3] : [1]
        let stride = max(1, Int((Double(last - first) / Double(max(1, target))).rounded(.up)))
        var ticks: [Double] = []
        for exponent in first...last where factors.count > 1 || (exponent - first) % stride == 0 {
            for factor in factors {
                let tick = factor * pow(10, Double(exponent))
                if (low...high).contains(log10(tick)) { ticks.append(tick) }
            }
        }
        (lower, upper, isLogarithmic) = (pow(10, low), pow(10, high), true)
        self.ticks = ticks
        labels = ticks.map { Self.label($0, step: $0, .plain) }
    }

    /// How far along the axis a value is, 0…1; values beyond its ends stay at them.
    func share(_ value: Double) -> Double {
        let share =
            isLogarithmic
            ? (log10(max(value, lower)) - log10(lower)) / (log10(upper) - log10(lower))
            : (value - lower) / (upper - lower)
        return share.isFinite ? min(1, max(0, share)) : 0
    }

    /// The smallest of 1, 2, 5, 10… that leaves no more than about `target` ticks in `span`.
    static func step(_ span: Double, target: Int, atLeast least: Double) -> Double {
        let raw = max(span / Double(max(1, target)), least)
        let power = pow(10, (log10(raw) + 1e-9).rounded(.down))
        let factor = raw / power
        return (factor <= 1.0001 ? 1 : factor <= 2.0001 ? 2 : factor <= 5.0001 ? 5 : 10) * power
    }

    /// A tick's number with as many places as its step has.
    static func label(_ value: Double, step: Double, _ unit: Report.Unit) -> String {
        let (value, step) = unit == .percent ? (value * 100, step * 100) : (value, step)
        let isOrdinary = value == 0 || (step >= 0.99e-4 && abs(value) < 1e6)
        let places = max(0, Int((-log10(step) - 1e-9).rounded(.up)))
        let text = value == 0 ? "0" : isOrdinary ? Report.number(value, places: places) : Report.scientific(value)
        return unit == .percent ? text + "\u{00A0}%" : text
    }
}
