// The images of a training before it starts: who learns, validates and tests, and what is wrong with them.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneModels

/// Images that were looked at and divided before a training.
struct Division: Sendable {
    let look: FirstLook
    /// By place in `look.items`.
    let parts: [Split.Part]
}

/// The readable items of a data set and their division.
struct Survey: Sendable {
    /// Indices into the data set's items, ascending.
    let items: [Int]
    let hashes: [ContentHash]
    /// 0..<classes, by place in `items`.
    let labels: [Int]
    let parts: [Split.Part]
    let findings: [Finding]
    private let dataset: ImageDataset
    /// The unit of each image, by place in `items`: what is never divided, such as a group, or the copies of a picture.
    let units: [String]

    /// Divides what was read. Nothing is refused yet: see `check`.
    ///
    /// - Parameter inputSize: The network's input.
    init(_ look: FirstLook, _ settings: TrainingSettings, inputSize: (width: Int, height: Int)?) {
        let members = look.members
        let parts = Split.assign(members, validation: settings.validation, test: settings.test, seed: settings.seed)
        self.init(look, members, parts, findings: look.findings(parts, inputSize: inputSize))
    }

    /// A division that somebody else made, and looked at.
    init(_ division: Division) { self.init(division.look, division.look.members, division.parts, findings: []) }

    private init(_ look: FirstLook, _ members: [Split.Member], _ parts: [Split.Part], findings: [Finding]) {
        dataset = look.dataset
        items = look.items
        hashes = look.hashes
        labels = look.labels
        units = Split.units(members)
        self.parts = parts
        self.findings = findings
    }

    /// Places in `items` of one part.
    func places(_ part: Split.Part) -> [Int] { parts.indices.filter { parts[$0] == part } }

    /// Items of one part.
    func items(_ part: Split.Part) -> [Int] { places(part).map { items[$0] } }

    /// What a model keeps of the images that it learns from.
    var trainingHashes: Set<UInt64> { Set(places(.train).map { hashes[$0].half }) }

    /// Folds over some places in which classes have their shares; what belongs together lies in one.
    func folds(_ count: Int, of places: [Int]) -> [Int] {
        let chosen = places.map { units[$0] }
        return StratifiedFolds.assign(
            labels: places.map { labels[$0] }, groups: Set(chosen).count < chosen.count ? chosen : nil, count: count)
    }

    /// - Throws: `TrainingError` where nothing honest can be learnt from the images: a class is missing from a split,
    ///   or the data set's own splits tear a group apart.
    func check() throws {
        // A group in more than one of the data set's own splits inflates every score.
        if let torn = findings.first(where: { $0.kind == .tornGroup }) {
            throw TrainingError(
                .unusableData, "cannot learn from '\(dataset.path)': \(torn.detail) Move each group to one split.")
        }
        let learning = Set(places(.train).map { labels[$0] })
        if let missing = dataset.classes.indices.first(where: { !learning.contains($0) }) {
            throw TrainingError(
                .unusableData,
                "cannot learn from '\(dataset.path)': \(ImageDataset.missing(dataset.classes[missing], .train))")
        }
        if let missing = findings.first(where: { $0.kind == .missingClass }) {
            throw TrainingError(
                .unusableData,
                "cannot learn from '\(dataset.path)': \(missing.detail) Add some, or merge the splits and let --val choose."
            )
        }
    }

    /// Says what was found, a line for each kind.
    static func report(_ findings: [Finding], _ report: EventHandler) { findings.report(report) }
}

extension [Finding] {
    /// Says what was found, a line for each kind; unreadable images are named one by one elsewhere.
    package func report(_ report: EventHandler) {
        for (kind, count) in counts where kind != .unreadable {
            let ofKind = filter { $0.kind == kind }
            guard let first = ofKind.first else { continue }
            let text =
                ofKind.count == 1
                ? first.detail
                : "\(kind.words(ofKind.count, images: count)), such as: \(first.detail) `finetune check` lists all."
            if kind.isMild {
                report(.note(text, ["finding": .string(kind.rawValue), "count": .integer(count)]))
            } else {
                report(.warning(text))
            }
        }
    }
}
