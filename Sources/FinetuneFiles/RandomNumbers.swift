// Random numbers that depend on nothing but their seed and their place.

internal import Glibc

/// SplitMix64 (Steele, Lea and Flood 2014): a random sequence for each pair of seed and stream.
package struct RandomNumbers: RandomNumberGenerator {
    private var state: UInt64
    private static let step: UInt64 = 0x9E37_79B9_7F4A_7C15

    package init(seed: UInt64, stream: UInt64) {
        state = seed
        state = next() ^ stream
        state = next()
    }

    package mutating func next() -> UInt64 {
        state &+= Self.step
        return Self.mixed(state)
    }

    /// A number in 0..<1.
    package mutating func nextUnit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// A normal number of mean 0 and variance 1 (Box and Muller 1958).
    package mutating func nextNormal() -> Double {
        let radius = (-2 * log(1 - nextUnit())).squareRoot()
        return radius * cos(2 * .pi * nextUnit())
    }

    /// A number of the gamma distribution with unit scale (Marsaglia and Tsang 2000).
    package mutating func nextGamma(_ shape: Double) -> Double {
        guard shape >= 1 else { return nextGamma(shape + 1) * pow(1 - nextUnit(), 1 / shape) }
        let d = shape - 1 / 3.0
        let c = 1 / (9 * d).squareRoot()
        while true {
            let x = nextNormal()
            let v = pow(1 + c * x, 3)
            if v > 0, log(1 - nextUnit()) < x * x / 2 + d - d * v + d * log(v) { return d * v }
        }
    }

    /// A number of the beta distribution, 0…1.
    package mutating func nextBeta(_ a: Double, _ b: Double) -> Double {
        let (x, y) = (nextGamma(a), nextGamma(b))
        return x + y > 0 ? x / (x + y) : (nextUnit() < a / (a + b) ? 1 : 0)
    }

    /// The `index`-th number of the sequence that starts at `key`.
    package static func number(_ index: Int, key: UInt64) -> UInt64 {
        mixed(key &+ UInt64(truncatingIfNeeded: index &+ 1) &* step)
    }

    private static func mixed(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
