// Blocks as what their templates are filled with.

extension Report.Block {
    /// The template and its filling; nil for a block with nothing to show, and for charts.
    var filled: (template: String, slots: [String: Slot])? {
        switch self {
        case .advice(let text): Self.prose(text, "advice")
        case .text(let text): Self.prose(text, "text")
        case .code(let text):
            text.isEmpty ? nil : ("prose", ["code": .text(text), "paragraphs": .nothing])
        case .figures(let figures):
            figures.isEmpty ? nil : ("figures", ["figures": .list(figures.map(\.slots))])
        case .table(let table): table.isEmpty ? nil : ("table", table.slots)
        case .matrix(let matrix): matrix.filled
        case .plan(let rows): rows.isEmpty ? nil : ("plan", rows.slots)
        case .gallery(let thumbnails):
            thumbnails.isEmpty ? nil : ("gallery", ["thumbnails": .list(thumbnails.map(\.slots))])
        case .findings(let findings):
            findings.isEmpty ? nil : ("findings", ["findings": .list(findings.map(\.slots))])
        case .keyValues(let pairs):
            pairs.isEmpty
                ? nil : ("keyvalues", ["pairs": .list(pairs.map { ["key": .text($0.0), "value": .text($0.1)] })])
        case .lines, .scatter, .reliability: nil
        }
    }

    private static func prose(_ text: String, _ kind: String) -> (template: String, slots: [String: Slot])? {
        var paragraphs: [String] = [""]
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.allSatisfy(\.isWhitespace) {
                paragraphs.append("")
            } else {
                paragraphs[paragraphs.count - 1] += (paragraphs[paragraphs.count - 1].isEmpty ? "" : "\n") + line
            }
        }
        let shown = paragraphs.filter { !$0.isEmpty }.map { ["paragraph": Slot.text($0)] }
        return shown.isEmpty ? nil : ("prose", ["kind": .text(kind), "paragraphs": .list(shown), "code": .nothing])
    }
}

extension Report.Figure {
    var slots: [String: Slot] { ["label": .text(label), "value": .text(value), "detail": .text(detail)] }
}

extension Report.Table {
    var isEmpty: Bool { columns.isEmpty || rows.isEmpty }

    var slots: [String: Slot] {
        let rowSlots = rows.map { row -> [String: Slot] in
            let padded =
                row.prefix(columns.count) + Array(repeating: Cell(""), count: max(0, columns.count - row.count))
            let cells = zip(columns, padded).enumerated().map { index, pair in
                pair.1.slots(isNumber: pair.0.isNumber, isFirst: index == 0)
            }
            return ["cells": .list(cells)]
        }
        return [
            "caption": .text(caption), "label": .text(caption ?? "Table"), "rows": .list(rowSlots),
            "columns": .list(columns.map { ["title": .text($0.title), "isNumber": .flag($0.isNumber)] }),
        ]
    }
}

extension Report.Table.Cell {
    fileprivate func slots(isNumber: Bool, isFirst: Bool) -> [String: Slot] {
        let share = bar.flatMap { $0.isFinite ? min(1, max(0, $0)) : nil }
        let classes = [isNumber ? "number" : nil, share == nil ? nil : "bar", emphasis ? "emphasis" : nil]
        return [
            "text": .text(text), "isFirst": .flag(isFirst),
            "classes": .text(classes.compactMap(\.self).joined(separator: " ")),
            "bar": .text(share.map { SVG.number($0) }),
        ]
    }
}

extension Report.Thumbnail {
    fileprivate var slots: [String: Slot] {
        let views = [(image, title), (overlay, "\(title), the picture beside it")].compactMap { bytes, text in
            bytes.flatMap(Base64.imageURI).map { uri -> [String: Slot] in ["uri": .markup(uri), "alt": .text(text)] }
        }
        return [
            "title": .text(title), "views": .list(views), "isWide": .flag(views.count > 1),
            "lines": .list(lines.map { ["line": .text($0)] }),
        ]
    }
}

extension Report.Finding {
    /// So many paths are shown at once; more are folded.
    private static let open = 4
    /// So many paths are shown at all.
    private static let most = 500

    fileprivate var slots: [String: Slot] {
        let shown = paths.prefix(Self.most).map { ["path": Slot.text($0)] }
        let isFolded = paths.count > Self.open
        let rest = paths.count - shown.count
        return [
            "kind": .text(kind), "severity": .text(severity.rawValue), "detail": .text(detail),
            "label": .text(severity == .note ? "Note" : severity == .warning ? "Warning" : "Error"),
            "open": isFolded || paths.isEmpty ? .nothing : .list([["paths": .list(shown)]]),
            "folded": isFolded
                ? .list([
                    [
                        "summary": .text("\(Report.count(paths.count)) images"), "paths": .list(shown),
                        "rest": .text(rest > 0 ? "and \(Report.count(rest)) more" : nil),
                    ]
                ]) : .nothing,
        ]
    }
}
