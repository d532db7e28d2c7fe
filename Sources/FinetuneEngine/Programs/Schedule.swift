// How the learning rate changes from its initial value, which every formula starts from (never from the current one).

internal import Glibc

/// The factor of the initial learning rate over a training.
public struct Schedule: Sendable, Equatable {
    /// What follows the warm-up; `t` counts from its end, `T` is what is left then.
    public enum Decay: Sendable, Equatable {
        /// 1
        case constant
        /// `F^⌊t/S⌋`: `torch.optim.lr_scheduler.StepLR`, `S` in epochs.
        case step(every: Double, factor: Double)
        /// `½·(1 + cos(π·t/T))`: `CosineAnnealingLR` (Loshchilov and Hutter 2016, one cycle).
        case cosine
        /// `1 − t/T`: `LinearLR(start_factor=1, end_factor=0)`.
        case linear
    }

    /// What follows the warm-up.
    public var decay: Decay
    /// Epochs in which the rate rises from 0, linearly (Goyal et al. 2017); they are part of the training's.
    public var warmUp: Double

    /// - Parameters:
    ///   - decay: What follows the warm-up.
    ///   - warmUp: Epochs, 0 or more.
    public init(_ decay: Decay, warmUp: Double = 0) {
        self.decay = decay
        self.warmUp = warmUp
    }

    /// The factor after `epoch` epochs of `epochs`, which need not be whole.
    public func factor(after epoch: Double, of epochs: Double) -> Double {
        if epoch < warmUp { return max(epoch, 0) / warmUp }
        let share = epochs > warmUp ? min((epoch - warmUp) / (epochs - warmUp), 1) : 1
        switch decay {
        case .constant: return 1
        // A step lies where the count of epochs is whole but for rounding.
        case .step(let every, let factor): return pow(factor, ((epoch - warmUp) / every + 1e-9).rounded(.down))
        case .cosine: return (1 + cos(.pi * share)) / 2
        case .linear: return 1 - share
        }
    }
}
