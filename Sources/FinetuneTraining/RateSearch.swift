// A learning rate for this network and these images: the range test of Smith (2015).

internal import FinetuneEngine
internal import Glibc

/// Raises the rate from step to step until the loss no longer falls; a fifth of where it was lowest is the answer.
///
/// A few batches take turns, and the loss is the mean of the last turn: batches differ from one another by more than a
/// small step changes, and in a mean over the same ones that cancels.
enum RateSearch {
    /// Batches that take turns.
    static let batches = 4
    /// What is tried, from the lowest rate to the highest: 10⁻⁴ to 1, or 10⁻⁶ to 10⁻² where steps are as long as the
    /// rate says, whatever the gradients are.
    static func rates(for optimizer: Optimizer) -> [Double] {
        (0..<28).map { (optimizer.isAdaptive ? 1e-6 : 1e-4) * pow(1e4, Double($0) / 27) }
    }

    /// The rate that the losses speak for.
    ///
    /// - Parameters:
    ///   - rates: What was tried.
    ///   - losses: The loss before the step with each of `rates`, fewer where the test ended early.
    ///   - batches: How many batches took turns.
    static func choose(_ rates: [Double], _ losses: [Double], batches: Int) -> Double {
        let means = losses.indices.dropFirst(batches - 1).map { last in
            losses[(last - batches + 1)...last].reduce(0, +) / Double(batches)
        }
        guard let best = means.indices.min(by: { means[$0] < means[$1] }) else { return rates[0] }
        // The middle of the turn: its first loss knows of no step in it, its last of all but one.
        return max(rates[0], rates[best + batches / 2] / 5)
    }

    /// Whether a loss shows that the rate has become too large.
    static func hasBlownUp(_ loss: Double, lowest: Double) -> Bool { !loss.isFinite || loss > 2 * lowest + 1 }
}
