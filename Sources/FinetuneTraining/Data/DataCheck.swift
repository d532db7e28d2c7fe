// The check of a data set: all that a training would say of it, and its labels against a head on frozen features.

package import FinetuneDatasets
package import FinetuneEngine
package import FinetuneModels
internal import FinetunePipeline

/// What is wrong with a data set, or odd.
package struct DataCheck: Sendable {
    /// Images that could be read.
    package let images: Int
    package let findings: [Finding]
    /// What is known of the labels; nil if the images have none, or are too few.
    package let labels: LabelSearch?
    /// Why a training would refuse the data set; nil if it would not, or if the images have no labels at all.
    package let refusal: (any Error)?
    /// The images that were found and read.
    package let counts: ImageCounts

    /// Reads every image of a data set. What a training would refuse is no error here: `refusal` has it.
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
        let fingerprints = try FingerprintStore(settings.cache, base.recipe)
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
            labels = nil
            let advice = dataset.noClasses.map { [Finding(.reading, [], $0)] } ?? []
            findings = advice + look.findings(nil, inputSize: inputSize)
            let survey = Survey(look, settings, inputSize: nil)
            refusal = Survey.refusal(of: dataset, look, survey, needsClasses: !dataset.classes.isEmpty)
            return
        }
        let survey = Survey(look, settings, inputSize: inputSize)
        refusal = Survey.refusal(of: dataset, look, survey)
        let values = BoundaryValues(extractor, dataset, survey)
        labels = try await LabelSearch(survey, values, threads: thread.count) { report(.share(stage: "labels", $0)) }
        findings = survey.findings + (labels?.findings ?? [])
    }
}
