// A learning rate for this network and these images: how long a step may be before it does harm.

internal import FinetuneEngine
internal import FinetuneFiles
internal import Glibc

/// Takes one step of each length from where the training begins, from short to long, and looks at images that the step
/// was not computed from. The rate is a fraction of the longest step that does no harm.
///
/// Smith's range test (2015) goes on from step to step and looks at the loss of the images that it steps on. Here every
/// step begins anew, so that one gradient is enough, and a step that does harm leaves nothing behind.
struct RateSearch {
    /// A step and what came of it.
    struct Trial: Equatable {
        let rate: Double
        /// The loss after it, of the images that are looked at.
        let loss: Double
    }

    /// The loss before any step, of the images that are looked at.
    let start: Double
    /// In the order in which they were tried.
    private(set) var trials: [Trial] = []
    private let range: ClosedRange<Double>
    private let fraction: Double
    private var harmless: Double?
    private var harmful: Double?

    /// - Parameter start: The loss before any step, of the images that are looked at.
    init(for optimizer: Optimizer, start: Double) {
        self.start = start
        // Ten decades: steps of adaptive optimizers are as long as the rate says, those of others as the gradient is, too.
        range = optimizer.isAdaptive ? 1e-9...10 : 1e-8...100
        fraction = optimizer.fractionOfHarmlessStep
    }

    /// The next rate to try; nil if it is known where harm begins.
    var next: Double? {
        guard let harmless else { return harmful == nil ? range.lowerBound : nil }
        guard let harmful else { return harmless < range.upperBound / 2 ? harmless * Self.coarse : nil }
        return harmful > harmless * Self.fine * 1.5 ? harmless * Self.fine : nil
    }

    /// Takes in the loss after a step of the rate that `next` gave.
    mutating func record(_ loss: Double, after rate: Double) {
        trials.append(Trial(rate: rate, loss: loss))
        if loss.isFinite, loss <= limit { harmless = rate } else { harmful = rate }
    }

    /// The highest loss that is no sign of harm.
    private var limit: Double { start + Self.tolerance * (start + 0.1) }

    /// Whether even the shortest step did harm.
    var isInVain: Bool { harmless == nil }

    /// The rate: a fraction of the longest step without harm, or of a shorter one of those that were tried.
    ///
    /// - Parameter restarts: How often a training with the rate diverged; each time the next shorter step counts.
    func rate(restarts: Int) -> Double {
        let steps = trials.filter { $0.loss.isFinite && $0.loss <= limit }.map(\.rate).sorted(by: >)
        guard let last = steps.last else { return fraction * range.lowerBound * pow(0.1, Double(restarts)) }
        return fraction
            * (restarts < steps.count ? steps[restarts] : last * pow(0.1, Double(restarts - steps.count + 1)))
    }

    /// What was seen, for people.
    func sentence(restarts: Int) -> String {
        let shown = rate(restarts: restarts).rounded(toDigits: 3)
        let range =
            "from \(range.lowerBound.rounded(toDigits: 1)) to \((trials.map(\.rate).max() ?? 0).rounded(toDigits: 1))"
        guard let harmless else {
            return
                "No learning rate was found: \(trials.count) step\(trials.count == 1 ? "" : "s") \(range) all did harm. Training tries \(shown); it may change nothing. Try --unfreeze last, or --optimizer lamb."
        }
        let end =
            harmful.map { "harm begins at \($0.rounded(toDigits: 2))" } ?? "none did harm"
        let anew = restarts > 0 ? " The next shorter step counts, because the training diverged." : ""
        return
            "Learning rate \(shown): \(fraction) of the longest step without harm, \(harmless.rounded(toDigits: 2)). Of rates \(range), in \(trials.count) trial steps, \(end).\(anew)"
    }

    private static let coarse = 10.0
    private static let fine = pow(10, 1.0 / 3)
    /// By so much, as a fraction, the loss may rise.
    private static let tolerance = 0.05
}

extension Optimizer {
    /// The rate of a training, as a fraction of the longest single step that does no harm: steps add up, those of momentum
    /// to ten times their length.
    fileprivate var fractionOfHarmlessStep: Double { isAdaptive ? 0.3 : 0.1 }
}
