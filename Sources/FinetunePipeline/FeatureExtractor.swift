// The one way from images to numbers: decode, recipe, network up to a node. Every command goes through here.

package import FinetuneDatasets
package import FinetuneEngine
package import FinetuneFiles
package import FinetuneModels
package import FinetuneRanks

/// A model's network up to one node, for the images of a data set.
///
/// Images are taken all the way by lanes, threads that each read, decode and compute alone; what they give is in order
/// and the same whatever their number.
package struct FeatureExtractor: Sendable {
    /// The node's output for some images, in the order of the data set.
    package struct Chunk: Sendable {
        /// Indices into the data set's items.
        package let items: [Int]
        package let hashes: [ContentHash]
        /// Shape `[items] + outputShape`.
        package let values: Tensor
        package let skipped: [Skipped]
        package let cost: Cost
    }

    /// An image that could not be read, and why.
    package struct Skipped: Sendable {
        /// Its index into the data set's items.
        package let item: Int
        package let name: String
        package let reason: String
    }

    /// What images took, summed over lanes.
    package struct Cost: Sendable {
        /// Reading, decoding and geometry.
        package var load: ProcessTime
        package var network: ProcessTime

        package init(load: ProcessTime = ProcessTime(), network: ProcessTime = ProcessTime()) {
            (self.load, self.network) = (load, network)
        }

        package static func += (a: inout Cost, b: Cost) {
            a.load += b.load
            a.network += b.network
        }
    }

    package let precision: Precision
    /// The node whose output is wanted.
    package let node: String
    /// The shape of one image's values: `[features]`, `[channels, height, width]`, or `[height, width, channels]` where
    /// the node is the image itself.
    package let outputShape: [Int]
    /// What was computed is kept here, and found here.
    package let store: FeatureStore?
    /// Why what was computed is not kept for later runs, in words, where it was to be.
    package var keepingProblem: String? { store?.failure ?? problem }
    private let problem: String?
    /// Images that a lane takes at a time.
    package let batch: Int
    private let lanes: [ExtractionLane]
    private let overflow: DepthOverflow?

    /// Says that pictures had values above those that the recipe's depth holds; nil if none had. Complete after a run.
    package var depthWarning: String? { overflow?.warning }

    /// - Parameters:
    ///   - node: The node whose output is wanted; `Node.image` for the network's input.
    ///   - inputShape: `[height, width, channels]` where the data set holds inputs that are ready for the network; nil
    ///     for pictures, which the model's recipe prepares.
    ///   - precision: That of what was not trained; a model's trained part has its own. For int8 the model brings its
    ///     `quantization`.
    ///   - imageCount: How many images are to come, where it is known: a few need no full batch, one needs no lanes.
    ///   - keeping: Where the node's outputs are kept; nil keeps nothing.
    ///   - fingerprints: Receives the fingerprint of each picture that it does not hold yet.
    ///   - observes: Whether the magnitudes of what nodes give are counted: see `histograms`.
    /// - Throws: `EngineError`; `PipelineError` where a recipe is needed and there is none.
    package init(
        _ model: Model, node: String, inputShape: [Int]? = nil, precision: Precision, imageCount: Int? = nil,
        keeping: FeatureKeeping? = nil, fingerprints: FingerprintStore? = nil, observes: Bool = false,
        thread: EngineThread
    ) async throws {
        self.precision = precision
        self.node = node
        let loader = try Self.loader(model, inputShape, precision, fingerprints)
        overflow = loader.overflow
        let channels = model.network.inputChannels
        let shape = inputShape ?? model.recipe.map { [$0.height, $0.width, channels] } ?? []
        guard
            let output = node == Node.image
                ? shape : model.network.outputShape(of: node, height: shape[0], width: shape[1])
        else { throw model.network.tooSmall(for: node, height: shape[0], width: shape[1]) }
        outputShape = output
        (store, problem) =
            try keeping?.makeStore(model, node: node, precision: precision, outputShape: output) ?? (nil, nil)
        let threads: [EngineThread]
        (threads, batch) = Self.lanes(for: imageCount, height: shape[0], width: shape[1], precision, thread)
        let recipe = SegmentRecipe(
            model, node: node, precision: precision, observes: observes, lanes: threads.count)
        lanes = threads.map { [store, batch] in
            ExtractionLane(
                recipe, loader, store, inputShape: shape, outputShape: output, batch: batch, on: $0)
        }
    }

    private static func loader(
        _ model: Model, _ inputShape: [Int]?, _ precision: Precision, _ fingerprints: FingerprintStore?
    ) throws -> ImageLoader {
        let channels = model.network.inputChannels
        guard inputShape == nil else {
            guard inputShape?[2] == channels else {
                throw PipelineError(
                    description:
                        "cannot run the network: its first convolution reads \(channels) channel\(channels == 1 ? "" : "s"), and the data set's inputs have \(inputShape?[2] ?? 0). Use a --base that reads as many."
                )
            }
            return ImageLoader(nil)
        }
        guard model.readsPictures else {
            throw PipelineError(
                description:
                    "cannot run the network on pictures: its first convolution reads \(channels) channels, and pictures have 3, or 1 if they are gray. Give the images as 'inputs' of an .npz, shape [images, height, width, \(channels)], to train, evaluate or extract."
            )
        }
        guard let recipe = model.recipe else { throw PipelineError.noRecipe }
        guard recipe.channels == channels else {
            throw PipelineError(
                description:
                    "cannot run the network: its inputs have \(channels) channels, the recipe's \(recipe.channels).")
        }
        return ImageLoader(
            try Preprocessor(recipe, reducesWhileDecoding: precision != .fp32), fingerprints: fingerprints)
    }

    /// Which threads share the images, and how many each takes at a time.
    private static func lanes(
        for imageCount: Int?, height: Int, width: Int, _ precision: Precision, _ thread: EngineThread
    ) -> ([EngineThread], batch: Int) {
        let batch = Machine.batch(height: height, width: width, precision)
        // An image's numbers must not depend on how many come with it, nor on who computes them.
        guard let imageCount, !Machine.sumsDependOnBatch(precision) else { return (thread.lanes, batch) }
        if imageCount <= 1 { return ([thread], 1) }
        let fewest = (imageCount + thread.count - 1) / thread.count
        return (Array(thread.lanes.prefix(imageCount)), min(batch, fewest))
    }

    // MARK: Running

    private func pieces(_ count: Int) -> Int { (count + batch - 1) / batch }

    /// - Parameter items: Nil for all of `count`, of which a list would be another number for each.
    private static func piece(_ number: Int, of items: [Int]?, _ count: Int, _ batch: Int) -> ArraySlice<Int> {
        let places = number * batch..<min((number + 1) * batch, count)
        return items.map { $0[places] } ?? Array(places)[...]
    }

    /// Gives the values of the chosen items to `consume`, batch by batch and in order.
    ///
    /// - Returns: The images that could not be read — whether they are too many is the caller's to say
    ///   (`PipelineError.check`) — and what the others took.
    package func run(
        _ dataset: ImageDataset, items: [Int]? = nil, view: ImageView = .plain, hashes: [Int: ContentHash] = [:],
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in },
        consume: (Chunk) throws -> Void
    ) async throws -> (skipped: [Skipped], cost: Cost) {
        try await run(dataset, items: items, views: [view], hashes: hashes, progress: progress) { try consume($0[0]) }
    }

    /// `run` for images that are seen in several ways.
    ///
    /// - Parameter consume: Is given a chunk for each view, of the same images.
    package func run(
        _ dataset: ImageDataset, items: [Int]? = nil, views: [ImageView], hashes: [Int: ContentHash] = [:],
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in },
        consume: ([Chunk]) throws -> Void
    ) async throws -> (skipped: [Skipped], cost: Cost) {
        let total = items?.count ?? dataset.items.count
        var skipped: [Skipped] = []
        var cost = Cost()
        try await LaneStream.run(pieces: pieces(total), lanes: lanes.count) { [lanes, batch] number, lane in
            let piece = Self.piece(number, of: items, total, batch)
            var chunks: [Chunk] = []
            for view in views {
                let chunk = try await lanes[lane].values(of: piece, in: dataset, view: view, hashes: hashes)
                guard chunk.items == chunks.first?.items ?? chunk.items else {
                    throw PipelineError(description: "cannot go on: an image changed while it was read.")
                }
                chunks.append(chunk)
            }
            return chunks
        } consume: { number, chunks in
            skipped += chunks[0].skipped
            for chunk in chunks { cost += chunk.cost }
            if !chunks[0].items.isEmpty { try consume(chunks) }
            try progress(min((number + 1) * batch, total), total)
        }
        return (skipped, cost)
    }

    /// The values of some items, in their order; those that cannot be read are passed over and named.
    ///
    /// - Parameters:
    ///   - items: Indices into the data set's items, any number.
    ///   - hashes: Content hashes of items as far as they are known; what is kept of those is found without a look at
    ///     the image.
    package func values(
        of items: [Int], in dataset: ImageDataset, view: ImageView = .plain, hashes: [Int: ContentHash] = [:]
    ) async throws -> Chunk {
        if let chunk = kept(items, view, hashes) { return chunk }
        var chunks: [Chunk] = []
        let (skipped, cost) = try await run(dataset, items: items, view: view, hashes: hashes) { chunks.append($0) }
        if chunks.count == 1, skipped.isEmpty { return chunks[0] }
        let count = chunks.reduce(0) { $0 + $1.items.count }
        let values = Tensor(shape: [count] + outputShape, concatenating: chunks.map(\.values))
        return Chunk(
            items: chunks.flatMap(\.items), hashes: chunks.flatMap(\.hashes), values: values, skipped: skipped,
            cost: cost)
    }

    /// What is kept of some items, where that is all of it and no image need be looked at; nil otherwise.
    ///
    /// A training asks for this beside every step, so that it is read straight to where it is wanted, and by one thread.
    private func kept(_ items: [Int], _ view: ImageView, _ hashes: [Int: ContentHash]) -> Chunk? {
        let hashes = items.compactMap { hashes[$0] }
        let keys = hashes.map { view.key(for: $0) }
        guard let store, keys.count == items.count, keys.allSatisfy({ store.contains($0, view: 0) }) else { return nil }
        var isWhole = true
        let values = Tensor(rowsOf: [items.count] + outputShape) { place, row in
            if isWhole { isWhole = store.read(keys[place], view: 0, into: &row) }
        }
        return isWhole ? Chunk(items: items, hashes: hashes, values: values, skipped: [], cost: Cost()) : nil
    }

    /// Fills the stores of extractors that read images alike: every image is decoded once, and computed by those that do
    /// not hold it yet. Extractors without a store compute nothing.
    ///
    /// - Parameters:
    ///   - extractors: At least one, all of one recipe and on one engine thread.
    ///   - ranks: Those that share the images: each takes a batch when it has done one, and all get what all found.
    ///     Collective.
    ///   - progress: Is given the images of all ranks that were begun, as far as this one knows.
    /// - Returns: Seconds are as if the lanes' had been one after the other, divided by their number.
    package static func fill(
        _ extractors: [FeatureExtractor], from dataset: ImageDataset, ranks: Ranks = .alone,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) async throws -> Filled {
        let count = dataset.items.count
        let batch = extractors.map(\.batch).max() ?? 1
        let lanes = extractors.map(\.lanes.count).min() ?? 1
        let pieces = (count + batch - 1) / batch
        var filled = Filled(extractors: extractors.count)
        try await Deal.run(pieces, among: ranks) { deal in
            try await LaneStream.run(pieces: pieces, lanes: lanes) { _, lane in
                guard let piece = try await deal.next() else { return Filled(extractors: extractors.count) }
                let stores = extractors.compactMap(\.store)
                let (images, skipped, load) = await extractors[0].lanes[lane].prepare(
                    Self.piece(piece, of: nil, count, batch), dataset
                ) { hash in stores.allSatisfy { $0.contains(hash, view: 0) } }
                var networks: [ProcessTime] = []
                for extractor in extractors {
                    let missing = images.filter { image in
                        !image.isKnown && extractor.store.map { !$0.contains(image.hash, view: 0) } == true
                    }
                    networks.append(try await extractor.lanes[lane].compute(missing, of: dataset))
                }
                return Filled(images, skipped, FillCost(load: load, networks: networks))
            } consume: { _, piece in
                filled.append(piece, sharedBy: lanes)
                try progress(min(deal.dealt * batch, count), count)
            }
        }
        for store in extractors.compactMap(\.store) { try store.join(ranks) }
        return try filled.exchanged(ranks)
    }

    /// Keeps what is not kept yet of some items in a view, each rank that of the contents that are its own by their
    /// hashes. Does nothing without a store. Collective.
    package func share(
        _ items: [Int], of dataset: ImageDataset, view: ImageView, hashes: [Int: ContentHash], ranks: Ranks,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) async throws {
        guard let store, ranks.count > 1 else { return }
        let own = items.filter { item in
            hashes[item].map { ranks.owns($0.low) && !store.contains(view.key(for: $0), view: 0) } ?? false
        }
        _ = try await run(dataset, items: own, view: view, hashes: hashes, progress: progress) { _ in }
        try store.join(ranks)
    }

    /// The magnitudes of what the network's nodes gave, where they are observed; the same whatever the number of lanes.
    package func histograms() async throws -> [String: MagnitudeHistogram] {
        var all: [String: MagnitudeHistogram] = [:]
        for lane in lanes {
            all.merge(try await lane.histograms()) { first, second in
                var both = first
                both.merge(second)
                return both
            }
        }
        return all
    }
}

