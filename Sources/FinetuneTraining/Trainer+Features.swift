// A head on frozen features: convex ones to their optimum, and the scores of any.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneRanks

extension Trainer {
    /// Fits a convex head to the features of the frozen base, which all ranks compute; the rest is the first one's.
    func runConvex(_ kind: ConvexHead, _ report: @escaping EventHandler) async throws -> TrainingResult? {
        let started = ContinuousClock.now
        let looked = try await look(at: try withNewHead(), Stage.head, report)
        let survey = looked.survey
        let counts = survey.counts(skipped: looked.skipped.count)
        report(.note(counts.text, ["counts": counts.json]))
        let views = trainingViews
        for view in views { try await looked.values.share(survey.items(.train), view, report) }
        guard context.ranks.isFirst else { return nil }
        let (features, labels, folds) = try await trainingRows(looked.values, views, survey, report)
        let extracted = ContinuousClock.now
        let scaling = try fitScaling(features, report)
        let scaled = scaling.apply(features)
        let head = try fit(kind, scaled, labels, folds, report)
        var model = base.adapted(
            Head(head, named: base.headName, reading: base.network.featureNode).folding(scaling),
            classes: dataset.classes)
        model.precision = settings.precision
        model.trainingImages = survey.trainingHashes
        let scores = try await score(
            model, looked.values, survey, batch: Self.scoredRows, precision: settings.precision, report)
        let scored = calibrated(model, scores, report)
        let suspicions = try await wrongLabels(survey, looked.values, report)
        warnOfKeeping(looked.values, report)
        return TrainingResult(
            model: scored.model, plan: try plan(), headRecord: head.record, scalingRecord: scaling.record, epochs: [],
            bestEpoch: nil, start: nil, rate: nil, scores: scored.scores, calibration: scored.calibration,
            parts: parts(survey),
            skipped: looked.skipped,
            findings: survey.findings + suspicions, trainImages: survey.places(.train).count,
            featureSeconds: seconds(extracted - started),
            trainSeconds: seconds(.now - extracted))
    }

    /// How the images that learn are shown.
    private var trainingViews: [ImageView] {
        (0..<TrainingSession.views(settings.steps)).map {
            ImageView(settings.steps.augmentation, number: $0, seed: settings.seed)
        }
    }

    /// The features of the images that learn, in some views, with labels and folds.
    private func trainingRows(
        _ values: BoundaryValues, _ views: [ImageView], _ survey: Survey, _ report: EventHandler
    ) async throws -> (features: Tensor, labels: [Int], folds: [Int]?) {
        let items = survey.items(.train)
        let features = try await values.rows(items, views) { done, total in
            report(.progress(stage: "views", done: done, total: total))
        }
        let labels = items.map { dataset.items[$0].label ?? 0 }
        let folds = folds(survey)
        return (
            features, views.flatMap { _ in labels }, folds.map { folds in views.flatMap { _ in folds } }
        )
    }

    /// - Throws: `TrainingError` where the images are too few for it.
    func fitScaling(_ features: Tensor, _ report: EventHandler) throws -> FittedScaling {
        do {
            let scaling = try LinearAlgebra.withThreads(thread.count) { try settings.scaling.fit(features) }
            guard scaling.apply(features).isFinite else {
                throw TrainingError(
                    .unusableData,
                    "cannot scale the features: some are too large to be squared. The base's weights are damaged or far too large. Try --feature-scaling none, or look at them: finetune inspect --tensors FILE"
                )
            }
            if let summary = scaling.summary { report(.note(summary, ["feature_scaling": scaling.record])) }
            return scaling
        } catch let error as ScalingError {
            throw TrainingError(.unusableData, error.description)
        }
    }

    /// - Parameter features: Scaled ones.
    func fit(
        _ kind: ConvexHead, _ features: Tensor, _ labels: [Int], _ folds: [Int]?, _ report: EventHandler
    ) throws -> DenseHead {
        let problem = headProblem(features, labels, folds)
        let head = kind.fit(problem, threads: thread.count) { done, _ in report(.share(stage: "head", done)) }
        guard head.weight.values.allSatisfy(\.isFinite), head.bias.values.allSatisfy(\.isFinite) else {
            throw TrainingError(
                .diverged,
                "the training diverged: the head's weights are no longer numbers. Try another --feature-scaling.")
        }
        return head
    }

    /// - Parameter features: Scaled ones.
    func headProblem(_ features: Tensor, _ labels: [Int], _ folds: [Int]?) -> HeadProblem {
        let classes = dataset.classes.count
        return HeadProblem(
            features: features, labels: labels, classCount: classes,
            classWeights: settings.classWeights.factors(labels: labels, classCount: classes), folds: folds)
    }

    /// Labels of all images that are probably wrong.
    private func wrongLabels(_ survey: Survey, _ values: BoundaryValues, _ report: EventHandler) async throws
        -> [Finding]
    {
        let search = try await LabelSearch(survey, values, threads: thread.count) {
            report(.share(stage: "labels", $0))
        }
        guard let search else { return [] }
        Survey.report(search.findings, report)
        report(.note(search.verdict, ["labels": search.record]))
        return search.findings
    }

    /// Folds over the images that learn; nil where there are too few to choose a strength by.
    func folds(_ survey: Survey) -> [Int]? {
        let places = survey.places(.train)
        return places.count >= 2 * TrainingSettings.folds ? survey.folds(TrainingSettings.folds, of: places) : nil
    }

    /// Scores a finished model as `evaluate` would, on the values that are known before what learned.
    ///
    /// - Parameters:
    ///   - batch: Images at a time.
    ///   - precision: Of what comes after the values.
    func score(
        _ model: Model, _ values: BoundaryValues, _ survey: Survey, batch: Int, precision: Precision,
        _ report: EventHandler
    ) async throws -> [SplitScore] {
        if let broken = model.weights.firstNotFinite {
            throw TrainingError(
                .diverged,
                "the training diverged: '\(broken)' holds numbers that are not finite. Try a smaller --lr, or another --feature-scaling."
            )
        }
        let part = model.network.part(after: values.node, outputShape: values.extractor.outputShape)
        let scorer = try await BoundaryScorer(
            part, model.weights, values, batch: batch, precision: precision, thread: thread)
        var scores: [SplitScore] = []
        for part in scoredParts(survey) {
            var items = survey.items(part)
            while !items.isEmpty {
                do {
                    let evaluation = try await scorer.evaluate(on: items) { done, total in
                        report(.progress(stage: "score", done: done, total: total))
                    }
                    let names = items.map { dataset.items[$0].name }
                    scores.append(SplitScore(part: part, evaluation: evaluation, items: items, images: names))
                    break
                } catch let error as TrainingError where !error.lost.isEmpty {
                    // An image that went away meanwhile must not cost the finished model.
                    for image in error.lost { report(.skipped(name: image.name, reason: image.reason)) }
                    items.removeAll { item in error.lost.contains { $0.item == item } }
                }
            }
        }
        return scores
    }

    /// Rows of features at a time.
    static let scoredRows = 128
}
