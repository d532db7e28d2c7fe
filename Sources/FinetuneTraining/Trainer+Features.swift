// A head on frozen features: convex ones to their optimum, and the scores of any.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline

extension Trainer {
    /// Fits a convex head to the features of the frozen base.
    func runConvex(_ kind: ConvexHead, _ report: @escaping EventHandler) async throws -> TrainingResult {
        let started = ContinuousClock.now
        let looked = try await look(at: try withNewHead(), Stage.head, report)
        let survey = looked.survey
        let (features, labels, folds) = try await trainingRows(looked.values, survey, report)
        let extracted = ContinuousClock.now
        let scaling = try fitScaling(features, report)
        let head = try fit(kind, scaling.apply(features), labels, folds, report)
        var model = base.adapted(
            Head(head, named: base.headName, reading: base.network.featureNode).folding(scaling),
            classes: dataset.classes)
        model.precision = settings.precision
        model.trainingImages = survey.trainingHashes
        let scores = try await scoreOnFeatures(model, looked.values, survey)
        warnOfKeeping(looked.values, report)
        return TrainingResult(
            model: model, plan: try plan(), headRecord: head.record, scalingRecord: scaling.record, epochs: [],
            bestEpoch: nil, rate: nil, scores: scores, parts: parts(survey), skipped: looked.skipped,
            trainImages: survey.places(.train).count, featureSeconds: seconds(extracted - started),
            trainSeconds: seconds(.now - extracted))
    }

    /// The features of the images that learn, in every view that is asked for, with labels and folds.
    private func trainingRows(_ values: BoundaryValues, _ survey: Survey, _ report: EventHandler) async throws -> (
        features: Tensor, labels: [Int], folds: [Int]?
    ) {
        let steps = settings.steps
        let views = (0..<TrainingSession.views(steps)).map {
            ImageView(steps.augmentation, number: $0, seed: settings.seed)
        }
        let items = survey.items(.train)
        let features = try await values.rows(items, views) { done, total in
            try stopBeforeSteps()
            report(.progress(stage: "views", done: done, total: total))
        }
        let labels = items.map { dataset.items[$0].label ?? 0 }
        let folds = folds(items, labels)
        return (
            features, views.flatMap { _ in labels }, folds.map { folds in views.flatMap { _ in folds } }
        )
    }

    /// - Throws: `TrainingError` where the images are too few for it.
    func fitScaling(_ features: Tensor, _ report: EventHandler) throws -> FittedScaling {
        do {
            let scaling = try LinearAlgebra.withThreads(thread.count) { try settings.scaling.fit(features) }
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
        let classes = dataset.classes.count
        let problem = HeadProblem(
            features: features, labels: labels, classCount: classes,
            classWeights: settings.classWeights.factors(labels: labels, classCount: classes), folds: folds)
        let head = kind.fit(problem, threads: thread.count) { done, _ in report(.share(stage: "head", done)) }
        guard head.weight.values.allSatisfy(\.isFinite), head.bias.values.allSatisfy(\.isFinite) else {
            throw TrainingError(
                .diverged,
                "the training diverged: the head's weights are no longer numbers. Try another --feature-scaling.")
        }
        return head
    }

    /// Folds over the images that learn; nil where there are too few to choose a strength by.
    func folds(_ items: [Int], _ labels: [Int]) -> [Int]? {
        guard items.count >= 2 * TrainingSettings.folds else { return nil }
        let hasGroups = dataset.items.contains { $0.group != nil }
        return StratifiedFolds.assign(
            labels: labels,
            groups: hasGroups ? items.map { dataset.items[$0].group ?? dataset.items[$0].name } : nil,
            count: TrainingSettings.folds)
    }

    /// Scores a model's head on the features that are known.
    func scoreOnFeatures(_ model: Model, _ values: BoundaryValues, _ survey: Survey) async throws -> [SplitScore] {
        let part = model.network.part(after: values.node, outputShape: values.extractor.outputShape)
        let scorer = try await BoundaryScorer(
            part, model.weights, values, batch: Self.scoredBatch, precision: settings.precision, thread: thread)
        var scores: [SplitScore] = []
        for part in scoredParts(survey) {
            let items = survey.items(part)
            scores.append(
                SplitScore(
                    part: part, evaluation: try await scorer.evaluate(on: items),
                    images: items.map { dataset.items[$0].name }))
        }
        return scores
    }

    private static let scoredBatch = 128
}
