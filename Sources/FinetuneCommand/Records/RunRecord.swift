// What a run leaves behind beside its model: tables, run.json, the last JSON line, the summary for people.

internal import ArgumentParser
internal import FinetuneCheckpoints
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneTraining

/// Seconds of what the training itself does not time.
struct RunTimes {
    let load: Double
    let total: Double
}

/// A finished training as files and words.
struct RunRecord {
    let result: TrainingResult
    let settings: TrainingSettings
    let base: Model
    /// Nil where a run has no base.
    let baseFile: HashedFile?
    let threads: Int

    func writeTables(to folder: RunFolder) throws {
        try folder.write(
            CSV.line(["path", "split", "group"])
                + result.parts.map { CSV.line([$0.name, $0.part.rawValue, $0.group ?? ""]) }.joined(), as: "split.csv")
        try folder.write(
            CSV.line(["path", "reason"]) + result.skipped.map { CSV.line([$0.name, $0.reason]) }.joined(),
            as: "skipped.csv")
        if !result.scores.isEmpty {
            try folder.write(result.scores.map { ($0.part.rawValue, $0.evaluation, $0.images) })
        }
        try folder.write(metrics, as: "metrics.csv")
        if !result.epochs.isEmpty {
            try folder.write(
                CSV.line(Health.columns) + result.epochs.map { $0.health.csv(epoch: $0.epoch) }.joined(),
                as: "health.csv")
        }
    }

    /// One row an epoch, or one a strength that was tried.
    private var metrics: String {
        guard result.epochs.isEmpty else {
            return CSV.line(EpochRecord.columns) + result.epochs.map(\.csvLine).joined()
        }
        let trials = result.headRecord?["cross_validation"]?.arrayValue ?? []
        let columns = ["strength", "accuracy", "log_loss"]
        return CSV.line(columns) + trials.map { trial in CSV.line(columns.map { trial[$0]?.text ?? "" }) }.joined()
    }

    /// The keys of the command's last JSON line.
    func summary(_ folder: RunFolder, _ times: RunTimes) -> JSON {
        func score(_ part: Split.Part) -> JSON { result.scores.first { $0.part == part }?.evaluation.json ?? [:] }
        return [
            "model": .string(folder.file("model.h5")), "run": .string(folder.path),
            "classes": JSON(result.model.classes ?? []),
            "train_images": .integer(result.trainImages),
            "val_images": .integer(result.scores.first { $0.part == .validation }?.evaluation.count ?? 0),
            "test_images": .integer(result.scores.first { $0.part == .test }?.evaluation.count ?? 0),
            "found_images": .integer(result.counts.found), "read_images": .integer(result.counts.read),
            "skipped": .integer(result.skipped.count), "epochs": .integer(result.epochs.count),
            "best_epoch": result.bestEpoch.map { .integer($0) } ?? .null, "start": result.start?.json ?? .null,
            "trainable_parameters": .integer(result.plan.learningParameters),
            "frozen_parameters": .integer(result.plan.frozenParameters),
            "val": score(.validation), "test": score(.test),
            "seconds": [
                "load": .number(times.load), "features": .number(result.featureSeconds),
                "train": .number(result.trainSeconds), "total": .number(times.total),
            ],
            "images_per_second": .number(Double(result.parts.count) / max(result.featureSeconds, 1e-9)),
            "peak_rss_mb": .number(ProcessMeter.peakMegabytes),
        ]
    }

    /// What the run began with, for people.
    var origin: [(String, String)] {
        let file = baseFile.map { [("Base", $0.path), ("Hash of the base", $0.hash)] }
        return (file ?? [("Architecture", base.network.name)])
            + (base.remarks + base.notes).map { ("About the base", $0) }
    }

