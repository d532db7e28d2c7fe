// What is kept of a picture so that its copies are found: its size, its kind of file, and itself as a small gray image.

internal import Glibc

/// A picture in about a thousand numbers.
package struct Fingerprint: Sendable, Equatable {
    /// Pixels of the picture, upright.
    package let width: Int
    package let height: Int
    /// What its file is; nil for one that came out of an array.
    package let format: PictureFormat?
    /// The highest number of a picture of 16 bits; nil for others.
    package let highest: Int?
    /// Shades of gray, shape `[side, side]`: the mean of each part of the picture.
    package let shades: [UInt8]

    /// Shades on a side.
    package static let side = 32

    package init(_ picture: Picture, format: PictureFormat?) {
        (width, height) = (picture.width, picture.height)
        self.format = format
        highest = picture.highest
        shades = Self.shades(of: picture)
    }

    /// Means over the parts of a grid. Of a large picture every part is known well enough from 16 × 16 of its pixels.
    private static func shades(of picture: Picture) -> [UInt8] {
        func samples(_ size: Int) -> [[Int]] {
            (0..<side).map { part in
                let start = part * size / side
                let end = max(start + 1, ((part + 1) * size + side - 1) / side)
                return Array(stride(from: start, to: end, by: max(1, (end - start) / 16)))
            }
        }
        let (columns, rows) = (samples(picture.width), samples(picture.height))
        let channels = picture.channels
        let pixels = picture.bytes
        return rows.flatMap { rows in
            columns.map { columns in
                var sum = 0
                for row in rows {
                    for column in columns {
                        let place = (row &* picture.width &+ column) &* channels
                        // ITU-R 601-2, as in `Picture.gray`, in units of 1/65536.
                        sum &+=
                            channels == 1
                            ? Int(pixels[place]) &* 65536
                            : Int(pixels[place]) &* 19595 &+ Int(pixels[place &+ 1]) &* 38470
                                &+ Int(pixels[place &+ 2]) &* 7471
                    }
                }
                return UInt8(clamping: (sum / (rows.count * columns.count) + 0x8000) >> 16)
            }
        }
    }
}

extension Fingerprint {
    /// What is known of a picture beside its shades.
    package struct Facts: Sendable {
        /// Pixels, upright.
        package let size: (width: Int, height: Int)
        package let format: PictureFormat?
        /// The highest number of a picture of 16 bits; nil for others.
        package let highest: Int?

        package init(size: (width: Int, height: Int), format: PictureFormat? = nil, highest: Int? = nil) {
            (self.size, self.format, self.highest) = (size, format, highest)
        }
    }

    package var facts: Facts { Facts(size: (width, height), format: format, highest: highest) }
}

// MARK: - As numbers

extension Fingerprint {
    /// How many numbers `numbers` has.
    package static let numberCount = headCount + side * side
    private static let headCount = 8

    /// The fingerprint as whole numbers up to 2,048, which 16 bits of a float hold exactly.
    package var numbers: [Float] {
        [
            Float(format?.rawValue ?? 0), Float(width / 1024), Float(width % 1024), Float(height / 1024),
            Float(height % 1024), highest == nil ? 0 : 1, Float((highest ?? 0) / 1024), Float((highest ?? 0) % 1024),
        ] + shades.map { Float($0) }
    }

    /// Nil for numbers that are no fingerprint.
    package init?(numbers: [Float]) {
        guard numbers.count == Self.numberCount, numbers.allSatisfy({ (0...2048).contains($0) }) else { return nil }
        let head = numbers.prefix(Self.headCount).map { Int($0) }
        format = PictureFormat(rawValue: head[0])
        (width, height) = (head[1] * 1024 + head[2], head[3] * 1024 + head[4])
        highest = head[5] == 0 ? nil : head[6] * 1024 + head[7]
        shades = numbers.dropFirst(Self.headCount).map { UInt8(clamping: Int($0)) }
    }
}

// MARK: - Being alike

extension Fingerprint {
    /// How alike two pictures' shades are.
    package struct Likeness: Sendable {
        /// The correlation of the shades, −1…1: Pearson's, as `numpy.corrcoef`. 0 where one of them is flat.
        package let shades: Double
        /// That of the steps from each shade to its neighbours at the right and below. Two different things of one outline
        /// before one background have much the same shades, and not the same steps.
        package let steps: Double
    }

