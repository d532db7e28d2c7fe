// The page of an evaluation.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneReport
internal import FinetuneTraining

/// A scored model as a page.
struct EvaluationReport {
    let modelFile: HashedFile
    let dataPath: String
    let model: Model
    let dataset: ImageDataset
    let score: Predictor.Score
    let counts: ImageCounts
    let points: [OperatingPoint]
    let precision: Precision
    let thread: EngineThread

    func page() async throws -> Report {
        let evaluation = score.evaluation
        let mistakes = try await PictureGallery(dataset, model.recipe)
            .mistakes(of: model, evaluation, score.items, precision, thread)
        return Report(
            title: "\(Path.name(of: modelFile.path)) on \(Path.name(of: dataPath))",
            subtitle: model.network.name,
            sections: [
                Report.Section("Result", [.figures(evaluation.figures), .text(counts.text)]),
                operatingPoints, evaluation.classSection, evaluation.confusionSection,
                evaluation.reliabilitySection(model.temperature), mistakes,
                Report.Section(
                    "Files that were skipped",
                    [
                        .findings(
                            score.skipped.map {
                                Report.Finding(
                                    kind: "unreadable", severity: .warning, detail: $0.reason, paths: [$0.name])
                            })
                    ]),
                .repeating([
                    ("Model", modelFile.path), ("Hash of the model", modelFile.hash),
                    ("Data", dataPath),
                ]),
            ])
    }

    private var operatingPoints: Report.Section {
        guard let first = points.first else { return Report.Section("Thresholds", []) }
        return Report.Section(
            "Thresholds",
            note: "Results if an image counts as '\(first.positive)' from this probability on.",
            [
                .table(
                    Report.Table(
                        columns: [.init("For")]
                            + ["Threshold", "Sensitivity", "Specificity", "Precision"].map { .init($0, isNumber: true) },
                        rows: points.map { point in
                            let wish =
                                switch point.wish {
                                case .half: "one half"
                                case .sensitivity(let share): "sensitivity \(share)"
                                case .specificity(let share): "specificity \(share)"
                                }
                            return [
                                .init(wish), .init(Report.number(point.threshold, places: 4)),
                                .init(Report.percent(point.sensitivity)), .init(Report.percent(point.specificity)),
                                .init(Report.percent(point.precision)),
                            ]
                        }))
            ])
    }
}
