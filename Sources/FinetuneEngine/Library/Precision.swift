// The arithmetic that a program runs in.

internal import CFinetuneDNNL

/// Number formats of a program's activations and filters. Sums are kept in 32 bits in every one; what a network says in
/// fewer bits than fp32 is an approximation of what it says in fp32.
public enum Precision: String, Sendable, CaseIterable {
    /// IEEE 754 single precision.
    case fp32
    /// bfloat16: the range of fp32 with 8 bits of mantissa.
    case bf16
    /// 8-bit integers, at scales that were chosen on a user's images; what suits no integers is computed in `native`.
    case int8

    /// The fastest precision that this processor computes natively and that needs no choice of scales.
    public static var native: Precision { bf16.isNative ? .bf16 : .fp32 }

    /// Whether this processor has instructions for the precision; without them it would be emulated, slowly.
    public var isNative: Bool {
        switch self {
        case .fp32: true
        case .bf16: finetune_has_native_bfloat16() != 0
        case .int8: finetune_has_integer_kernels() != 0
        }
    }

    /// Whether this processor computes in the precision at all, be it slowly.
    public var isAvailable: Bool { isNative || (self == .bf16 && finetune_emulates_bfloat16() != 0) }

    /// Whether it computes gradients.
    public var learns: Bool { self != .int8 }
}
