// How the learning rate falls from its initial value, which every formula starts from (never from the current one).

internal import Glibc

/// The factor of the initial learning rate over a training.
package enum Schedule: String, Sendable, CaseIterable {
    case constant
    /// `½·(1 + cos(π·t/T))` (Loshchilov and Hutter 2016, one cycle).
    case cosine

    /// - Parameter share: The share `t/T` of all steps that is done, 0…1.
    package func factor(_ share: Double) -> Double {
        switch self {
        case .constant: 1
        case .cosine: (1 + cos(.pi * min(max(share, 0), 1))) / 2
        }
    }
}
