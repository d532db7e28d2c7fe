// Limited-memory BFGS (Nocedal and Wright 2006, algorithms 7.4 and 7.5) with a line search for the strong Wolfe
// conditions (algorithms 3.5 and 3.6): the minimum of a smooth convex function, to the gradient's last digits.

package struct LBFGS {
    /// How many steps it remembers.
    package var memory = 10
    package var maximumIterations = 2000
    /// The largest component of the gradient at which it stops.
    package var tolerance = 1e-4

    package init() {}

    package struct Result {
        package var x: [Double]
        package var value: Double
        package var iterations: Int
    }

    /// Minimizes `function` from `start`.
    ///
    /// - Parameter function: Gives the value at a point and writes its gradient.
    package func minimize(from start: [Double], _ function: ([Double], inout [Double]) -> Double) -> Result {
        var x = start
        var gradient = [Double](repeating: 0, count: x.count)
        var value = function(x, &gradient)
        var history: [(s: [Double], y: [Double], rho: Double)] = []
        var iteration = 0
        while iteration < maximumIterations, gradient.largest > tolerance {
            iteration += 1
            var direction = Self.direction(gradient, history)
            var slope = direction.dot(gradient)
            if slope >= 0 {  // Rounding spoiled the memory: begin anew along the gradient.
                history.removeAll()
                direction = gradient.map { -$0 }
                slope = direction.dot(gradient)
            }
            let first = history.isEmpty ? min(1, 1 / max(gradient.largest, 1e-12)) : 1
            guard let step = Self.search(x, value, slope, direction, first, function) else { break }
            let s = zip(step.x, x).map { $0 - $1 }
            let y = zip(step.gradient, gradient).map { $0 - $1 }
            let product = s.dot(y)
            if product > 1e-14 * y.dot(y) {
                history.append((s, y, 1 / product))
                if history.count > memory { history.removeFirst() }
            }
            let decrease = value - step.value
            (x, value, gradient) = (step.x, step.value, step.gradient)
            // The function is no longer told apart from its rounding.
            if decrease <= 1e-12 * max(abs(value), 1) { break }
        }
        return Result(x: x, value: value, iterations: iteration)
    }

    /// `−H·g` by the two-loop recursion.
    private static func direction(_ gradient: [Double], _ history: [(s: [Double], y: [Double], rho: Double)])
        -> [Double]
    {
        var q = gradient
        var alphas: [Double] = []
        for (s, y, rho) in history.reversed() {
            let alpha = rho * s.dot(q)
            alphas.append(alpha)
            for index in q.indices { q[index] -= alpha * y[index] }
        }
        if let last = history.last {
            let scale = 1 / (last.rho * last.y.dot(last.y))
            for index in q.indices { q[index] *= scale }
        }
        for ((s, y, rho), alpha) in zip(history, alphas.reversed()) {
            let beta = rho * y.dot(q)
            for index in q.indices { q[index] += (alpha - beta) * s[index] }
        }
        return q.map { -$0 }
    }

    private struct Point {
        var step: Double
        var x: [Double]
        var value: Double
        var gradient: [Double]
        var slope: Double
    }

    /// A point along `direction` that satisfies the strong Wolfe conditions; nil where none is found.
    private static func search(
        _ x: [Double], _ value: Double, _ slope: Double, _ direction: [Double], _ first: Double,
        _ function: ([Double], inout [Double]) -> Double
    ) -> Point? {
        let (sufficient, curvature) = (1e-4, 0.9)
        func point(_ step: Double) -> Point {
            let trial = zip(x, direction).map { $0 + step * $1 }
            var gradient = [Double](repeating: 0, count: x.count)
            let value = function(trial, &gradient)
            return Point(step: step, x: trial, value: value, gradient: gradient, slope: gradient.dot(direction))
        }
        func isLow(_ point: Point) -> Bool { point.value <= value + sufficient * point.step * slope }
        func isFlat(_ point: Point) -> Bool { abs(point.slope) <= -curvature * slope }
        /// Narrows an interval that holds a good point; `low` is the better end.
        func zoom(_ low: Point, _ high: Point) -> Point? {
            var (low, high) = (low, high)
            for _ in 0..<30 {
                let trial = point((low.step + high.step) / 2)
                if !isLow(trial) || trial.value >= low.value {
                    high = trial
                } else {
                    if isFlat(trial) { return trial }
                    if trial.slope * (high.step - low.step) >= 0 { high = low }
                    low = trial
                }
            }
            return low.step > 0 && low.value < value ? low : nil
        }
        var previous = Point(step: 0, x: x, value: value, gradient: [], slope: slope)
        var step = first
        for round in 0..<20 {
            let trial = point(step)
            if !trial.value.isFinite || !isLow(trial) || (round > 0 && trial.value >= previous.value) {
                return zoom(previous, trial)
            }
            if isFlat(trial) { return trial }
            if trial.slope >= 0 { return zoom(trial, previous) }
            previous = trial
            step *= 2
        }
        return previous.step > 0 ? previous : nil
    }
}

extension [Double] {
    fileprivate func dot(_ other: [Double]) -> Double {
        var sum = 0.0
        for index in indices { sum += self[index] * other[index] }
        return sum
    }

    fileprivate var largest: Double { reduce(0) { Swift.max($0, abs($1)) } }
}