    /// - Parameter isMirrored: Whether the second is turned left to right first.
    package static func likeness(_ a: [UInt8], _ b: [UInt8], isMirrored: Bool) -> Likeness {
        func mirrored(_ row: Int, _ column: Int) -> Int { row &* side &+ (isMirrored ? side &- 1 &- column : column) }
        var (shades, steps) = (Correlation(), Correlation())
        for row in 0..<side {
            for column in 0..<side {
                let (x, y) = (Int(a[row &* side &+ column]), Int(b[mirrored(row, column)]))
                shades.add(x, y)
                if column + 1 < side {
                    steps.add(Int(a[row &* side &+ column &+ 1]) &- x, Int(b[mirrored(row, column &+ 1)]) &- y)
                }
                if row + 1 < side {
                    steps.add(Int(a[(row &+ 1) &* side &+ column]) &- x, Int(b[mirrored(row &+ 1, column)]) &- y)
                }
            }
        }
        return Likeness(shades: shades.value, steps: steps.value)
    }

    /// Pearson's correlation of whole numbers, from exact sums.
    private struct Correlation {
        var (count, sumA, sumB, squareA, squareB, product) = (0, 0, 0, 0, 0, 0)

        mutating func add(_ a: Int, _ b: Int) {
            count &+= 1
            sumA &+= a
            sumB &+= b
            squareA &+= a &* a
            squareB &+= b &* b
            product &+= a &* b
        }

        var value: Double {
            let spread = Double(count * squareA - sumA * sumA) * Double(count * squareB - sumB * sumB)
            return spread > 0 ? Double(count * product - sumA * sumB) / spread.squareRoot() : 0
        }
    }

    /// The hash by which pictures that may be alike find each other.
    package var hash: PerceptualHash? { PerceptualHash(shades) }
}

/// The signs of a picture's lowest 63 spatial frequencies, by a cosine transform (as pHash has it, Zauner 2010, with
/// signs in place of a median: so the hash of the mirrored picture is known, too).
package struct PerceptualHash: Sendable, Hashable {
    package let bits: UInt64

    /// Nil for a picture without any contrast.
    ///
    /// - Parameter shades: Those of a fingerprint.
    init?(_ shades: [UInt8]) {
        let side = Fingerprint.side
        guard let first = shades.first, shades.contains(where: { abs(Int($0) - Int(first)) > 4 }) else { return nil }
        // First along rows, then along columns; 8 frequencies each.
        var rows = [Float](repeating: 0, count: side * 8)
        for row in 0..<side {
            for u in 0..<8 {
                var sum: Float = 0
                for x in 0..<side { sum += Float(shades[row &* side &+ x]) * Self.cosines[u &* side &+ x] }
                rows[row &* 8 &+ u] = sum
            }
        }
        var bits: UInt64 = 0
        for (place, frequency) in Self.order.enumerated() {
            var sum: Float = 0
            for y in 0..<side { sum += rows[y &* 8 &+ frequency.u] * Self.cosines[frequency.v &* side &+ y] }
            if sum > 0 { bits |= 1 << UInt64(place) }
        }
        self.bits = bits
    }

    private init(bits: UInt64) { self.bits = bits }

    /// The hash of the picture turned left to right: what varies oddly along rows changes its sign.
    package var mirrored: PerceptualHash { PerceptualHash(bits: bits ^ Self.oddColumns) }

    /// Bits that differ, 0…63.
    package func distance(to other: PerceptualHash) -> Int { (bits ^ other.bits).nonzeroBitCount }

    /// cos(π (2x + 1) u / 2N), shape `[8, side]`.
    private static let cosines: [Float] = (0..<8).flatMap { u in
        (0..<Fingerprint.side).map { x in
            Float(cos(Double.pi * Double((2 * x + 1) * u) / Double(2 * Fingerprint.side)))
        }
    }

    /// The frequencies from low to high, without the mean.
    private static let order: [(u: Int, v: Int)] = (0..<64).map { (u: $0 % 8, v: $0 / 8) }.dropFirst()
        .sorted { ($0.u + $0.v, $0.u) < ($1.u + $1.v, $1.u) }

    private static let oddColumns: UInt64 = order.enumerated().reduce(0) { mask, entry in
        entry.element.u % 2 == 1 ? mask | 1 << UInt64(entry.offset) : mask
    }
}
