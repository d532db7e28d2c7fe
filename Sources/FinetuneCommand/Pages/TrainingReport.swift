// The page of a training.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneReport
internal import FinetuneTraining

/// A finished training as a page.
struct TrainingReport {
    let record: RunRecord
    let dataset: ImageDataset
    let dataPath: String
    let thread: EngineThread
    let times: RunTimes

    func page() async throws -> Report {
        let result = record.result
        let gallery = PictureGallery(dataset, result.model.recipe)
        var sections = [summary]
        sections.append(learning)
        sections.append(Report.Section("Trained layers", note: planNote, [.plan(plan)]))
        if let score = shown {
            let evaluation = score.evaluation
            sections += [
                evaluation.classSection, evaluation.confusionSection,
                evaluation.reliabilitySection(result.model.temperature, result.calibration),
                try await gallery.mistakes(
                    of: result.model, evaluation, score.items, record.settings.precision, thread),
            ]
        }
        sections.append(result.findings.section(try gallery.findings(result.findings)))
        sections.append(health)
        sections.append(.repeating(record.origin + [("Data", dataPath), ("Seed", "\(record.settings.seed)")]))
        return Report(
            title: "\(Path.stem(of: dataPath)): \(result.model.classes?.count ?? 0) classes",
            subtitle:
                "\(record.base.network.name), \(record.settings.strategy.rawValue), head \(record.settings.head.text)",
            sections: sections)
    }

    /// The scores to look at: the test's where there are some.
    private var shown: SplitScore? { record.result.scores.last }

    // MARK: Sections

    private var summary: Report.Section {
        let result = record.result
        guard let score = shown else {
            return Report.Section(
                "Result", [.text("\(result.counts.text) No image was left to score the model on.")])
        }
        let blocks: [Report.Block] = [
            .figures(score.evaluation.figures),
            .text(
                "\(result.counts.text) Trained in \(Console.clock(times.total)): \(Report.count(result.plan.learningParameters)) trainable parameters, \(Report.count(result.plan.frozenParameters)) frozen."
            ),
        ]
        return Report.Section(
            "Result", note: "Scores on the \(score.part == .test ? "test" : "validation") images.", blocks)
    }

    private var learning: Report.Section {
        let epochs = record.result.epochs
        guard !epochs.isEmpty else { return strengths }
        /// The start, before the first step, is at 0.
        func points(from start: Double? = nil, _ value: (EpochRecord) -> Double?) -> [(x: Double, y: Double)] {
            (start.map { [(0, $0)] } ?? [])
                + epochs.compactMap { epoch in value(epoch).map { (Double(epoch.epoch), $0) } }
        }
        let (start, rate) = (record.result.start, record.result.rate)
        let marker = record.result.bestEpoch.map { Report.LineChart.Marker(x: Double($0), label: "best") }
        return Report.Section(
            "Learning",
            note:
                "The model is that of the best epoch, chosen by the validation images; 0 is the start, before the first step.\(rate.map { " The learning rate began at \($0.rounded(toDigits: 3))." } ?? "")",
            [
                .lines(
                    Report.LineChart(
                        title: "Loss", xLabel: "epoch", yLabel: "log-loss",
                        series: [
                            .init("training", points(\.trainLoss), marks: true),
                            .init(
                                "validation, calibrated", points(from: start?.savedLogLoss, \.calibratedLogLoss),
                                marks: true),
                        ], marker: marker)),
                .lines(
                    Report.LineChart(
                        title: "Accuracy", xLabel: "epoch", yLabel: "accuracy",
                        series: [
                            .init("training", points(\.trainAccuracy), marks: true),
                            .init("validation", points(from: start?.accuracy, \.accuracy), marks: true),
                        ], yUnit: .percent, marker: marker)),
            ])
    }

    /// The regularization strengths that were tried.
    private var strengths: Report.Section {
        let trials = record.result.headRecord?["cross_validation"]?.arrayValue ?? []
        let chosen = record.result.headRecord?["strength"]?.doubleValue
        return Report.Section(
            "Regularization",
            note: "Regularization strength, chosen by cross-validation on the training images.",
            [
                .table(
                    Report.Table(
                        columns: [
                            .init("Strength", isNumber: true), .init("Accuracy", isNumber: true),
                            .init("Log-loss", isNumber: true),
                        ],
                        rows: trials.map { trial in
                            let strength = trial["strength"]?.doubleValue
                            let isChosen = strength == chosen
                            return [
                                .init(strength.map { "\($0)" } ?? Report.noNumber, emphasis: isChosen),
                                .init(
                                    Report.percent(trial["accuracy"]?.doubleValue),
                                    bar: trial["accuracy"]?.doubleValue, emphasis: isChosen),
                                .init(Report.number(trial["log_loss"]?.doubleValue, places: 3), emphasis: isChosen),
                            ]
                        }))
            ])
    }

    private var plan: [Report.PlanRow] {
        record.result.plan.rows.filter { $0.parameters > 0 }.map {
            Report.PlanRow(
                stage: $0.stage, parameters: $0.parameters, learns: $0.learns,
                rateFactor: $0.learns ? $0.rateFactor : nil, normalization: $0.normalization?.rawValue)
        }
    }

    private var planNote: String {
        record.settings.strategy == .frozen
            ? "Only the head was trained; all other weights are those of the base, unchanged."
            : "Hatched stages are frozen: their weights are those of the base, unchanged."
    }

    /// Whether gradients reached every stage: the numbers of health.csv.
    private var health: Report.Section {
        guard let last = record.result.epochs.last(where: { !$0.health.stages.isEmpty })?.health else {
            return Report.Section("Network health", [])
        }
        let steps = Dictionary(
            record.result.epochs.flatMap { $0.health.stages.map { ($0.name, $0.updateRatio) } }, uniquingKeysWith: max)
        let epochs = record.result.epochs
        let findings = epochs.indices.flatMap { Array(epochs[...$0]).newFindings.map(\.text) }
        let usual =
            record.settings.steps.optimizer.needsLengths
            ? "A step of \(record.settings.steps.optimizer.name) changes each tensor by the learning rate, as a fraction of its length."
            : "A step usually changes the weights by about 0.001 of their length."
        let dead = last.units > 0 ? " \(last.dead) of \(last.units) units never fired." : ""
        return Report.Section(
            "Network health",
            note:
                "Gradient and weights in the last epoch; steps at their longest. \(usual)\(dead)",
            [
                .findings(findings.map { Report.Finding(kind: "health", severity: .warning, detail: $0) }),
                .table(
                    Report.Table(
                        columns: [.init("Stage")]
                            + ["Gradient", "Weights", "Longest step / weights"].map { .init($0, isNumber: true) },
                        rows: last.stages.map {
                            [
                                .init($0.name), .init(Report.number($0.gradientNorm, places: 4)),
                                .init(Report.number($0.weightNorm, places: 2)),
                                .init(Report.number(steps[$0.name], places: 5)),
                            ]
                        })),
            ])
    }
}
