// Which stages should learn? Every strategy on the same images, and what they have in common computed once.

package import FinetuneDatasets
package import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneRanks

/// Trains and scores strategies on the same divisions of the same images.
///
/// Ranks share the reading of the images; then each computes every n-th training and leaves its result in the
/// folder, as a comparison that was stopped does.
package struct StrategyComparison: Sendable {
    private let contenders: [Contender]
    private let dataset: ImageDataset
    private let settings: ComparisonSettings
    private let folder: RunFolder
    private let context: TrainingContext
    private let thread: EngineThread
    /// A cache of this comparison alone: what earlier runs computed would make a strategy look cheap.
    private let cache: FeatureCache

    /// - Parameters:
    ///   - contenders: At least one, of different names.
    ///   - context: Its checkpoint path is not used.
    package init(
        _ contenders: [Contender], on dataset: ImageDataset, _ settings: ComparisonSettings, in folder: RunFolder,
        _ context: TrainingContext, thread: EngineThread
    ) {
        self.contenders = contenders
        self.dataset = dataset
        self.settings = settings
        self.folder = folder
        self.context = context
        self.thread = thread
        cache = FeatureCache(folder: folder.file("features"))
    }

    /// - Returns: Nil on all ranks but the first. Collective.
    /// - Throws: `TrainingError`; of kind `stopped` if the program was asked to end; the same command continues with `--resume`.
    package func run(_ report: @escaping EventHandler) async throws -> ComparisonResult? {
        let ranks = context.ranks
        try dataset.checkClasses()
        Survey.report(dataset.remarks, report)
        if ranks.isFirst {
            try FileSystem.makeDirectory(folder.file(Self.partsFolder))
            TemporaryFiles.removeLeftovers(in: folder.file(Self.partsFolder))
        }
        ranks.meet()
        let (look, costs) = try await lookOnce(report)
        if ranks.isFirst { try folder.settle(look.hashes) }
        let survey = Survey(
            look, TrainingSettings(), inputSize: contenders[0].base.recipe.map { ($0.width, $0.height) })
        try survey.check()
        Survey.report(survey.findings.filter { !$0.kind.isOfListing }, report)
        let plan = try ComparisonDesign(look, settings)
        let counts = plan.counts(skipped: look.skipped.count)
        report(.note(counts.text, ["counts": counts.json]))
        report(.note("Design: \(plan.words).", ["design": .string(plan.words)]))
        if ranks.count > 1 {
            let tasks = tasks(plan, look)
            try await Deal.run(tasks.count, among: ranks) { deal in
                while let number = try await deal.next() { _ = try await outcome(of: tasks[number], report) }
            }
            ranks.meet()
            guard ranks.isFirst else { return nil }
        }

        var contestants: [Comparison.Contestant] = []
        var scores: [ComparisonResult.Score] = []
        var firstParts: [(contender: Contender, part: ComparisonPart)] = []
        var diverged: [(name: String, error: TrainingError)] = []
        contenders: for contender in contenders {
            var parts: [ComparisonPart] = []
            for number in plan.divisions.indices {
                switch try await outcome(of: whole(contender, number, plan, look), report) {
                case .success(let part): parts.append(part)
                case .failure(let error):
                    diverged.append((contender.name, error))
                    continue contenders
                }
            }
            for (number, part) in parts.enumerated() {
                scores.append(
                    ComparisonResult.Score(
                        strategy: contender.name, division: number + 1, evaluation: part.evaluation(dataset.classes),
                        images: part.images, temperature: part.temperature))
            }
            firstParts.append((contender, parts[0]))
            contestants.append(
                Comparison.Contestant(
                    name: contender.name, evaluations: parts.map { $0.evaluation(dataset.classes) },
                    cost: try cost(of: contender, parts, costs), isHead: contender.settings.strategy == .frozen,
                    failure: Self.failure(parts)))
        }
        if contestants.isEmpty, let first = diverged.first { throw first.error }
        let comparison = Comparison(
            contestants, plan.design, seed: settings.seed,
            diverged: diverged.map { ($0.name, String($0.error.description.dropLast())) })
        let curve = settings.hasLearningCurve ? try await learningCurve(plan, look, firstParts, report) : []
        cache.remove()
        return ComparisonResult(
            comparison: comparison, design: plan.words, scores: scores, curve: curve, findings: survey.findings,
            skipped: look.skipped, trainImages: firstParts[0].part.trainImages,
            scoredImages: firstParts[0].part.images.count,
            sharedSeconds: costs.load.seconds)
    }

    private static let partsFolder = "parts"

    /// Whether a comparison that was stopped can go on in a folder.
    package static func hasBegun(in folder: String) -> Bool {
        FileSystem.kind(of: Path.join(folder, partsFolder)) != nil
    }

    /// Removes what a comparison keeps in its folder beside its results.
    static func removeFiles(in folder: String) {
        let (features, parts) = (Path.join(folder, "features"), Path.join(folder, partsFolder))
        if FileSystem.isOwnDirectory(features) { FeatureCache(folder: features).remove() }
        guard FileSystem.isOwnDirectory(parts) else { return }
        // A folder that cannot be read holds nothing of ours, nor does a document without its checksum.
        for name in (try? FileSystem.list(parts)) ?? [] {
            let path = Path.join(parts, name)
            let isOurs =
                name.hasSuffix(".checkpoint.h5")
                || name.hasSuffix(".json")
                    && (try? JSON(parsing: FileSystem.read(path, atMost: 1 << 30)))?.checked != nil
            if isOurs { FileSystem.remove(path) }
        }
        FileSystem.removeEmptyDirectory(parts)
    }

    /// Everything that decides the result.
    package func identity() throws -> RunIdentity {
        var members: [JSON.Member] = [
            .init("strategies", JSON(contenders.map(\.name))), .init("seeds", .integer(settings.seeds)),
            .init("folds", settings.folds.map { .integer($0) } ?? .null),
            .init("learning-curve", .bool(settings.hasLearningCurve)), .init("val", .number(settings.validation)),
            .init("test", .number(settings.test)), .init("seed", .string("\(settings.seed)")),
        ]
        for contender in contenders {
            let own = try trainer(contender, nil, seed: 0, checkpoint: nil, context.ranks).identity().json.members ?? []
            members += own.map { .init("\(contender.name): \($0.key)", $0.value) }
        }
        return RunIdentity(members)
    }

    // MARK: What strategies share

    /// What every strategy would have paid alone: reading the images, and its frozen part.
    private struct SharedCosts {
        var load = ProcessTime()
        /// By node and precision.
        var networks: [String: ProcessTime] = [:]

        var json: JSON {
            [
                "load": load.json,
                "networks": .object(networks.sorted { $0.key < $1.key }.map { .init($0.key, $0.value.json) }),
            ]
        }

        init() {}

        init?(_ json: JSON) {
            guard let load = json["load"].flatMap(ProcessTime.init), let members = json["networks"]?.members else {
                return nil
            }
            self.load = load
            for member in members { networks[member.key] = ProcessTime(member.value) }
        }
    }

    /// Reads and decodes every image once, for all frozen parts that a strategy begins with.
    private func lookOnce(_ report: @escaping EventHandler) async throws -> (FirstLook, SharedCosts) {
        let fingerprints = try FingerprintStore(
            cache, contenders[0].base.recipe, ranks: context.ranks)
        var extractors: [FeatureExtractor] = []
        for contender in contenders {
            let trainer = try trainer(contender, nil, seed: 0, checkpoint: nil, context.ranks)
            for stage in try trainer.firstBoundaries() {
                let model = try trainer.withNewHead()
                let node = try model.network.boundary(before: stage)
                // Random weights freeze nothing, and may want images of another size.
                guard node != Node.image, !extractors.contains(where: { key($0) == key(node, $0.precision) }) else {
                    continue
                }
                extractors.append(try await trainer.extractor(of: model, before: stage, fingerprints))
            }
        }
        if extractors.isEmpty {
            extractors = [
                try await FeatureExtractor(
                    contenders[0].base, node: Node.image, inputShape: dataset.inputShape,
                    precision: contenders[0].settings.precision, fingerprints: fingerprints, thread: thread)
            ]
        }
        let look = try await FirstLook(
            dataset, through: extractors, fingerprints, ranks: context.ranks
        ) { done, total in
            report(.progress(stage: "images", done: done, total: total))
        }
        for image in look.skipped { report(.skipped(name: image.name, reason: image.reason)) }
        try PipelineError.check(look.skipped, of: dataset.items.count)
        var costs = SharedCosts()
        costs.load = look.cost.load
        for (extractor, time) in zip(extractors, look.cost.networks) { costs.networks[key(extractor)] = time }
        // What was there already was paid for by an earlier start.
        let path = folder.file(Path.join(Self.partsFolder, "shared.json"))
        if context.resumes, let bytes = try? FileSystem.read(path), let json = (try? JSON(parsing: bytes))?.checked,
            let earlier = SharedCosts(json)
        {
            costs.load = earlier.load
            costs.networks.merge(earlier.networks) { _, first in first }
        }
        if context.ranks.isFirst { try AtomicFile.write(costs.json.withChecksum.text, to: path) }
        return (look, costs)
    }

    private func key(_ extractor: FeatureExtractor) -> String { key(extractor.node, extractor.precision) }

    private func key(_ node: String, _ precision: Precision) -> String { "\(node) \(precision.rawValue)" }

    /// What one training of a strategy takes alone.
    private func cost(of contender: Contender, _ parts: [ComparisonPart], _ shared: SharedCosts) throws
        -> Comparison.Cost
    {
        let trainer = try trainer(contender, nil, seed: 0, checkpoint: nil, context.ranks.solo)
        let network = try trainer.withNewHead().network
        var time = shared.load
        for stage in try trainer.firstBoundaries() {
            let node = try network.boundary(before: stage)
            time += shared.networks[key(node, contender.settings.precision)] ?? ProcessTime()
        }
        let count = Double(parts.count)
        for part in parts {
            time += ProcessTime(
                seconds: part.time.seconds / count, processorSeconds: part.time.processorSeconds / count)
        }
        return Comparison.Cost(
            seconds: time.seconds, processorSeconds: time.processorSeconds,
            peakMegabytes: parts.map(\.peakMegabytes).max() ?? 0, trainableParameters: parts[0].trainableParameters)
    }

    /// Why trainings came to nothing; nil if most of them did not.
    private static func failure(_ parts: [ComparisonPart]) -> String? {
        let unchanged = parts.count { $0.bestEpoch == 0 }
        guard 2 * unchanged > parts.count else { return nil }
        let which = parts.count == 1 ? "" : " in \(unchanged) of \(parts.count) trainings"
        return "no epoch was better than its start on the validation images\(which)"
    }

    // MARK: One training

    /// A training of the comparison.
    private struct PlannedTraining {
        let contender: Contender
        let division: Division
        let seed: UInt64
        /// That of its files.
        let name: String
        /// Which it is, for people.
        let words: String
    }

    private func tasks(_ plan: ComparisonDesign, _ look: FirstLook) -> [PlannedTraining] {
        let all = contenders.flatMap { contender in
            plan.divisions.indices.map { whole(contender, $0, plan, look) }
        }
        guard settings.hasLearningCurve else { return all }
        return all + contenders.flatMap { contender in Self.shares.compactMap { reduced(contender, $0, plan, look) } }
    }

    /// One on all images that learn.
    private func whole(_ contender: Contender, _ number: Int, _ plan: ComparisonDesign, _ look: FirstLook)
        -> PlannedTraining
    {
        let count = plan.divisions.count
        return PlannedTraining(
            contender: contender, division: Division(look: look, parts: plan.divisions[number]), seed: UInt64(number),
            name: count == 1 ? contender.name : "\(contender.name)-\(number + 1)",
            words: "training \(number + 1) of \(count)")
    }

    /// One on a share of the images that learn; nil where they are too few.
    private func reduced(_ contender: Contender, _ share: Double, _ plan: ComparisonDesign, _ look: FirstLook)
        -> PlannedTraining?
    {
        let parts = plan.divisions[0]
        guard let places = ComparisonDesign.reduced(parts, look, to: share, seed: settings.seed) else { return nil }
        return PlannedTraining(
            contender: contender,
            division: Division(look: look.selecting(places), parts: places.map { parts[$0] }), seed: 0,
            name: "\(contender.name)-of-\(Int(share * 1000))",
            words: "\(share.percent) of the training images")
    }

    private func trainer(
        _ contender: Contender, _ division: Division?, seed: UInt64, checkpoint: String?, _ ranks: Ranks
    ) throws -> Trainer {
        var chosen = contender.settings
        chosen.cache = cache
        chosen.seed = settings.seed &+ seed
        var context = context
        context.checkpointPath = checkpoint
        context.ranks = ranks
        return try Trainer(contender.base, dataset, chosen, context, on: division, thread: thread)
    }

    /// What a training gave, or why it diverged: that must not cost the other strategies their results.
    private func outcome(of task: PlannedTraining, _ report: @escaping EventHandler) async throws
        -> Result<ComparisonPart, TrainingError>
    {
        do {
            return .success(try await part(of: task, report))
        } catch let error as TrainingError where error.kind == .diverged {
            report(.warning("Strategy \(task.contender.name): \(error.description)"))
            return .failure(error)
        }
    }

    /// What a training gave that is in the folder, or else is done now, by this process alone.
    private func part(of task: PlannedTraining, _ report: @escaping EventHandler) async throws -> ComparisonPart {
        let stem = folder.file(Path.join(Self.partsFolder, task.name))
        let trainer = try trainer(
            task.contender, task.division, seed: task.seed, checkpoint: stem + ".checkpoint.h5", context.ranks.solo)
        let parts = zip(task.division.look.hashes, task.division.parts).map { "\($0.text) \($1.rawValue)" }
        let key = ContentHash(of: trainer.identity().text + parts.joined(separator: "\n"))
        if let known = ComparisonPart(stem + ".json", key: key, classes: dataset.classes.count) { return known }
        report(.note("Strategy \(task.contender.name), \(task.words).", [:]))
        ProcessMeter.forgetPeak()
        let meter = ProcessMeter()
        let result = try await trainer.run { event in
            if case .note = event { return }
            report(event)
        }
        guard let result, let score = result.scores.first(where: { $0.part == .test }) else {
            throw TrainingError(.unusableData, "cannot compare on '\(dataset.path)': no image is left to score.")
        }
        let part = ComparisonPart(
            probabilities: score.evaluation.probabilities, labels: score.evaluation.labels, images: score.images,
            temperature: result.model.temperature,
            time: meter.time, peakMegabytes: ProcessMeter.recentPeakMegabytes,
            trainableParameters: result.plan.learningParameters, trainImages: result.trainImages,
            epochs: result.epochs.count, bestEpoch: result.bestEpoch)
        try part.write(to: stem + ".json", key: key)
        FileSystem.remove(stem + ".checkpoint.h5")
        return part
    }

    // MARK: Fewer images

    private static let shares = [0.125, 0.25, 0.5]

    /// Accuracy over training images, each with its interval; the whole set was trained on already.
    private func learningCurve(
        _ plan: ComparisonDesign, _ look: FirstLook, _ whole: [(contender: Contender, part: ComparisonPart)],
        _ report: @escaping EventHandler
    ) async throws -> [ComparisonResult.CurvePoint] {
        var points: [ComparisonResult.CurvePoint] = []
        for (contender, whole) in whole {
            for task in Self.shares.compactMap({ reduced(contender, $0, plan, look) }) {
                if case .success(let part) = try await outcome(of: task, report) {
                    points.append(point(contender, part))
                }
            }
            points.append(point(contender, whole))
        }
        return points
    }

    private func point(_ contender: Contender, _ part: ComparisonPart) -> ComparisonResult.CurvePoint {
        let evaluation = part.evaluation(dataset.classes)
        return ComparisonResult.CurvePoint(
            strategy: contender.name, trainImages: part.trainImages,
            accuracy: Comparison.Estimate(value: evaluation.accuracy, interval: evaluation.accuracyInterval))
    }
}

extension Trainer {
    /// The stages before which this training's frozen parts end that it begins with.
    func firstBoundaries() throws -> [String] {
        guard settings.strategy != .frozen else { return [Stage.head] }
        let network = try withNewHead().network
        let first = try settings.steps.unfreezing.firstStage(of: network)
        let begins = TrainingPhase.plan(settings.strategy, from: first, of: network, epochs: settings.steps.epochs)[0]
            .first
        return settings.strategy.beginsWithFittedHead && begins != Stage.head ? [begins, Stage.head] : [begins]
    }
}
