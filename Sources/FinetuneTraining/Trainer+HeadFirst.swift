// The first part of `lp-ft` and `gradual`: a head on frozen features, from which the unfrozen stages begin.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline

extension Trainer {
    /// The model with a head that is trained on the base's features: a linear one by logistic regression to its optimum,
    /// one with hidden layers or a chosen initialization in epochs. Collective.
    ///
    /// - Returns: The model and how the head was trained.
    func withHeadFirst(
        _ values: BoundaryValues, _ survey: Survey, _ report: @escaping EventHandler
    ) async throws -> (Model, JSON) {
        let training = survey.items(.train)
        let features = try await values.rows(training) { done, total in
            report(.progress(stage: "features", done: done, total: total))
        }
        let scaling = try fitScaling(features, report)
        guard settings.head == .layers(HeadDesign()) else {
            return try await withHeadInEpochs(values, scaling, survey, report)
        }
        let labels = training.map { dataset.items[$0].label ?? 0 }
        let (scaled, folds) = (scaling.apply(features), folds(survey))
        let fitted = try fit(.logistic, scaled, labels, folds, report)
        let head = calibrated(fitted, scaled, labels, folds, report)
        let layers = Head(head, named: base.headName, reading: base.network.featureNode).folding(scaling)
        return (base.adapted(layers, classes: dataset.classes), head.record)
    }

    /// The head with logits of the right size: cross-validation, which looks at accuracy, may choose a regularization so
    /// strong that all weights are near zero. Classes are ranked right then, but steps that are relative to such a head's
    /// length cannot make it grow, and no step does harm to probabilities that are those of chance.
    private func calibrated(
        _ head: DenseHead, _ features: Tensor, _ labels: [Int], _ folds: [Int]?, _ report: EventHandler
    ) -> DenseHead {
        guard let folds, let strength = head.record["strength"]?.doubleValue else { return head }
        let heldOut = LogisticHead.heldOut(
            headProblem(features, labels, folds), folds, strength: strength, threads: thread.count)
        guard heldOut.allSatisfy({ !$0.isEmpty && $0.allSatisfy(\.isFinite) }) else { return head }
        let predictions = Evaluation(probabilities: heldOut, labels: labels, classes: dataset.classes)
        guard let temperature = Temperature.optimum(predictions), !Self.rightSize.contains(temperature) else {
            return head
        }
        let factor = 1 / temperature
        let fault = factor > 1 ? "gives almost equal probabilities" : "is too sure of its answers"
        report(
            .note(
                "The head on frozen features \(fault); its weights are multiplied by \(factor.rounded(toDigits: 2)) before the first step.",
                ["head_factor": .number(factor)]))
        return DenseHead(
            weight: head.weight.divided(by: temperature), bias: head.bias.divided(by: temperature),
            record: .object((head.record.members ?? []) + [.init("factor", .number(factor))]))
    }

    /// Temperatures of heads that are left as they are: an optimum for accuracy is seldom exactly one for the log-loss.
    private static let rightSize = 0.3...4.0

    /// What `--strategy frozen` would train with the same head. It keeps no checkpoint: a training that is continued
    /// computes it again, to the same bytes.
    private func withHeadInEpochs(
        _ values: BoundaryValues, _ scaling: FittedScaling, _ survey: Survey, _ report: @escaping EventHandler
    ) async throws -> (Model, JSON) {
        var context = context
        context.checkpointPath = nil
        let trainer = try Trainer(base, dataset, settings.ofHead, context, thread: thread)
        let epochs = trainer.settings.steps.epochs
        let tuned = try await trainer.tune(
            try trainer.withNewHead(inputs: scaling.outputs), [TrainingPhase(first: Stage.head, epochs: 0..<epochs)],
            values, survey, scaling: scaling, identity: trainer.identity(), from: nil
        ) { event in
            switch event {
            case .epoch(let record, of: let count):
                report(.progress(stage: "head", done: record.epoch, total: count))
            case .warning(let text): report(.warning("The head on frozen features: \(text)"))
            default: break
            }
        }
        let progress = tuned.tuning.progress
        let record: JSON = [
            "epochs": .integer(progress.epochs.count), "best_epoch": progress.bestEpoch.map { .integer($0) } ?? .null,
            "learning_rate": progress.rate.map { .number($0) } ?? .null,
        ]
        return (tuned.tuning.result(folding: scaling), record)
    }
}

extension TrainingSettings {
    /// Those of the head alone, on frozen features: the head's own and its regularization; the others at their defaults.
    package var ofHead: TrainingSettings {
        var settings = TrainingSettings(.frozen, head: head)
        settings.scaling = scaling
        settings.classWeights = classWeights
        settings.seed = seed
        settings.precision = precision
        settings.steps.precision = steps.precision
        settings.steps.batch = steps.batch
        settings.steps.dropout = steps.dropout
        settings.steps.labelSmoothing = steps.labelSmoothing
        settings.steps.l1 = steps.l1
        settings.steps.l2 = steps.l2
        settings.steps.monitor = steps.monitor
        return settings
    }
}
