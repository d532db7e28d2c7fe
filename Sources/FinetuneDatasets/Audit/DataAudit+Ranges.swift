// Pictures of 16 bits whose numbers came from a camera of fewer: nearly black, unless --depth says so.

extension DataAudit {
    /// Pictures of 16 bits that use little of their range, and those that a smaller range cuts off.
    mutating func findUnusedRanges(_ depth: Int) {
        let deep = images.indices.compactMap { place in
            images[place].facts?.highest.map { (place: place, highest: $0) }
        }
        // A picture that is all black says nothing.
        let lit = deep.filter { $0.highest > 0 }
        guard let highest = lit.map(\.highest).max() else { return }
        let largest = PictureDepth(bits: depth).largest
        let cut = lit.filter { $0.highest > largest }
        if let first = cut.first {
            add(
                .unusedRange, cut.map(\.place),
                "\(several(cut.count, "picture")) of 16 bits \(cut.count == 1 ? "has" : "have") values above the \(largest) that --depth \(depth) makes white, such as '\(images[first.place].name)' with \(first.highest): they are cut off. Highest of all: \(highest), which --depth \(PictureDepth(holding: highest).bits) holds."
            )
        }
        let dark = lit.filter { $0.highest <= largest >> Self.sparedBits }
        guard let first = dark.first, depth > 8, dark.count * 10 >= lit.count else { return }
        let bits = PictureDepth(holding: highest).bits
        let next =
            dark.count == lit.count
            ? "If they come from a camera of \(bits) bits: --depth \(bits)."
            : "Others use all of it. If they come from different cameras, save all in one range."
        add(
            .unusedRange, dark.map(\.place),
            "\(several(dark.count, "picture")) of 16 bits \(dark.count == 1 ? "uses" : "use") a fraction of \(dark.count == 1 ? "its" : "their") range, such as '\(images[first.place].name)': its highest value is \(first.highest) of \(largest). \(next)"
        )
    }

    /// As many upper bits are unused in a picture that is darker than any exposure makes it.
    private static let sparedBits = 2
}
