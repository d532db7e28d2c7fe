// The same picture twice, byte for byte or scaled, compressed again or mirrored: hashes propose, pixels decide.

package import FinetuneFiles

/// Which images of a set are copies of others.
package struct CopySearch: Sendable {
    /// Two images of different content that show the same.
    package struct Pair: Sendable, Equatable {
        /// Places in the set; the first is the smaller one.
        package let first: Int
        package let second: Int
        package let isMirrored: Bool
        /// Of their fingerprints' shades.
        package let correlation: Double
    }

    /// Images of the same content, two and more, ascending.
    package let exact: [[Int]]
    /// Pairs that were confirmed by their pixels, of the first image of each content.
    package let near: [Pair]
    /// Whether so many images are alike that likeness says nothing here, as with a camera that never moves; then only
    /// the same content counts as a copy.
    package let areAllAlike: Bool
    /// For each image the number of its set of copies; nil where it has none.
    package let sets: [Int?]

    /// From this correlation of shades on, two pictures show the same, if their steps agree as well.
    private static let leastCorrelation = 0.98
    /// Copies of photographs that were halved or compressed at a quality of 30 keep 0.986 and more; the likest of 5,000
    /// different pictures of clothes reach 0.97.
    private static let leastCorrelationOfSteps = 0.97
    /// Bits of perceptual hashes that may differ in pairs worth a look at their pixels.
    private static let mostBits = 14
    /// Where more than this share of the images hang together, likeness says nothing.
    private static let shareOfAllAlike = 0.5
    /// Fewer images than this are never all alike by chance.
    private static let fewest = 40

    /// Searches.
    ///
    /// - Parameters:
    ///   - contents: The content hash of each image.
    ///   - hashes: The perceptual hash of each; nil for what is no picture, or a flat one.
    ///   - shades: The shades of the fingerprint of an image.
    package init(_ contents: [ContentHash], _ hashes: [PerceptualHash?], shades: @escaping (Int) -> [UInt8]?) {
        var sets = DisjointSets(contents.count)
        var firsts: [ContentHash: Int] = [:]
        for (index, content) in contents.enumerated() {
            if let first = firsts[content] { sets.join(first, index) } else { firsts[content] = index }
        }
        exact = sets.several()
        let different = firsts.values.sorted().filter { hashes[$0] != nil }
        near = Self.pairs(different, hashes, shades)
        var alike = DisjointSets(contents.count)
        for pair in near { alike.join(pair.first, pair.second) }
        let most = alike.several().map(\.count).max() ?? 0
        areAllAlike =
            different.count >= Self.fewest && Double(most) > Self.shareOfAllAlike * Double(different.count)
        if !areAllAlike { for pair in near { sets.join(pair.first, pair.second) } }
        var numbers = [Int?](repeating: nil, count: contents.count)
        for (number, members) in sets.several().enumerated() { for index in members { numbers[index] = number } }
        self.sets = numbers
    }

    /// Images that share eight bits in a row of their hashes, or of the mirrored one, and differ in few of all.
    private static func pairs(_ images: [Int], _ hashes: [PerceptualHash?], _ shades: @escaping (Int) -> [UInt8]?)
        -> [Pair]
    {
        var found: [Pair] = []
        let known = images.compactMap { index in hashes[index].map { (index: index, hash: $0) } }
        var kept = ShadesKeeper(shades)
        for isMirrored in [false, true] {
            var seen: Set<UInt64> = []
            for band in 0..<8 {
                var buckets = [[Int]](repeating: [], count: 256)
                for (place, image) in known.enumerated() { buckets[image.hash.band(band)].append(place) }
                for (place, image) in known.enumerated() {
                    let hash = isMirrored ? image.hash.mirrored : image.hash
                    for other in buckets[hash.band(band)] where other > place {
                        guard hash.distance(to: known[other].hash) <= mostBits,
                            seen.insert(UInt64(place) << 32 | UInt64(other)).inserted
                        else { continue }
                        guard let a = kept.shades(image.index), let b = kept.shades(known[other].index) else {
                            continue
                        }
                        let likeness = Fingerprint.likeness(a, b, isMirrored: isMirrored)
                        guard likeness.shades >= leastCorrelation, likeness.steps >= leastCorrelationOfSteps else {
                            continue
                        }
                        found.append(
                            Pair(
                                first: image.index, second: known[other].index, isMirrored: isMirrored,
                                correlation: likeness.shades))
                    }
                }
            }
        }
        // A picture that is its own mirror image is found twice.
        var best: [UInt64: Pair] = [:]
        for pair in found {
            let key = UInt64(pair.first) << 32 | UInt64(pair.second)
            if best[key].map({ $0.correlation >= pair.correlation }) != true { best[key] = pair }
        }
        return best.values.sorted { ($0.first, $0.second) < ($1.first, $1.second) }
    }

    /// Shades that were asked for lately: candidates of one image come one after the other.
    private struct ShadesKeeper {
        private let source: (Int) -> [UInt8]?
        private var kept: [Int: [UInt8]] = [:]

        init(_ source: @escaping (Int) -> [UInt8]?) { self.source = source }

        mutating func shades(_ index: Int) -> [UInt8]? {
            if let shades = kept[index] { return shades }
            if kept.count >= 20_000 { kept.removeAll(keepingCapacity: true) }
            let shades = source(index)
            kept[index] = shades
            return shades
        }
    }
}

extension PerceptualHash {
    /// Eight of the bits, those of the lowest frequencies first.
    fileprivate func band(_ number: Int) -> Int { Int(bits >> UInt64(8 * number) & 0xFF) }
}
