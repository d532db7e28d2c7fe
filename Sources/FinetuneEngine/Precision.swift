// The arithmetic that a program runs in.

internal import CFinetuneDNNL

/// Number formats of a program's activations and filters. Sums are kept in 32 bits in every one.
public enum Precision: String, Sendable, CaseIterable {
    /// IEEE 754 single precision.
    case fp32
    /// bfloat16: the range of fp32 with 8 bits of mantissa.
    case bf16

    /// The fastest precision that this processor computes natively.
    public static var native: Precision { bf16.isNative ? .bf16 : .fp32 }

    /// Whether this processor has instructions for the precision; without them it would be emulated, slowly.
    public var isNative: Bool { self == .fp32 || finetune_has_native_bfloat16() != 0 }
}
