// Columns of text, for tables that people read in a terminal.

extension String {
    /// The text at the left of a column, cut where it is too long.
    func padded(to width: Int) -> String {
        count > width
            ? prefix(max(0, width - 1)) + "…" : self + String(repeating: " ", count: width - count)
    }

    /// The text at the right of a column; a longer one needs more room.
    func aligned(right width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