    /// What `run.json` says of what came out.
    func members(_ summary: JSON, frozenTensors: Int) -> [JSON.Member] {
        let json: JSON = [
            "version": .string(FinetuneCommand.configuration.version),
            "base": baseFile.map { .string($0.path) } ?? .null,
            "base_hash": baseFile.map { .string($0.hash) } ?? .null,
            "architecture": .string(base.network.name), "recipe": base.recipe.map(\.json) ?? .null,
            "recipe_source": base.recipeSource.map { .string($0) } ?? .null,
            "base_remarks": JSON(base.remarks + base.notes),
            "seed": .integer(Int(clamping: settings.seed)), "threads": .integer(threads),
            "machine": .string(Machine.arithmetic),
            "strategy": .string(settings.strategy.rawValue), "precision": .string(settings.precision.rawValue),
            "head": settings.head.json, "feature_scaling": result.scalingRecord ?? .null,
            "class_weights": .string(settings.classWeights.rawValue), "steps": settings.steps.json,
            "learning_rate": result.rate.map { .number($0) } ?? .null, "head_record": result.headRecord ?? .null,
            "calibration": result.calibration?.json ?? .null, "findings": .array(result.findings.map(\.json)),
            "plan": result.plan.json, "frozen_tensors_equal": .integer(frozenTensors),
            "epochs": .array(result.epochs.map(\.json)), "result": summary,
        ]
        return json.members ?? []
    }

    /// What may help a training of which no epoch was better than the start.
    private var attempts: [String] {
        let steps = settings.steps
        let trained = result.plan.rows.filter { $0.learns && $0.parameters > 0 }.map(\.stage)
        let isTooShort = result.epochs.contains { $0.health.findings.contains { $0.kind == .smallSteps } }
        return [
            "a \(isTooShort ? "larger" : "smaller") --lr\(result.rate.map { " than \($0.rounded(toDigits: 3))" } ?? "")",
            trained.count > 2 && settings.strategy != .scratch ? "fewer trained layers (--unfreeze last)" : nil,
            steps.augmentation == .none || trained == [Stage.head] ? nil : "--augment none",
        ].compactMap(\.self)
    }

    /// How the best epoch compares with the start and with the number of epochs, in sentences.
    private var verdict: String? {
        guard let best = result.bestEpoch else { return nil }
        let (count, limit) = (result.epochs.count, settings.steps.epochs)
        let isEarly = count < limit && settings.steps.patience > 0 && count - best >= settings.steps.patience
        let end = isEarly ? " Training ended early: no better epoch in \(settings.steps.patience)." : ""
        guard best > 0 else {
            return
                "No epoch of \(count) was better than the start on the validation images, so the model is that of the start.\(end) Try \(attempts.alternatives)."
        }
        guard let start = result.start, let saved = result.epochs.first(where: { $0.epoch == best }),
            let accuracy = saved.accuracy, let logLoss = saved.calibratedLogLoss
        else { return "Best epoch: \(best) of \(count).\(end)" }
        let isWorse = saved.accuracy.map { $0 < start.accuracy - 0.05 } ?? false
        let more =
            isWorse
            ? " The probabilities became better and the decisions worse. To choose the epoch by accuracy: --monitor accuracy."
            : best == limit ? " The last epoch was the best: a new run with more --epochs may reach more." : end
        return
            "Best epoch by \(settings.steps.monitor.words): \(best) of \(count). From start to best epoch, validation accuracy \(start.accuracy.percent) → \(accuracy.percent), log-loss \(start.savedLogLoss.rounded(toPlaces: 3)) → \(logLoss.rounded(toPlaces: 3)).\(more)"
    }

    func printSummary(_ times: RunTimes, _ console: Console) {
        if let verdict { console.say(verdict) }
        func line(_ words: [String]) {
            let columns = words.dropFirst().map { $0.aligned(right: 10) }
            console.say(
                words[0].padded(to: 12) + columns[0] + columns[1] + words[3].aligned(right: 20) + columns[3]
                    + columns[4])
        }
        if !result.scores.isEmpty { line(["split", "images", "accuracy", "95 % interval", "macro-F1", "log-loss"]) }
        for score in result.scores {
            let evaluation = score.evaluation
            let interval = evaluation.accuracyInterval
            line([
                score.part == .test ? "test" : "validation", "\(evaluation.count)", evaluation.accuracy.percent,
                "\(interval.lowerBound.percent) to \(interval.upperBound.percent)",
                evaluation.macroF1.rounded(toPlaces: 3), evaluation.logLoss.rounded(toPlaces: 3),
            ])
        }
        console.say(
            "Trained on \(result.trainImages.counted("image")) in \(Console.clock(times.total)): features \(result.featureSeconds.rounded(toPlaces: 1)) s, \(settings.strategy == .frozen ? "head" : "epochs") \(result.trainSeconds.rounded(toPlaces: 1)) s."
        )
    }
}
