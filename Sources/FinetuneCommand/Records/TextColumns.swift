// Columns and lines of text that people read in a terminal.

extension String {
    /// The text at the left of a column, cut where it is too long.
    func padded(to width: Int) -> String {
        count > width
            ? prefix(max(0, width - 1)) + "…" : self + String(repeating: " ", count: width - count)
    }

    /// The text at the right of a column; a longer one needs more room.
    func aligned(right width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }

    /// The text with each line that is longer than `width` broken between words, its rest indented. A word that is longer
    /// stays whole: a path is there to be copied.
    ///
    /// - Parameter width: Columns of the terminal; nil breaks nothing.
    func wrapped(to width: Int?) -> String {
        guard let width else { return self }
        return split(separator: "\n", omittingEmptySubsequences: false).map { line in
            guard line.count > width else { return String(line) }
            var words = line.split(separator: " ", omittingEmptySubsequences: false)
            var lines = [String(words.removeFirst())]
            for word in words {
                let last = lines.count - 1
                if lines[last].count + 1 + word.count <= width {
                    lines[last] += " " + word
                } else {
                    lines.append("  " + word)
                }
            }
            return lines.joined(separator: "\n")
        }.joined(separator: "\n")
    }
}