/// Why images cannot become features.
package struct PipelineError: Error, Sendable, CustomStringConvertible {
    package let description: String

    static let noRecipe = PipelineError(
        description: "cannot tell how pixels become numbers: the base does not say. "
            + "Try --recipe raw, unit, torch, caffe or tf, whichever its authors used.")

    /// Another rank said something that this one cannot read.
    package static let otherVersion = PipelineError(
        description: "cannot go on: what another process says of the images makes no sense here. "
            + "Run the same version of finetune on all machines.")

    /// - Parameter image: The name of the one that showed it.
    static func notFinite(_ image: String) -> PipelineError {
        PipelineError(
            description:
                "cannot use the network: for '\(image)' it gives numbers that are not finite (NaN or infinity). The weights, or the numbers of this image, are damaged or far too large. To see the weights: finetune inspect --tensors FILE"
        )
    }

    /// - Parameter reason: Why the cache is none, in words; nil where there is no cache.
    static func noSharedCache(_ reason: String?) -> PipelineError {
        PipelineError(
            description:
                "cannot share the images among processes: what each computes is kept in the cache, and \(reason ?? "there is none"). Name a folder that all machines share, with room, by --cache."
        )
    }

    /// Throws where more than a tenth of a data set's images cannot be read.
    package static func check(_ skipped: [FeatureExtractor.Skipped], of count: Int) throws {
        guard skipped.count * 10 > count else { return }
        let first = skipped.first.map { " '\($0.name)': \($0.reason)\($0.reason.hasSuffix(".") ? "" : ".")" } ?? ""
        throw PipelineError(
            description:
                "cannot use the images: \(skipped.count) of \(count) cannot be read, at most a tenth may be.\(first)")
    }
}
