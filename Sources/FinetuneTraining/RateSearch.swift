// A learning rate for this network and these images: the range test of Smith (2015).

internal import FinetuneEngine
internal import Glibc

/// Raises the rate from step to step until the loss no longer falls; a tenth of where it was lowest is the answer.
enum RateSearch {
    static let lowest = 1e-4
    static let highest = 1.0

    /// The rates that are tried.
    static func rates(steps: Int) -> [Double] {
        (0..<steps).map { lowest * pow(highest / lowest, Double($0) / Double(max(steps - 1, 1))) }
    }

    /// The rate that the losses speak for.
    ///
    /// - Parameter losses: The loss before the step with each of `rates`, fewer where the test ended early.
    static func choose(_ rates: [Double], _ losses: [Double]) -> Double {
        var smooth: [Double] = []
        var average = 0.0
        for (index, loss) in losses.enumerated() {
            average = 0.7 * average + 0.3 * loss
            smooth.append(average / (1 - pow(0.7, Double(index + 1))))
        }
        // The loss of a step tells of the rates before it.
        guard let best = smooth.indices.dropFirst().min(by: { smooth[$0] < smooth[$1] }) else { return lowest }
        return max(lowest, rates[best - 1] / 10)
    }

    /// Whether a loss shows that the rate has become too large.
    static func hasBlownUp(_ loss: Double, lowest: Double) -> Bool { !loss.isFinite || loss > 4 * lowest + 1 }
}
