// Arithmetic that Swift's compiler makes vector instructions of.

#ifndef FINETUNE_MATH_SHIM_H
#define FINETUNE_MATH_SHIM_H

/// Eight numbers, Swift's `SIMD8<Float>`.
typedef float finetune_lanes __attribute__((ext_vector_type(8)));

/// Square roots as the processor rounds them. Swift's `squareRoot()` is C's `sqrtf`, which sets `errno` for a negative
/// number: with it a loop takes one number at a time.
static inline finetune_lanes finetune_square_roots(finetune_lanes x) { return __builtin_elementwise_sqrt(x); }

#endif
