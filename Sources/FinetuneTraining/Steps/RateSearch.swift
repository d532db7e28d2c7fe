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
    /// By so much the loss may rise.
    private let allowance: Double
    private var harmless: Double?
    private var harmful: Double?

    /// - Parameters:
    ///   - start: The loss before any step, of the images that are looked at.
    ///   - classes: Their number, which says how large a loss is: that of chance is its logarithm.
    init(for optimizer: Optimizer, start: Double, classes: Int) {
        self.start = start
        allowance = Self.tolerance * max(start, log(Double(classes)))
        // Ten decades: steps of adaptive optimizers are as long as the rate says, those of others as the gradient is, too.
        // A step of LAMB with a rate of 1 is as long as the weights themselves.
        range = optimizer.needsLengths ? 1e-9...1 : optimizer.isAdaptive ? 1e-9...10 : 1e-8...100
        fraction = optimizer.fractionOfHarmlessStep
    }

    /// The next rate to try; nil if it is known where harm begins.
    var next: Double? {
        guard let harmless else { return harmful == nil ? range.lowerBound : nil }
        guard let harmful else {
            return harmless < range.upperBound / 2 ? min(harmless * Self.decade * Self.decade, range.upperBound) : nil
        }
        if harmful > harmless * Self.decade * 1.5 { return harmless * Self.decade }
        return harmful > harmless * Self.fine * 1.5 ? harmless * Self.fine : nil
    }

    /// Takes in the loss after a step of the rate that `next` gave.
    mutating func record(_ loss: Double, after rate: Double) {
        trials.append(Trial(rate: rate, loss: loss))
        if loss.isFinite, loss <= limit { harmless = rate } else { harmful = rate }
    }

    /// The highest loss that is no sign of harm.
    private var limit: Double { start + allowance }

    /// Whether even the shortest step did harm.
    var isInVain: Bool { harmless == nil }

    /// The rate: a fraction of the longest step without harm, or of a shorter one.
    ///
    /// - Parameter restarts: How often a training with the rate diverged; each time the next shorter step counts that was
    ///   tried, or one a decade below.
    func rate(restarts: Int) -> Double {
        let steps = trials.filter { $0.loss.isFinite && $0.loss <= limit }.map(\.rate).sorted(by: >)
        var longest = steps.first ?? range.lowerBound
        for _ in 0..<restarts {
            let shorter = steps.first { $0 < longest } ?? 0
            longest = max(shorter, longest / Self.decade)
        }
        return fraction * longest
    }

    /// What was seen, for people.
    func sentence(restarts: Int) -> String {
        let shown = rate(restarts: restarts).rounded(toDigits: 3)
        let (first, rise) = (range.lowerBound.rounded(toDigits: 1), allowance.rounded(toDigits: 2))
        guard let harmless else {
            return
                "No learning rate was found: in \(trials.count.counted("trial step")), even with \(first) the loss of other images rose by more than \(rise). The training tries \(shown) and may change nothing. Try fewer trained layers or another --optimizer."
        }
        guard restarts == 0 else {
            return
                "Learning rate \(shown), from the next shorter trial step, because the training diverged (attempt \(restarts + 1))."
        }
        let part = fraction == 1 ? "" : " That is \(fraction.rounded(toPlaces: 1)) of the longest harmless step."
        let found = "Learning rate \(shown), found in \(trials.count) trial steps from \(first) on"
        guard let harmful else {
            return
                "\(found): no rate up to \(harmless.rounded(toDigits: 2)) raised the loss of other images by more than the \(rise) that are allowed.\(part)"
        }
        return
            "\(found): with \(harmless.rounded(toDigits: 2)) the loss of other images rose by no more than the \(rise) that are allowed, with \(harmful.rounded(toDigits: 2)) by more.\(part)"
    }

    private static let decade = 10.0
    private static let fine = pow(10, 1.0 / 3)
    /// By this fraction of the start's loss, or of chance's where that is larger, the loss may rise.
    private static let tolerance = 0.05
}

extension Optimizer {
    /// The rate of a training, as a fraction of the longest single step that does no harm: steps add up, those of momentum
    /// to ten times their length. The first step of LAMB is the worst, as each weight moves by the sign of one gradient.
    fileprivate var fractionOfHarmlessStep: Double {
        switch self {
        case .lamb: 1
        default: isAdaptive ? 0.3 : 0.1
        }
    }
}
