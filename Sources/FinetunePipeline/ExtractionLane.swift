// One thread that takes images all the way: reads, decodes, runs the network, keeps what comes of it.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

/// A lane of a `FeatureExtractor`. Its network is compiled when the first image needs it.
actor ExtractionLane {
    private let thread: EngineThread
    private let loader: ImageLoader
    private let store: FeatureStore?
    /// `[height, width, channels]` of the network's input.
    private let inputShape: [Int]
    /// Of one image's values.
    private let outputShape: [Int]
    private let batch: Int
    private var network: CompiledPart
    /// Where the next batch's input is written; nil while a batch has it.
    private var input: TensorStorage?

    private enum CompiledPart {
        case recipe(SegmentRecipe)
        /// One for all who wait for it: a second piece of work is here before the first one's network is compiled.
        case compilation(Task<[Segment], any Error>)
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(
        _ recipe: SegmentRecipe, _ loader: ImageLoader, _ store: FeatureStore?, inputShape: [Int], outputShape: [Int],
        batch: Int, on thread: EngineThread
    ) {
        network = .recipe(recipe)
        (self.loader, self.store, self.batch, self.thread) = (loader, store, batch, thread)
        (self.inputShape, self.outputShape) = (inputShape, outputShape)
    }

    // MARK: Images

    /// Reads and decodes items, in order.
    ///
    /// - Parameter isKnown: Whether the features of an image with this content hash are cached; if so it is not decoded.
    func prepare(
        _ items: ArraySlice<Int>, _ dataset: ImageDataset, view: ImageView = .plain,
        hashes: [Int: ContentHash] = [:], isKnown: (ContentHash) -> Bool
    ) -> (images: [ImageLoader.Prepared], skipped: [FeatureExtractor.Skipped], cost: ProcessTime) {
        let meter = ProcessMeter(ofThread: true)
        var images: [ImageLoader.Prepared] = []
        var skipped: [FeatureExtractor.Skipped] = []
        for item in items {
            switch loader.prepare(item, dataset, view, hash: hashes[item], isKnown) {
            case .ready(let image): images.append(image)
            case .skipped(let image): skipped.append(image)
            }
        }
        return (images, skipped, meter.time)
    }

    /// The values of at most `batch` items, in order: found where they are kept, else computed.
    func values(
        of items: ArraySlice<Int>, in dataset: ImageDataset, view: ImageView, hashes: [Int: ContentHash]
    ) async throws -> FeatureExtractor.Chunk {
        var (images, skipped, load) = prepare(items, dataset, view: view, hashes: hashes) { [store] hash in
            store?.contains(view.key(for: hash), view: 0) ?? false
        }
        let size = outputShape.reduce(1, *)
        let storage = TensorStorage(count: images.count * size)
        func row(_ place: Int) -> Range<Int> { place * size..<(place + 1) * size }
        var missing: [Int] = []
        for (place, image) in images.enumerated() {
            if image.isKnown {
                let isFound = storage.write(row(place)) { store?.read(view.key(for: image.hash), view: 0, into: &$0) }
                if isFound == true { continue }
                // What is kept of it is damaged: compute it again.
                let again = prepare([image.item], dataset, view: view) { _ in false }
                guard let prepared = again.images.first else {
                    throw PipelineError(description: "'\(dataset.items[image.item].name)' changed while it was read.")
                }
                load += again.cost
                images[place] = prepared
            }
            missing.append(place)
        }
        let network = try await compute(missing.map { images[$0] }, of: dataset, view) { index, values in
            storage.write(row(missing[index])) { $0.update(from: values) }
        }
        return FeatureExtractor.Chunk(
            items: images.map(\.item), hashes: images.map(\.hash),
            values: Tensor(shape: [images.count] + outputShape, storage: storage), skipped: skipped,
            cost: FeatureExtractor.Cost(load: load, network: network))
    }

    /// Runs the network on images and keeps what comes of them.
    ///
    /// - Parameter each: Is given the place of an image and its values, as they are kept.
    /// - Returns: What the network took, without its compilation.
    /// - Throws: `PipelineError` that names an image for which the network gives numbers that are not finite.
    func compute(
        _ images: [ImageLoader.Prepared], of dataset: ImageDataset, _ view: ImageView = .plain,
        each: (Int, Span<Float>) -> Void = { _, _ in }
    ) async throws -> ProcessTime {
        guard !images.isEmpty else { return ProcessTime() }
        let segments = try await compiled()
        var cost = ProcessTime()
        let size = inputShape.reduce(1, *)
        let storage = input ?? TensorStorage(count: batch * size)
        input = nil
        defer { input = storage }
        for start in stride(from: 0, to: images.count, by: batch) {
            let places = start..<min(start + batch, images.count)
            storage.write(0..<places.count * size) { loader.write(images[places], into: &$0) }
            var values = Tensor(
                shape: [places.count] + inputShape, storage: storage.prefix(places.count * size))
            let meter = ProcessMeter(ofThread: thread.count == 1)
            for segment in segments {
                values = try await segment.program.run(values)
                if let rounding = segment.rounding { values = values.rounded(to: rounding) }
            }
            cost += meter.time
            try keep(values, of: images[places], dataset, view, each)
        }
        return cost
    }

    private func keep(
        _ values: Tensor, of images: ArraySlice<ImageLoader.Prepared>, _ dataset: ImageDataset, _ view: ImageView,
        _ each: (Int, Span<Float>) -> Void
    ) throws {
        var row = [Float](repeating: 0, count: outputShape.reduce(1, *))
        try values.forEachRow { index, computed in
            let image = images[images.startIndex + index]
            var rounded = row.mutableSpan
            rounded.update(from: computed)
            store?.element.round(&rounded)
            guard row.span.areFinite else { throw PipelineError.notFinite(dataset.items[image.item].name) }
            store?.insert(view.key(for: image.hash), view: 0, row.span)
            each(images.startIndex + index, row.span)
        }
    }

    // MARK: The network

    private func compiled() async throws -> [Segment] {
        switch network {
        case .compilation(let compilation): return try await compilation.value
        case .recipe(let recipe):
            let compilation = Task { try await recipe.compile(image: inputShape, batch: batch, thread: thread) }
            network = .compilation(compilation)
            return try await compilation.value
        }
    }

    /// The magnitudes that the network's nodes gave so far, where they are observed.
    func histograms() async throws -> [String: MagnitudeHistogram] {
        guard case .compilation(let compilation) = network else { return [:] }
        var all: [String: MagnitudeHistogram] = [:]
        for segment in try await compilation.value { all.merge(await segment.program.histograms) { first, _ in first } }
        return all
    }
}

/// A part of the network in one precision, and how its results are rounded before anybody reads them.
struct Segment: Sendable {
    let program: InferenceProgram
    let rounding: FeatureStore.Element?
}

/// What a lane's network is compiled from; lanes share the packed filters.
struct SegmentRecipe: Sendable {
    let model: Model
    let node: String
    let precision: Precision
    let observes: Bool
    private let constants: [PackedConstants]

    /// - Parameter lanes: How many are to compile it at once.
    init(_ model: Model, node: String, precision: Precision, observes: Bool, lanes: Int) {
        (self.model, self.node, self.precision, self.observes) = (model, node, precision, observes)
        constants = [PackedConstants(programs: lanes), PackedConstants(programs: lanes)]
    }

    /// One program, or two where the trained part has a precision of its own or reads rounded values; none where the
    /// image itself is wanted.
    func compile(image: [Int], batch: Int, thread: EngineThread) async throws -> [Segment] {
        guard node != Node.image else { return [] }
        let network = model.network
        func program(
            _ network: Network, _ node: String, _ shape: [Int], _ order: ImageOrder, _ precision: Precision,
            _ constants: PackedConstants
        ) async throws -> InferenceProgram {
            let (height, width) = order == .channelsLast ? (shape[0], shape[1]) : (shape[1], shape[2])
            return try await InferenceProgram(
                network, model.weights, output: node, batch: batch, height: height, width: width, order: order,
                precision: precision, ranges: model.quantization?.ranges ?? [:], sharing: constants,
                observes: observes, thread: thread)
        }
        let (precision, trained) = model.arithmetic(upTo: node, frozen: precision)
        guard let trained else {
            let whole = try await program(network, node, image, .channelsLast, precision, constants[0])
            return [Segment(program: whole, rounding: nil)]
        }
        let frozen = try await program(network, trained.boundary, image, .channelsLast, precision, constants[0])
        let between = await frozen.outputShape
        let rest = try await program(
            network.part(after: trained.boundary, outputShape: between), node, between, .channelsFirst,
            trained.precision, constants[1])
        return [
            Segment(program: frozen, rounding: .kept(of: between, precision)), Segment(program: rest, rounding: nil),
        ]
    }
}

extension Model {
    /// The precision in which a node is computed, and the part after which another one begins; nil where one program
    /// computes all.
    ///
    /// - Parameter frozen: The precision of what was not trained.
    func arithmetic(upTo node: String, frozen: Precision) -> (Precision, rest: TrainedPart?) {
        guard let trainedPart, trainedPart.boundary != node,
            network.ancestors(of: node).contains(trainedPart.boundary)
        else { return (frozen, nil) }
        // Rounding bfloat16 to bfloat16 changes nothing, so one program does.
        let isOne = trainedPart.boundary == Node.image || (frozen == .bf16 && trainedPart.precision == .bf16)
        return isOne ? (trainedPart.precision, nil) : (frozen, trainedPart)
    }
}

extension Tensor {
    fileprivate func rounded(to element: FeatureStore.Element) -> Tensor {
        mapRows { _, row, result in
            result.update(from: row)
            element.round(&result)
        }
    }
}
