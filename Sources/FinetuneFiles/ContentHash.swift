// What a picture or a network is, in 128 bits: the same bytes, the same hash, wherever they lie.

internal import CFinetuneXXHash

/// The 128-bit XXH3 hash of some bytes (xxHash 0.8's canonical form). Not for secrets.
package struct ContentHash: Sendable, Hashable {
    package let high: UInt64
    package let low: UInt64

    /// A hash that was kept as two numbers.
    package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

    /// - Parameter key: Another key gives an unrelated hash of the same bytes.
    package init(of bytes: RawSpan, key: UInt64 = 0) {
        let hash = bytes.withUnsafeBytes { XXH3_128bits_withSeed($0.baseAddress, $0.count, key) }
        (high, low) = (hash.high64, hash.low64)
    }

    package init(of bytes: [UInt8], key: UInt64 = 0) { self.init(of: bytes.span.bytes, key: key) }

    package init(of text: String, key: UInt64 = 0) { self.init(of: Array(text.utf8), key: key) }

    /// A hash that was kept as its text.
    package init?(text: String) {
        let digits = Array(text.utf8)
        guard digits.count == 32, let high = UInt64(String(decoding: digits[..<16], as: UTF8.self), radix: 16),
            let low = UInt64(String(decoding: digits[16...], as: UTF8.self), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    /// 32 hexadecimal digits.
    package var text: String {
        func digits(_ value: UInt64) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        return digits(high) + digits(low)
    }

    /// The lower 64 bits: any two of a million images share them with a probability of 3·10⁻⁸.
    package var half: UInt64 { low }

    /// The hash as a number in 0..<1.
    package var unitInterval: Double { Double(high >> 11) * 0x1p-53 }
}
