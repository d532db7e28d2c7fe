// A confusion matrix of many classes as one drawing: one path for each of five shades, right and wrong, so that its
// size grows with the cells that are not empty, and no further than 250 by 250 of them.

struct Heatmap {
    let svg: SVG
    /// Whether there is room for the names of the classes.
    let isNamed: Bool

    private static let shades = 5
    private static let mostCells = 250
    private static let side = 560.0

    init(_ matrix: Report.Matrix) {
        let count = matrix.classes.count
        // Of more classes than cells, neighbours share one.
        let block = (count + Self.mostCells - 1) / Self.mostCells
        let cells = (count + block - 1) / block
        let cell = Self.side / Double(cells)
        let names = cell >= 11 && block == 1
        let left = names ? 130.0 : 44
        var svg = SVG(width: left + Self.side + 20, height: Self.side + 28)
        let top = 4.0
        svg.rectangle(left, top, width: Self.side, height: Self.side, "frame")
        var paths: [[String]] = Array(repeating: Array(repeating: "", count: Self.shades), count: 2)
        for row in 0..<cells {
            let shares = Self.row(row, matrix, block: block, cells: cells)
            var column = 0
            while column < cells {
                let level = Self.level(shares[column])
                var end = column + 1
                while end < cells, Self.level(shares[end]) == level, end != row, column != row { end += 1 }
                if let level {
                    let x = left + Double(column) * cell
                    let length = SVG.number(Double(end - column) * cell)
                    paths[column == row ? 0 : 1][level] +=
                        "M\(SVG.number(x)) \(SVG.number(top + Double(row) * cell))h\(length)v\(SVG.number(cell))h-\(length)z"
                }
                column = end
            }
        }
        for (kind, levels) in zip(["right", "wrong"], paths) {
            for (level, data) in levels.enumerated() { svg.path(data, "cell \(kind) h\(level + 1)") }
        }
        let every = names ? 1 : max(1, Self.tens(count))
        for index in stride(from: names ? 0 : every - 1, to: count, by: every) {
            let middle = top + (Double(index / block) + 0.5) * cell
            let text = names ? SVG.fitted(matrix.classes[index], width: left - 12) : "\(index + 1)"
            svg.text(text, left - 6, middle + 4, .end)
            if !names { svg.text(text, left + (Double(index / block) + 0.5) * cell, top + Self.side + 16, .middle) }
        }
        (self.svg, isNamed) = (svg, names)
    }

    /// Five to ten numbers along a side.
    private static func tens(_ count: Int) -> Int { Int(Axis.step(Double(count), target: 10, atLeast: 1)) }

    /// The share that each cell of a row has of the row.
    private static func row(_ row: Int, _ matrix: Report.Matrix, block: Int, cells: Int) -> [Double] {
        var sums = [Int](repeating: 0, count: cells)
        for truth in (row * block)..<min((row + 1) * block, matrix.classes.count) {
            for column in matrix.classes.indices { sums[column / block] += matrix.count(truth, column) }
        }
        let total = Double(max(1, sums.reduce(0, +)))
        return sums.map { Double($0) / total }
    }

    /// The shade of a share, nil for an empty cell.
    private static func level(_ share: Double) -> Int? {
        guard share > 0 else { return nil }
        return [0.05, 0.15, 0.35, 0.65].count { share > $0 }
    }

    static var legend: [LegendEntry] {
        [("right", "right, the stronger the larger its share of the class"), ("wrong", "taken for another class")].map {
            kind, name in
            var swatch = SVG(width: 50, height: 12)
            for level in 0..<shades {
                swatch.rectangle(Double(level) * 10, 1, width: 10, height: 10, "cell \(kind) h\(level + 1)")
            }
            return LegendEntry(name: name, swatch: swatch)
        }
    }
}
