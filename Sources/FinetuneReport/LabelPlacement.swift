// Names beside points such that none covers another: the first free place near the point, else the least bad one.

struct Box {
    var x: Double
    var y: Double
    var width: Double
    var height: Double

    /// The area that both cover.
    func overlap(_ other: Box) -> Double {
        let across = min(x + width, other.x + other.width) - max(x, other.x)
        let down = min(y + height, other.y + other.height) - max(y, other.y)
        return max(0, across) * max(0, down)
    }
}

struct LabelPlacement {
    struct Label {
        /// Where the words are anchored, at their baseline.
        let x: Double
        let y: Double
        /// Where a line from the point ends, for words that stand away from it.
        let anchor: SVG.Anchor
        let leader: (x: Double, y: Double)?
    }

    let frame: PlotFrame
    private var taken: [Box] = []

    init(frame: PlotFrame) { self.frame = frame }

    mutating func avoid(_ box: Box) { taken.append(box) }

    /// A place for `words` near `point`, taken from now on.
    mutating func place(_ words: String, at point: (x: Double, y: Double)) -> Label {
        let (width, height) = (SVG.width(of: words), 15.0)
        var best: (cost: Double, box: Box, distance: Double)?
        for distance in [10.0, 20, 32, 46, 62, 80, 100] {
            // Right, left, above, below, and the corners between.
            let (near, over) = (point.x + distance, point.y - height / 2)
            let diagonal = distance * 0.7
            let candidates = [
                (near, over), (point.x - distance - width, over), (point.x - width / 2, point.y - distance - height),
                (point.x - width / 2, point.y + distance), (point.x + diagonal, point.y - diagonal - height),
                (point.x + diagonal, point.y + diagonal), (point.x - diagonal - width, point.y - diagonal - height),
                (point.x - diagonal - width, point.y + diagonal),
            ]
            for (index, corner) in candidates.enumerated() {
                let box = Box(x: corner.0, y: corner.1, width: width, height: height)
                let cost =
                    taken.reduce(0) { $0 + $1.overlap(box) } * 10 + outside(box) * 20 + distance + Double(index) * 0.1
                if best.map({ cost < $0.cost }) ?? true { best = (cost, box, distance) }
            }
        }
        let (_, box, distance) = best ?? (0, Box(x: point.x, y: point.y, width: width, height: height), 0)
        taken.append(box)
        let leader =
            distance > 12
            ? (x: min(max(point.x, box.x), box.x + width), y: min(max(point.y, box.y), box.y + height)) : nil
        // Anchored at the side of the point, so that a misjudged width moves the far end.
        let anchor: SVG.Anchor = box.x >= point.x ? .start : box.x + width <= point.x ? .end : .middle
        let x = anchor == .start ? box.x : anchor == .end ? box.x + width : box.x + width / 2
        return Label(x: x, y: box.y + 11.5, anchor: anchor, leader: leader)
    }

    /// How much of a box is outside of the plot.
    private func outside(_ box: Box) -> Double {
        let plot = Box(x: frame.left + 2, y: frame.top - 8, width: frame.width + 8, height: frame.height + 4)
        return box.width * box.height - plot.overlap(box)
    }
}
