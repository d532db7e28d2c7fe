// A model at work: probabilities for images, and its score on labelled ones.

package import FinetuneDatasets
package import FinetuneEngine
package import FinetuneEvaluation
package import FinetuneFiles
package import FinetuneModels
package import FinetunePipeline

/// A model compiled to give class probabilities.
package struct Predictor: Sendable {
    package let classes: [String]
    package let extractor: FeatureExtractor
    private let trainingImages: Set<UInt64>
    private let temperature: Double
    private let views: [ImageView]

    /// - Parameters:
    ///   - classes: The names of the outputs.
    ///   - views: How often each image is looked at: as it is, and in parts of it, mirrored or not, whose probabilities
    ///     are averaged with it (test-time augmentation).
    /// - Throws: `TrainingError` where the model has no head or another number of outputs.
    package init(
        _ model: Model, classes: [String], inputShape: [Int]? = nil, precision: Precision, imageCount: Int? = nil,
        views: Int = 1, thread: EngineThread
    ) async throws {
        guard let outputs = model.headOutputs, let node = model.network.node(forLayer: "logits") else {
            throw TrainingError(
                .unusableData,
                "cannot predict with this model: it has no head. Train one with: finetune --base … --data …")
        }
        guard outputs == classes.count else {
            throw TrainingError(
                .unusableData,
                "cannot predict with this model: its head has \(outputs) outputs and there are \(classes.count) class names. Name them in order with --classes FILE."
            )
        }
        self.classes = classes
        trainingImages = model.trainingImages
        temperature = model.temperature
        self.views = (0..<views).map { ImageView(views > 1 ? .light : .none, number: $0, seed: 0) }
        extractor = try await FeatureExtractor(
            model, node: node, inputShape: inputShape, precision: precision, imageCount: imageCount, thread: thread)
    }

    /// The probabilities of each image, given as they come: index of the item and one number a class.
    package func predict(
        _ dataset: ImageDataset, progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in },
        each: (_ item: Int, _ hash: ContentHash, _ probabilities: [Double]) throws -> Void
    ) async throws -> [FeatureExtractor.Skipped] {
        try await extractor.run(dataset, views: views, progress: progress) { chunks in
            var rows = probabilities(chunks[0].values)
            for other in chunks.dropFirst() {
                for (place, row) in probabilities(other.values).enumerated() {
                    for k in row.indices { rows[place][k] += row[k] }
                }
            }
            for (place, row) in rows.enumerated() {
                try each(chunks[0].items[place], chunks[0].hashes[place], row.map { $0 / Double(views.count) })
            }
        }.skipped
    }

    private func probabilities(_ logits: Tensor) -> [[Double]] {
        Softmax.probabilities(logits).map { Temperature.apply(temperature, to: $0) }
    }

    /// What an evaluation found.
    package struct Score: Sendable {
        package let evaluation: Evaluation
        package let images: [String]
        /// Indices of the images into the data set's items.
        package let items: [Int]
        /// Images that the model was trained on, which are left out of the score.
        package let known: [String]
        package let skipped: [FeatureExtractor.Skipped]
    }

    /// Scores the model on the labelled images of a data set whose labels index `classes`.
    ///
    /// - Throws: `TrainingError` where no image is left to score.
    package func evaluate(_ dataset: ImageDataset, progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in })
        async throws -> Score
    {
        var rows: [[Double]] = []
        var labels: [Int] = []
        var items: [Int] = []
        var known: [String] = []
        let skipped = try await predict(dataset, progress: progress) { item, hash, probabilities in
            let entry = dataset.items[item]
            guard let label = entry.label else { return }
            if trainingImages.contains(hash.half) {
                known.append(entry.name)
            } else {
                rows.append(probabilities)
                labels.append(label)
                items.append(item)
            }
        }
        try PipelineError.check(skipped, of: dataset.items.count)
        guard !rows.isEmpty else {
            let reason =
                known.isEmpty
                ? "none of its images has a label"
                : "the model was trained on all of its \(known.count) labelled images"
            throw TrainingError(.unusableData, "cannot evaluate on '\(dataset.path)': \(reason).")
        }
        return Score(
            evaluation: Evaluation(probabilities: rows, labels: labels, classes: classes),
            images: items.map { dataset.items[$0].name }, items: items, known: known, skipped: skipped)
    }
}
