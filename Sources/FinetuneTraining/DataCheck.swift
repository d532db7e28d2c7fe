// The check of a data set: all that a training would say of it, and its labels against a head on frozen features.

package import FinetuneDatasets
package import FinetuneEngine
internal import FinetuneFiles
package import FinetuneModels
internal import FinetunePipeline

/// What is wrong with a data set, or odd.
package struct DataCheck: Sendable {
    /// Images that could be read.
    package let images: Int
    package let findings: [Finding]
    /// The images that were found and read.
    package let counts: ImageCounts

    /// Reads every image of a data set; nothing about it is an error.
    ///
    /// - Parameters:
    ///   - base: Whose features hold labels against each other; its recipe says how large images should be.
    ///   - settings: The division, the seed, the precision and the cache.
    package init(
        of dataset: ImageDataset, _ base: Model, _ settings: TrainingSettings, thread: EngineThread,
        _ report: EventHandler
    ) async throws {
        let isLabelled = !dataset.classes.isEmpty && !dataset.items.contains { $0.label == nil }
        let node = isLabelled ? base.network.featureNode : Node.image
        let fingerprints = try FingerprintStore(settings.cache, exif: base.recipe?.exif ?? .upright)
        let extractor = try await FeatureExtractor(
            base, node: node, inputShape: dataset.inputShape, precision: settings.precision,
            keeping: isLabelled ? .writing(settings.cache, rows: dataset.items.count) : nil,
            fingerprints: fingerprints, thread: thread)
        let look = try await FirstLook(dataset, through: [extractor], fingerprints) { done, total in
            report(.progress(stage: "images", done: done, total: total))
        }
        images = look.items.count
        counts = ImageCounts(found: dataset.items.count, skipped: look.skipped.count)
        let inputSize = base.recipe.map { ($0.width, $0.height) }
        guard isLabelled else {
            findings = look.findings(nil, inputSize: inputSize)
            return
        }
        let survey = Survey(look, settings, inputSize: inputSize)
        let values = BoundaryValues(extractor, dataset, survey)
        findings = survey.findings + (try await Self.labelErrors(survey, values, thread, report))
    }

    /// Labels that heads doubt which were fitted without them, on all images of the data set.
    private static func labelErrors(
        _ survey: Survey, _ values: BoundaryValues, _ thread: EngineThread, _ report: EventHandler
    ) async throws -> [Finding] {
        let classes = values.dataset.classes.count
        guard Set(survey.labels).count >= 2, survey.items.count >= Self.fewest else { return [] }
        let places = Array(survey.items.indices)
        let folds = survey.folds(Self.folds, of: places)
        let features = try await values.rows(survey.items) { _, _ in }
        let scaled = try LinearAlgebra.withThreads(thread.count) {
            try FeatureScaling.standardize.fit(features).apply(features)
        }
        let problem = HeadProblem(features: scaled, labels: survey.labels, classCount: classes, folds: folds)
        let head = ConvexHead.logistic.fit(problem, threads: thread.count) { done, _ in
            report(.share(stage: "labels", done))
        }
        guard let strength = head.record["strength"]?.doubleValue else { return [] }
        return survey.labelErrors(at: places, scaled, folds, strength: strength, threads: thread.count)
    }

    /// Folds over which labels are held against each other.
    private static let folds = 5
    /// Fewer images say nothing of each other.
    private static let fewest = 20
}
