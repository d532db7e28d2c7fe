// The images of a training before it starts: which can be read, what each is, and who learns, validates and tests.

internal import FinetuneDatasets
internal import FinetuneFiles
internal import FinetunePipeline

/// The readable items of a data set and their division.
struct Survey: Sendable {
    /// Indices into the data set's items, ascending.
    let items: [Int]
    let hashes: [ContentHash]
    /// 0..<classes, by place in `items`.
    let labels: [Int]
    let parts: [Split.Part]

    /// Divides what was read.
    ///
    /// - Throws: `TrainingError` where nothing can be learnt from it.
    init(
        _ items: [Int], _ hashes: [ContentHash], of dataset: ImageDataset, _ settings: TrainingSettings,
        report: EventHandler
    ) throws {
        self.items = items
        self.hashes = hashes
        labels = items.map { dataset.items[$0].label ?? 0 }
        let members = zip(items, zip(labels, hashes)).map { item, pair in
            Split.Member(label: pair.0, hash: pair.1, group: dataset.items[item].group, part: dataset.items[item].part)
        }
        try Self.checkGroups(members, dataset)
        parts = Split.assign(members, validation: settings.validation, test: settings.test, seed: settings.seed)
        try checkClasses(dataset, report)
        warnOfLeaks(dataset, report)
    }

    /// Places in `items` of one part.
    func places(_ part: Split.Part) -> [Int] { parts.indices.filter { parts[$0] == part } }

    /// Items of one part.
    func items(_ part: Split.Part) -> [Int] { places(part).map { items[$0] } }

    /// What a model keeps of the images that it learns from.
    var trainingHashes: Set<UInt64> { Set(places(.train).map { hashes[$0].half }) }

    /// A group that the data set itself puts on two sides makes every score a false one.
    private static func checkGroups(_ members: [Split.Member], _ dataset: ImageDataset) throws {
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

    private func checkClasses(_ dataset: ImageDataset, _ report: EventHandler) throws {
        var counts = [Int](repeating: 0, count: dataset.classes.count)
        for place in places(.train) { counts[labels[place]] += 1 }
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

    private func warnOfLeaks(_ dataset: ImageDataset, _ report: EventHandler) {
        let training = Set(places(.train).map { hashes[$0] })
        let leaks = parts.indices.filter { parts[$0] != .train && training.contains(hashes[$0]) }
        guard let first = leaks.first else { return }
        report(
            .warning(
                "\(leaks.count) images outside the training split are also in it, such as '\(dataset.items[items[first]].name)'; their scores are too good."
            ))
    }
}
