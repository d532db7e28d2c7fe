// Random numbers that depend on nothing but their seed and their place.

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
