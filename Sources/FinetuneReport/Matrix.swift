// Confusion matrices: a table with tinted cells for a few classes, a heat map and the worst confusions for many.

extension Report {
    package struct Matrix: Sendable {
        package var classes: [String]
        /// Rows are the truth, columns the predictions. Shape `[classes][classes]`; what is missing counts as 0.
        package var counts: [[Int]]

        package init(classes: [String], counts: [[Int]]) {
            self.classes = classes
            self.counts = counts
        }
    }
}

extension Report.Matrix {
    /// More classes than these are drawn as a heat map.
    private static let mostCells = 20
    /// So many of the most frequent confusions are listed beside a heat map.
    private static let mostConfusions = 15

    var filled: (template: String, slots: [String: Slot])? {
        guard !classes.isEmpty, classes.indices.contains(where: { rowSum($0) > 0 }) else { return nil }
        return classes.count <= Self.mostCells ? ("matrix", tableSlots) : ("heatmap", heatmapSlots)
    }

    func count(_ row: Int, _ column: Int) -> Int {
        counts.indices.contains(row) && counts[row].indices.contains(column) ? max(0, counts[row][column]) : 0
    }

    private func rowSum(_ row: Int) -> Int { classes.indices.reduce(0) { $0 + count(row, $1) } }

    private var tableSlots: [String: Slot] {
        let names = classes.map { ["name": Slot.text($0)] }
        let rows = classes.indices.map { row -> [String: Slot] in
            let sum = max(1, rowSum(row))
            let cells = classes.indices.map { column -> [String: Slot] in
                let count = count(row, column)
                let share = Double(count) / Double(sum)
                let classes = [row == column ? "right" : nil, share > 0.5 ? "dark" : nil, count == 0 ? "none" : nil]
                return [
                    "count": .text(Report.count(count)),
                    "classes": .text(classes.compactMap(\.self).joined(separator: " ")),
                    "share": count == 0 ? .nothing : .text(SVG.number(100 * (0.08 + 0.92 * share))),
                ]
            }
            return ["name": .text(classes[row]), "cells": .list(cells)]
        }
        return ["columns": .list(names), "rows": .list(rows), "isRoomy": .flag(classes.count <= 8)]
    }

    private var heatmapSlots: [String: Slot] {
        let map = Heatmap(self)
        let confusions = confusions
        let summary = confusions.prefix(3).map {
            "\(classes[$0.truth]) taken for \(classes[$0.prediction]): \($0.count)."
        }
        return [
            "caption": .text("Which of \(Report.count(classes.count)) classes is taken for which"),
            "legend": .list(Heatmap.legend.map(\.slots)),
            "map": .markup(
                map.svg.element(
                    title: "Confusion matrix", description: summary.joined(separator: " "),
                    kind: map.isNamed ? "heat named" : "heat plain")),
            "confusions": confusions.isEmpty ? .nothing : .list([table(of: confusions).slots]),
        ]
    }

    /// The cells off the diagonal, the largest first; equal ones in the order of the classes.
    var confusions: [(truth: Int, prediction: Int, count: Int)] {
        var largest: [(truth: Int, prediction: Int, count: Int)] = []
        for row in classes.indices {
            for column in classes.indices where column != row {
                let count = count(row, column)
                guard count > 0, largest.count < Self.mostConfusions || count > largest[largest.count - 1].count else {
                    continue
                }
                largest.insert((row, column, count), at: largest.firstIndex { $0.count < count } ?? largest.count)
                if largest.count > Self.mostConfusions { largest.removeLast() }
            }
        }
        return largest
    }

    private func table(of confusions: [(truth: Int, prediction: Int, count: Int)]) -> Report.Table {
        Report.Table(
            columns: [
                .init("True class"), .init("Taken for"), .init("Images", isNumber: true),
                .init("Share of the class", isNumber: true),
            ],
            rows: confusions.map { confusion in
                let share = Double(confusion.count) / Double(max(1, rowSum(confusion.truth)))
                return [
                    .init(classes[confusion.truth]), .init(classes[confusion.prediction]),
                    .init(Report.count(confusion.count)), .init(Report.percent(share), bar: share),
                ]
            }, caption: "The most frequent confusions")
    }
}
