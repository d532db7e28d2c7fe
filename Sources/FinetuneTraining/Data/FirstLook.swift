// All images of a data set, read once: which can be read, what each is, and which show the same.

internal import FinetuneDatasets
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneRanks

/// What one pass over a data set left.
struct FirstLook: Sendable {
    let dataset: ImageDataset
    /// Indices into the data set's items that can be read, ascending.
    let items: [Int]
    /// By place in `items`, as everything that follows.
    let hashes: [ContentHash]
    let skipped: [FeatureExtractor.Skipped]
    /// What reading them took, and what each extractor did.
    let cost: FeatureExtractor.FillCost
    let copies: CopySearch
    /// The number of the set of copies that each image belongs to; nil where it has none.
    private let sets: [Int?]
    /// Pixels and kind of file of each picture; nil for what is none.
    private let pictures: [Fingerprint.Facts?]
    /// Which bits of 16-bit pictures were seen.
    private let depth: Int

    /// Reads every image.
    ///
    /// - Parameters:
    ///   - extractors: Ones that were given `fingerprints`, of one recipe; what they keep is kept on the way.
    ///   - ranks: Those that share the images. Collective.
    ///   - progress: Throws to end.
    init(
        _ dataset: ImageDataset, through extractors: [FeatureExtractor], _ fingerprints: FingerprintStore,
        ranks: Ranks = .alone, progress: (_ done: Int, _ total: Int) throws -> Void
    ) async throws {
        let filled = try await FeatureExtractor.fill(extractors, from: dataset, ranks: ranks, progress: progress)
        try fingerprints.join(ranks)
        self.dataset = dataset
        (items, hashes, skipped, cost) = (filled.items, filled.hashes, filled.skipped, filled.cost)
        var pictures: [Fingerprint.Facts?] = []
        var perceptual: [PerceptualHash?] = []
        for hash in hashes {
            let fingerprint = fingerprints[hash]
            pictures.append(fingerprint?.facts)
            perceptual.append(fingerprint?.hash)
        }
        self.pictures = pictures
        depth = fingerprints.depth
        let contents = hashes
        copies = CopySearch(hashes, perceptual) { fingerprints[contents[$0]]?.shades }
        sets = copies.sets
    }

    private init(_ look: FirstLook, at places: [Int]) {
        (dataset, skipped, cost, copies) = (look.dataset, look.skipped, look.cost, look.copies)
        items = places.map { look.items[$0] }
        hashes = places.map { look.hashes[$0] }
        sets = places.map { look.sets[$0] }
        pictures = places.map { look.pictures[$0] }
        depth = look.depth
    }

    /// The same look at some of the images.
    func selecting(_ places: [Int]) -> FirstLook { FirstLook(self, at: places) }

    /// Each image as a split sees it, in the splits of the data set itself.
    var members: [Split.Member] {
        items.indices.map { place in
            let item = dataset.items[items[place]]
            return Split.Member(
                label: item.label ?? 0, hash: hashes[place], group: item.group, copies: sets[place],
                part: item.part)
        }
    }

    /// The labels of what can be read, 0 where there is none.
    var labels: [Int] { items.map { dataset.items[$0].label ?? 0 } }

    /// What is wrong with the images, or odd.
    ///
    /// - Parameters:
    ///   - parts: Who learns, validates and tests, by place; nil where nothing was divided.
    ///   - inputSize: The network's input.
    func findings(_ parts: [Split.Part]?, inputSize: (width: Int, height: Int)?) -> [Finding] {
        let units = Split.units(members)
        let images = items.indices.map { place in
            let item = dataset.items[items[place]]
            return DataAudit.Image(
                name: item.name, label: item.label, group: item.group, unit: units[place], part: parts?[place],
                facts: pictures[place])
        }
        // What the listing has named is not said again.
        let absent = Set(dataset.remarks.filter { $0.kind == .missingFile }.flatMap(\.paths))
        let unreadable = skipped.filter { !absent.contains($0.name) }.map { image in
            Finding(
                .unreadable, [image.name],
                "'\(image.name)' cannot be read: \(image.reason)\(image.reason.hasSuffix(".") ? "" : ".")",
                surplus: [image.name])
        }
        let audit = DataAudit(
            images, classes: dataset.classes, copies: copies, ownParts: dataset.ownParts, inputSize: inputSize,
            depth: depth)
        return unreadable + dataset.remarks + audit.findings
    }
}
