// A freeze plan as a strip of stages, and as a table.

extension [Report.PlanRow] {
    var slots: [String: Slot] {
        let total = Swift.max(1, reduce(0) { $0 + Swift.max(0, $1.parameters) })
        let learning = reduce(0) { $0 + ($1.learns ? Swift.max(0, $1.parameters) : 0) }
        let stages = map { row -> [String: Slot] in
            [
                "stage": .text(row.stage), "state": .text(row.state), "size": .text(row.size),
                "kind": .text(row.parameters == 0 ? "empty" : row.learns ? "learns" : "frozen"),
                "isFrozen": .flag(!row.learns && row.parameters > 0), "learns": .flag(row.learns && row.parameters > 0),
            ]
        }
        let table = Report.Table(
            columns: [
                .init("Stage"), .init("Parameters", isNumber: true), .init("Fraction", isNumber: true), .init("State"),
                .init("Learning rate", isNumber: true), .init("Batch norm"),
            ],
            rows: map { row in
                let share = Double(Swift.max(0, row.parameters)) / Double(total)
                return [
                    .init(row.stage), .init(Report.count(row.parameters)),
                    .init(Report.percent(share), bar: share),
                    .init(row.parameters == 0 ? "" : row.learns ? "trained" : "frozen", emphasis: row.learns),
                    .init(row.learns ? row.rate ?? "" : ""), .init(row.normalization ?? ""),
                ]
            })
        let summary =
            "\(Report.count(learning)) of \(Report.count(total)) parameters are trained, \(Report.percent(Double(learning) / Double(total)))."
        var slots = table.slots
        slots["stages"] = .list(stages)
        slots["summary"] = .text(summary)
        slots["label"] = .text("Stages and whether they are trained")
        return slots
    }
}

extension Report.PlanRow {
    fileprivate var rate: String? {
        rateFactor.flatMap { $0.isFinite ? "× " + ($0 >= 0.01 ? trimmed($0) : Report.scientific($0)) : nil }
    }

    /// `learns × 0.3`.
    fileprivate var state: String {
        guard parameters > 0 else { return "no parameters" }
        guard learns else { return "frozen" }
        return rateFactor == 1 ? "learns" : ["learns", rate].compactMap(\.self).joined(separator: " ")
    }

    /// `2.4 M`.
    fileprivate var size: String {
        switch parameters {
        case ...0: ""
        case 1_000_000...: Report.number(Double(parameters) / 1e6, places: 1) + " M"
        case 1000...: Report.number(Double(parameters) / 1e3, places: parameters < 10_000 ? 1 : 0) + " k"
        default: Report.count(parameters)
        }
    }

    private func trimmed(_ value: Double) -> String {
        var text = Report.number(value, places: 3)
        while text.contains("."), text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text
    }
}
