// The search for wrong labels: every image against heads on frozen features that were fitted without it. `train` and
// `check` share it, so that both name the same images in the same order.

package import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
package import FinetuneFiles
internal import FinetuneModels

/// What is known of a data set's labels.
package struct LabelSearch: Sendable {
    /// Images whose labels are probably wrong, the most probable first.
    package let findings: [Finding]
    /// How far labels can be judged with these features: a sentence.
    package let verdict: String
    package let record: JSON

    /// Fits a head for each fold, on all images of classes that have enough of them.
    ///
    /// - Parameters:
    ///   - values: The features that feed the head.
    ///   - progress: The fraction that is done.
    /// - Returns: Nil if the images are too few.
    init?(
        _ survey: Survey, _ values: BoundaryValues, threads: Int, progress: (Double) throws -> Void
    ) async throws {
        // Images of one unit are in one fold.
        var units = [Set<String>](repeating: [], count: values.dataset.classes.count)
        for (label, unit) in zip(survey.labels, survey.units) { units[label].insert(unit) }
        let places = survey.items.indices.filter { units[survey.labels[$0]].count >= Self.folds }
        let labels = places.map { survey.labels[$0] }
        guard places.count >= Self.fewest, Set(labels).count >= 2 else { return nil }
        let folds = survey.folds(Self.folds, of: places)
        let features = try await values.rows(places.map { survey.items[$0] }) { done, total in
            try progress(0.5 * Double(done) / Double(max(1, total)))
        }
        guard features.isFinite else { return nil }
        let scaled = try LinearAlgebra.withThreads(threads) {
            try FeatureScaling.standardize.fit(features).apply(features)
        }
        let classes = values.dataset.classes
        let problem = HeadProblem(features: scaled, labels: labels, classCount: classes.count, folds: folds)
        let probabilities = LogisticHead.heldOut(problem, folds, strength: Self.strength, threads: threads)
        try progress(1)
        guard !probabilities.contains(where: { row in row.isEmpty || row.contains { !$0.isFinite } }) else {
            return nil
        }
        let errors = LabelErrors(probabilities: probabilities, labels: labels)
        findings = errors.suspicions.map { suspicion in
            let name = values.dataset.items[survey.items[places[suspicion.index]]].name
            let suggestion = classes[suspicion.suggestion]
            return Finding(
                .labelError, [name],
                "'\(name)' is labelled '\(classes[suspicion.label])' and looks like '\(suggestion)' (\(Self.percent(suspicion.probability)) likely to be wrong).",
                surplus: [name], suggestion: .init(label: suggestion, probability: suspicion.probability))
        }
        verdict = Self.verdict(errors, found: findings.count)
        record = [
            "images": .integer(places.count), "accuracy": .number(errors.accuracy),
            "wrong_fraction": .number(errors.wrongFraction), "temperature": .number(errors.temperature),
            "power": .number(errors.power),
            "conclusive": .bool(errors.isConclusive), "likely_errors": .integer(findings.count),
        ]
    }

    /// Whole percents; certainty is never claimed.
    private static func percent(_ fraction: Double) -> String {
        fraction >= 0.995 ? "over 99 %" : "\(Int((fraction * 100).rounded())) %"
    }

    private static func verdict(_ errors: LabelErrors, found: Int) -> String {
        let agreement = "the network agrees with \(percent(errors.accuracy)) of the labels (cross-validated)"
        let power = "Of wrong labels \(percent(errors.power)) would be recognised; \(agreement)."
        if errors.isConclusive { return found == 0 ? "No likely label errors found. \(power)" : power }
        let reason =
            errors.accuracy < LabelErrors.leastAccuracy
            ? "\(agreement), so a disagreement says little"
            : "only about \(percent(errors.power)) of wrong labels would be recognised, for \(agreement) and is seldom sure"
        return "Labels cannot be checked with these features: \(reason). Try a stronger --base, or more images."
    }

    /// Folds over which labels are held against each other; classes with fewer images are left out.
    private static let folds = 5
    /// Fewer images say nothing of each other.
    private static let fewest = 20
    /// The inverse strength of the L2 penalty, scikit-learn's `C`, on standardized features: the table under "Labels" in
    /// the documentation of trust has how well it does beside one chosen by cross-validation.
    private static let strength = 0.01
}
