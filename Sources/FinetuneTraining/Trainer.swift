// Adapts a base to a data set with its trunk frozen: features once, then a head on them.

package import FinetuneDatasets
package import FinetuneEngine
package import FinetuneEvaluation
internal import FinetuneFiles
package import FinetuneModels
package import FinetunePipeline

/// What a training is told.
package struct TrainingSettings: Sendable {
    package var head = HeadKind.logistic
    package var linear = LinearSettings()
    /// Whether features are standardized before the head learns.
    package var standardizes = true
    /// The fraction of images that validate where the data set does not say.
    package var validation = 0.2
    package var test = 0.0
    package var seed: UInt64 = 0
    package var precision = Precision.native

    package init() {}

    /// Folds for choosing a head's strength.
    static let folds = 3
}

/// One split's scores with the names of its images.
package struct SplitScore: Sendable {
    package let part: Split.Part
    package let evaluation: Evaluation
    package let images: [String]
}

/// What came out of a training.
package struct TrainingResult: Sendable {
    package let model: Model
    package let head: DenseHead
    package let scores: [SplitScore]
    package let parts: [(name: String, part: Split.Part, group: String?)]
    package let skipped: [FeatureExtractor.Skipped]
    package let trainImages: Int
    package let featureSeconds: Double
    package let trainSeconds: Double
}

/// Trains a head on a frozen base.
package struct Trainer: Sendable {
    package let base: Model
    package let dataset: ImageDataset
    package let settings: TrainingSettings
    private let thread: EngineThread

    /// - Throws: `TrainingError` for a data set that nothing can be learnt from.
    package init(_ base: Model, _ dataset: ImageDataset, _ settings: TrainingSettings, thread: EngineThread) throws {
        guard dataset.classes.count >= 2 else {
            let found = dataset.classes.isEmpty ? "no classes" : "the one class '\(dataset.classes[0])'"
            throw TrainingError(
                .unusableData,
                "cannot learn from '\(dataset.path)': it has \(found), two were expected. Make a folder of images for each class."
            )
        }
        if let item = dataset.items.first(where: { $0.label == nil }) {
            throw TrainingError(.unusableData, "cannot learn from '\(dataset.path)': '\(item.name)' has no label.")
        }
        self.base = base
        self.dataset = dataset
        self.settings = settings
        self.thread = thread
    }

    /// Extracts features, splits, fits the head and scores it.
    package func run(_ report: EventHandler) async throws -> TrainingResult {
        let started = ContinuousClock.now
        let extractor = try await FeatureExtractor(
            base, node: base.network.featureNode, inputShape: dataset.inputShape, precision: settings.precision,
            thread: thread)
        let table = try await FeatureTable(extractor, dataset) { done, total in
            report(.progress(stage: "features", done: done, total: total))
        }
        for image in table.skipped { report(.skipped(name: image.name, reason: image.reason)) }
        let extracted = ContinuousClock.now

        let labels = table.items.map { dataset.items[$0].label ?? 0 }
        let members = zip(table.items, zip(labels, table.hashes)).map { item, pair in
            Split.Member(label: pair.0, hash: pair.1, group: dataset.items[item].group, part: dataset.items[item].part)
        }
        try checkGroups(members)
        let parts = Split.assign(members, validation: settings.validation, test: settings.test, seed: settings.seed)
        let training = parts.indices.filter { parts[$0] == .train }
        try checkClasses(training.map { labels[$0] }, report)
        warnOfLeaks(members, parts, table, report)

        let head = settings.head.fit(
            features: table.features.rows(training), labels: training.map { labels[$0] },
            classCount: dataset.classes.count, folds: folds(training, labels), standardizes: settings.standardizes,
            linear: settings.linear, threads: thread.count
        ) { done, _ in report(.share(stage: "head", done)) }
        guard head.weight.values.allSatisfy(\.isFinite), head.bias.values.allSatisfy(\.isFinite) else {
            throw TrainingError(
                .diverged, "the training diverged: the head's weights are no longer numbers. Try a smaller --lr.")
        }

        var model = base.adapted(weight: head.weight, bias: head.bias, classes: dataset.classes)
        model.precision = settings.precision
        model.trainingImages = Set(training.map { table.hashes[$0].text })
        let scores = Split.Part.allCases.filter { $0 != .train }.compactMap { part -> SplitScore? in
            let rows = parts.indices.filter { parts[$0] == part }
            guard !rows.isEmpty else { return nil }
            let logits = table.features.rows(rows).dense(weight: head.weight, bias: head.bias)
            return SplitScore(
                part: part,
                evaluation: Evaluation(
                    probabilities: Softmax.probabilities(logits), labels: rows.map { labels[$0] },
                    classes: dataset.classes),
                images: rows.map { dataset.items[table.items[$0]].name })
        }
        return TrainingResult(
            model: model, head: head, scores: scores,
            parts: zip(table.items, parts).map { (dataset.items[$0].name, $1, dataset.items[$0].group) },
            skipped: table.skipped, trainImages: training.count, featureSeconds: seconds(extracted - started),
            trainSeconds: seconds(.now - extracted))
    }

    /// Folds over the training images; nil where there are too few to choose a strength by.
    private func folds(_ training: [Int], _ labels: [Int]) -> [Int]? {
        guard training.count >= 2 * TrainingSettings.folds else { return nil }
        let hasGroups = dataset.items.contains { $0.group != nil }
        return StratifiedFolds.assign(
            labels: training.map { labels[$0] },
            groups: hasGroups ? training.map { dataset.items[$0].group ?? dataset.items[$0].name } : nil,
            count: TrainingSettings.folds)
    }

    /// A group that the data set itself puts on two sides makes every score a false one.
    private func checkGroups(_ members: [Split.Member]) throws {
        var parts: [String: Set<Split.Part>] = [:]
        for member in members {
            if let group = member.group, let part = member.part { parts[group, default: []].insert(part) }
        }
        let torn = parts.filter { $0.value.count > 1 }.keys.sorted()
        guard torn.isEmpty else {
            throw TrainingError(
                .unusableData,
                "cannot learn from '\(dataset.path)': its own splits put the group '\(torn[0])' on two sides\(torn.count > 1 ? " (and \(torn.count - 1) more)" : ""). Move each group to one split."
            )
        }
    }

    private func checkClasses(_ labels: [Int], _ report: EventHandler) throws {
        let counts = labels.reduce(into: [Int](repeating: 0, count: dataset.classes.count)) { $0[$1] += 1 }
        if let missing = counts.firstIndex(of: 0) {
            throw TrainingError(
                .unusableData,
                "cannot learn from '\(dataset.path)': no image of the class '\(dataset.classes[missing])' is left for training."
            )
        }
        for (name, count) in zip(dataset.classes, counts) where count == 1 {
            report(.warning("The class '\(name)' has a single training image; what is learnt of it is a guess."))
        }
    }

    private func warnOfLeaks(
        _ members: [Split.Member], _ parts: [Split.Part], _ table: FeatureTable, _ report: EventHandler
    ) {
        let training = Set(members.indices.filter { parts[$0] == .train }.map { members[$0].hash })
        let leaks = members.indices.filter { parts[$0] != .train && training.contains(members[$0].hash) }
        guard let first = leaks.first else { return }
        report(
            .warning(
                "\(leaks.count) images outside the training split are also in it, such as '\(dataset.items[table.items[first]].name)'; their scores are too good."
            ))
    }
}

/// A duration in seconds.
package func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
}
