// Which word a misspelt one is closest to.

enum Spelling {
    /// The number of letters to insert, remove, replace or swap with their neighbour to get from one word to another: the
    /// optimal string alignment distance.
    static func distance(_ first: String, _ second: String) -> Int {
        let (a, b) = (Array(first.unicodeScalars), Array(second.unicodeScalars))
        guard !a.isEmpty, !b.isEmpty else { return max(a.count, b.count) }
        var beforeLast: [Int] = []
        var last = Array(0...b.count)
        for i in 1...a.count {
            var row = [i]
            for j in 1...b.count {
                var best = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1))
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { best = min(best, beforeLast[j - 2] + 1) }
                row.append(best)
            }
            (beforeLast, last) = (last, row)
        }
        return last[b.count]
    }

    /// The word that a misspelt one was probably meant to be; nil if none is close. A word of up to four letters may have
    /// one mistake, a longer one two; a word that only begins or continues another is close as well.
    static func nearest(to word: String, among words: [String]) -> String? {
        let plain = simplified(word)
        guard !plain.isEmpty else { return nil }
        if let same = words.first(where: { simplified($0) == plain }) { return same }
        let most = plain.count <= 4 ? 1 : 2
        let measured = words.map { (word: $0, distance: distance(plain, simplified($0))) }
        if let close = measured.filter({ $0.distance <= most && $0.distance < plain.count }).min(by: {
            $0.distance < $1.distance
        }) {
            return close.word
        }
        return words.first { other in
            let other = simplified(other)
            return min(plain.count, other.count) >= 3 && (plain.hasPrefix(other) || other.hasPrefix(plain))
        }
    }

    /// The word in small letters, without hyphens, dashes, underscores and blanks.
    static func simplified(_ word: String) -> String { word.lowercased().filter { !"-–—‑_ ".contains($0) } }
}
