// The range of a value that 8-bit integers lose least of: a histogram, and the cut with the smallest squared error.

/// Magnitudes of one value, counted.
///
/// Bins are a power of two wide and grow as larger numbers come, two into one, so that counts do not depend on the order
/// in which numbers were seen, nor on who saw them.
package struct MagnitudeHistogram: Sendable, Equatable {
    private var counts = [Int](repeating: 0, count: Self.binCount)
    /// Bins are 2 to this wide.
    private var exponent = Self.smallestExponent
    private var hasNegatives = false

    private static let binCount = 4096
    /// Of bins for numbers below 10⁻⁶.
    private static let smallestExponent = -32

    package init() {}

    /// Counts numbers; zeros, which every scale keeps, and what is not finite are passed over.
    package mutating func add(_ values: UnsafeBufferPointer<Float>) {
        let largest = RowKernels.largestMagnitude(values)
        hasNegatives = hasNegatives || Self.hasNegatives(values)
        while largest >= Float(Self.binCount) * width { widen(to: exponent + 1) }
        let inverse = 1 / width
        counts.withUnsafeMutableBufferPointer { counts in
            for value in values {
                let magnitude = abs(value)
                guard magnitude > 0, magnitude < .infinity else { continue }
                counts[min(Int(magnitude * inverse), Self.binCount - 1)] &+= 1
            }
        }
    }

    private static func hasNegatives(_ values: UnsafeBufferPointer<Float>) -> Bool {
        // Without a way out, the compiler makes vectors of it. A zero has no magnitude, whatever its sign.
        var magnitudes: UInt32 = 0
        for value in values {
            let bits = value.bitPattern
            magnitudes |= (0 &- bits >> 31) & bits
        }
        return magnitudes & 0x7fff_ffff != 0
    }

    /// Adds what another one counted.
    package mutating func merge(_ other: MagnitudeHistogram) {
        var other = other
        widen(to: other.exponent)
        other.widen(to: exponent)
        for bin in counts.indices { counts[bin] += other.counts[bin] }
        hasNegatives = hasNegatives || other.hasNegatives
    }

    private var width: Float { Float(sign: .plus, exponent: exponent, significand: 1) }

    private mutating func widen(to wanted: Int) {
        while exponent < wanted {
            for bin in 0..<Self.binCount / 2 { counts[bin] = counts[2 * bin] + counts[2 * bin + 1] }
            for bin in Self.binCount / 2..<Self.binCount { counts[bin] = 0 }
            exponent += 1
        }
    }

    /// The magnitude at which numbers are best cut off before they become 8-bit integers: the one with the smallest sum
    /// of squared errors, of rounding below and of cutting above. 0 where every number was 0.
    ///
    /// A number inside the range is wrong by Δ²/12 on average, Δ being a level; one above it by the square of what is cut.
    package var range: Float {
        let levels = Quantization.levels(isSigned: hasNegatives)
        guard let last = counts.lastIndex(where: { $0 > 0 }) else { return 0 }
        let width = Double(width)
        var below = Double(counts.reduce(0, +))
        // Of the numbers above the cut: how many, their sum, the sum of their squares.
        var (count, sum, squares) = (0.0, 0.0, 0.0)
        var best = (range: 0.0, error: Double.infinity)
        for bin in stride(from: last, through: 0, by: -1) {
            let cut = Double(bin + 1) * width
            let step = cut / Double(levels)
            let error = below * step * step / 12 + squares - 2 * cut * sum + cut * cut * count
            if error < best.error { best = (cut, error) }
            let (here, middle) = (Double(counts[bin]), (Double(bin) + 0.5) * width)
            below -= here
            count += here
            sum += here * middle
            squares += here * middle * middle
        }
        return Float(best.range)
    }
}

/// Collects the histograms of a program's values by the names of its steps. Lives on the engine's thread.
final class RangeObserver {
    private(set) var histograms: [String: MagnitudeHistogram] = [:]
    /// Images in the batch that is run: what follows them is padding.
    var images = 0

    /// Numbers of an image that are enough.
    private static let sample = 4096
    /// How far apart they may be: primes that share no factor with the counts of channels, so that they are of all.
    private static let steps = [1, 11, 23, 47, 97, 197, 397]

    /// Looks at the same numbers of an image, whatever its place in the batch.
    ///
    /// - Parameters:
    ///   - values: Of a batch, image by image, in `precision`, which is fp32 or bf16.
    ///   - count: How many they are.
    func observe(_ name: String, _ values: UnsafeRawPointer, count: Int, _ precision: Precision, batch: Int) {
        let size = count / batch
        let step = Self.steps.last { $0 * Self.sample <= size } ?? 1
        withUnsafeTemporaryAllocation(of: Float.self, capacity: (size + step - 1) / step) { sample in
            for image in 0..<images {
                for index in sample.indices {
                    let place = image * size + index * step
                    sample[index] =
                        precision == .bf16
                        ? BFloat16.value(of: values.load(fromByteOffset: place * 2, as: UInt16.self))
                        : values.load(fromByteOffset: place * 4, as: Float.self)
                }
                histograms[name, default: MagnitudeHistogram()].add(UnsafeBufferPointer(sample))
            }
        }
    }
}
