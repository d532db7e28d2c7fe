// Post-training quantization: which values of a network are kept as 8-bit integers, and at what scale (Jacob et al. 2018).
//
// Values that are never negative, as after a ReLU, are unsigned integers; filters have a scale each. A convolution of
// unsigned integers sums them exactly in 32 bits, and where the processor has instructions for it so does the first one,
// whose image is signed. What has no range, or is computed from other signed numbers, stays float.

/// How a value is kept: a number is about `integer · scale`.
struct Quantization: Equatable {
    var scale: Float
    /// −127…127, or 0…255.
    var isSigned: Bool

    /// - Parameter range: The largest magnitude that is told from larger ones; where it is 0, all numbers are.
    init(range: Float, isSigned: Bool) {
        scale = range > 0 ? range / Float(Self.levels(isSigned: isSigned)) : 1
        self.isSigned = isSigned
    }

    /// Integers above zero.
    static func levels(isSigned: Bool) -> Int { isSigned ? 127 : 255 }
}

/// What of a lowered network is quantized.
struct QuantizationPlan {
    private var values: [Int: Quantization] = [:]

    /// Nothing.
    init() {}

    /// - Parameters:
    ///   - ranges: The range of each step's values by the step's name, and of the image's.
    ///   - hasWideSums: Whether the processor adds products in 32 bits: see `QuantizedFilters`. The image is quantized
    ///     there alone.
    init(_ lowering: Lowering, ranges: [String: Float], hasWideSums: Bool) {
        if hasWideSums, let range = ranges[Node.image] { values[0] = Quantization(range: range, isSigned: true) }
        var addends: Set<Int> = []
        for step in lowering.steps {
            if case .convolution(_, let residual?, .relu) = step.kind { addends.insert(residual) }
        }
        for step in lowering.steps {
            guard let range = ranges[step.name], range.isFinite, range >= 0 else { continue }
            if step.isNonnegative {
                values[step.output] = Quantization(range: range, isSigned: false)
            } else if addends.contains(step.output) {
                values[step.output] = Quantization(range: range, isSigned: true)
            }
            // What is left of a maximum's input is the maximum.
            if case .maxPooling = step.kind, step.input != 0, values[step.input] != nil {
                values[step.input] = values[step.output]
            }
        }
    }

    /// How a value is kept; nil for one that is not quantized.
    subscript(value: Int) -> Quantization? { values[value] }

    /// What a convolution reads, where it can be computed on integers.
    func source(of step: Step) -> Quantization? {
        guard case .convolution(_, _, let activation) = step.kind, activation == nil || activation == .relu,
            let quantization = values[step.input], !quantization.isSigned || step.input == 0
        else { return nil }
        return quantization
    }
}

/// The filters of a convolution as integers, each filter with a scale of its own.
struct QuantizedFilters {
    /// `[filters]`; a filter is about `integers · scale`.
    let scales: [Float]
    private let weight: Tensor

    /// - Parameters:
    ///   - weight: Shape `[filters, channels, height, width]`.
    ///   - hasWideSums: Whether the processor adds products in 32 bits. Elsewhere those of two neighbouring channels are
    ///     added in 16 bits, which 255 times the sum of two filters' numbers must not overflow.
    init(_ weight: Tensor, hasWideSums: Bool) {
        let filters = weight.shape[0]
        let pixels = weight.shape[2] * weight.shape[3]
        let size = weight.count / max(filters, 1)
        scales = [Float](unsafeUninitializedCapacity: filters) { scales, written in
            weight.withUnsafeBufferPointer { values in
                nonisolated(unsafe) let scales = scales
                ParallelLoop.run(filters, grain: Self.grain(size)) { range in
                    for filter in range {
                        let values = UnsafeBufferPointer(rebasing: values[filter * size..<(filter + 1) * size])
                        let largest = Self.largest(values, pixels: pixels, hasWideSums: hasWideSums)
                        scales[filter] = largest > 0 ? largest / 127 : 1
                    }
                }
            }
            written = filters
        }
        self.weight = weight
    }

    /// The integers, in the order of the filters' floats.
    func integers() -> [Int8] {
        let size = weight.count / max(scales.count, 1)
        return [Int8](unsafeUninitializedCapacity: weight.count) { integers, written in
            weight.withUnsafeBufferPointer { values in
                nonisolated(unsafe) let integers = integers
                ParallelLoop.run(scales.count, grain: Self.grain(size)) { range in
                    for filter in range {
                        let scale = scales[filter]
                        for index in filter * size..<(filter + 1) * size {
                            integers[index] = max(-127, min(127, values[index] / scale)).nearestInteger
                        }
                    }
                }
            }
            written = weight.count
        }
    }

    /// Filters that one thread takes at a time: some 16,000 numbers.
    private static func grain(_ size: Int) -> Int { max(1, 16384 / max(size, 1)) }

    /// The magnitude that becomes 127: that of the largest number, or of what two neighbouring channels can add up to.
    ///
    /// Of two numbers of one sign that is their sum's; of others the sum's is no larger than theirs.
    private static func largest(_ filter: UnsafeBufferPointer<Float>, pixels: Int, hasWideSums: Bool) -> Float {
        var largest = RowKernels.largestMagnitude(filter)
        guard !hasWideSums else { return largest }
        for first in stride(from: 0, through: filter.count - 2 * pixels, by: 2 * pixels) {
            for index in first..<first + pixels {
                let magnitude = abs(filter[index] + filter[index + pixels])
                if magnitude > largest, magnitude < .infinity { largest = magnitude }
            }
        }
        return largest
    }
}

extension Float {
    /// The nearest whole number, an even one of two as near, of numbers from −128 to 127: without the call that
    /// `rounded()` is where the processor's instructions are not known.
    fileprivate var nearestInteger: Int8 {
        // 3·2²² leaves no bits for a fraction, and the lowest eight are the number in two's complement.
        Int8(truncatingIfNeeded: (self + 12_582_912).bitPattern)
    }
}
