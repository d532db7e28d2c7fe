// The one way from images to numbers: decode, recipe, network up to a node. Every command goes through here.

package import FinetuneDatasets
package import FinetuneEngine
package import FinetuneFiles
package import FinetuneModels

/// A model's network up to one node, compiled for the images of a data set.
package struct FeatureExtractor: Sendable {
    /// The node's output for some images, in the order of the data set.
    package struct Chunk: Sendable {
        /// Indices into the data set's items.
        package let items: [Int]
        package let hashes: [ContentHash]
        /// Shape `[items] + outputShape`.
        package let values: Tensor
        package let skipped: [Skipped]
    }

    /// An image that could not be read, and why.
    package struct Skipped: Sendable {
        package let name: String
        package let reason: String
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
    private let loader: ImageLoader
    private let inputShape: [Int]
    /// Images that the network takes at a time.
    package let batch: Int
    private let segments: [Segment]

    /// A part of the network in one precision, and how its results are rounded before anybody reads them.
    private struct Segment {
        let program: InferenceProgram
        let rounding: FeatureStore.Element?
    }

    /// Compiles the network.
    ///
    /// - Parameters:
    ///   - node: The node whose output is wanted; `Node.image` for the network's input.
    ///   - inputShape: `[height, width, channels]` where the data set holds inputs that are ready for the network; nil
    ///     for pictures, which the model's recipe prepares.
    ///   - precision: That of what was not trained; a model's trained part has its own.
    ///   - imageCount: How many images are to come, where it is known: a few need no full batch.
    ///   - keeping: Where the node's outputs are kept; nil keeps nothing.
    ///   - fingerprints: Is given that of every picture that comes by and is not in it.
    /// - Throws: `EngineError`; `PipelineError` where a recipe is needed and there is none.
    package init(
        _ model: Model, node: String, inputShape: [Int]? = nil, precision: Precision, imageCount: Int? = nil,
        keeping: FeatureKeeping? = nil, fingerprints: FingerprintStore? = nil, thread: EngineThread
    ) async throws {
        self.precision = precision
        self.node = node
        let channels = model.network.inputChannels
        var shape = inputShape ?? []
        if let inputShape {
            loader = ImageLoader(nil)
            guard inputShape[2] == channels else {
                throw PipelineError(
                    description:
                        "cannot run the network: its inputs have \(channels) channels, the data set's \(inputShape[2])."
                )
            }
        } else {
            guard let recipe = model.recipe else { throw PipelineError.noRecipe }
            guard recipe.channels == channels else {
                throw PipelineError(
                    description:
                        "cannot run the network: its inputs have \(channels) channels, the recipe's \(recipe.channels)."
                )
            }
            loader = ImageLoader(try Preprocessor(recipe), fingerprints: fingerprints)
            shape = [recipe.height, recipe.width, channels]
        }
        self.inputShape = shape
        // An image's numbers must not depend on how many come with it. In fp32 they would: the order of the sums in
        // Winograd's kernels depends on the batch. So fp32 always runs full batches.
        let fewest = precision == .fp32 ? Int.max : max(1, imageCount ?? .max)
        batch = min(Self.batch(height: shape[0], width: shape[1]), fewest)
        (segments, outputShape) = try await Self.compile(
            model, node, image: shape, precision: precision, batch: batch, thread: thread)
        (store, problem) =
            keeping?.makeStore(model, node: node, precision: precision, outputShape: outputShape) ?? (nil, nil)
    }

    /// Images a run: enough to keep every thread busy, few enough to stay in a few hundred megabytes.
    private static func batch(height: Int, width: Int) -> Int {
        max(8, min(128, 8 * 224 * 224 / max(1, height * width)))
    }

    /// One program, or two where the trained part has a precision of its own or reads rounded values.
    private static func compile(
        _ model: Model, _ node: String, image: [Int], precision: Precision, batch: Int, thread: EngineThread
    ) async throws -> ([Segment], [Int]) {
        guard node != Node.image else { return ([], image) }
        let (network, weights) = (model.network, model.weights)
        func program(_ network: Network, _ node: String, _ shape: [Int], _ order: ImageOrder, _ precision: Precision)
            async throws -> InferenceProgram
        {
            let (height, width) = order == .channelsLast ? (shape[0], shape[1]) : (shape[1], shape[2])
            return try await InferenceProgram(
                network, weights, output: node, batch: batch, height: height, width: width, order: order,
                precision: precision, thread: thread)
        }
        guard let trained = model.trainedPart, network.ancestors(of: node).contains(trained.boundary),
            trained.boundary != node
        else {
            let whole = try await program(network, node, image, .channelsLast, precision)
            return ([Segment(program: whole, rounding: nil)], await whole.outputShape)
        }
        // Rounding bfloat16 to bfloat16 changes nothing, so one program does.
        if trained.boundary == Node.image || (precision == .bf16 && trained.precision == .bf16) {
            let whole = try await program(network, node, image, .channelsLast, trained.precision)
            return ([Segment(program: whole, rounding: nil)], await whole.outputShape)
        }
        let frozen = try await program(network, trained.boundary, image, .channelsLast, precision)
        let between = await frozen.outputShape
        let rest = try await program(
            network.part(after: trained.boundary, outputShape: between), node, between, .channelsFirst,
            trained.precision)
        return (
            [
                Segment(program: frozen, rounding: .kept(of: between, precision)),
                Segment(program: rest, rounding: nil),
            ], await rest.outputShape
        )
    }

    // MARK: Running

    /// The values of some items, in their order; those that cannot be read are passed over and named.
    ///
    /// Decoding uses all cores between two runs of the network, which uses them all in turn; so neither waits long and
    /// nothing competes.
    ///
    /// - Parameters:
    ///   - items: Indices into the data set's items, any number.
    ///   - hashes: Content hashes of items as far as they are known; what is kept of those is found without a look at
    ///     the image.
    package func values(
        of items: [Int], in dataset: ImageDataset, view: ImageView = .plain, hashes: [Int: ContentHash] = [:]
    ) async throws -> Chunk {
        var ready: [ImageLoader.Prepared] = []
        var skipped: [Skipped] = []
        let known: @Sendable (ContentHash) -> Bool = { [store] hash in
            store?.contains(view.key(for: hash), view: 0) ?? false
        }
        for result in await loader.prepare(items, dataset, view: view, hashes: hashes, isKnown: known) {
            switch result {
            case .ready(let prepared): ready.append(prepared)
            case .skipped(let image): skipped.append(image)
            }
        }
        let size = outputShape.reduce(1, *)
        let storage = TensorStorage(count: ready.count * size)
        let rows = UnsafeMutableBufferPointer(mutating: storage.values)
        func row(_ place: Int) -> UnsafeMutableBufferPointer<Float> {
            UnsafeMutableBufferPointer(rebasing: rows[place * size..<(place + 1) * size])
        }
        var missing: [Int] = []
        for (place, image) in ready.enumerated() {
            guard image.isKnown else {
                missing.append(place)
                continue
            }
            if store?.read(view.key(for: image.hash), view: 0, into: row(place)) == true { continue }
            // What is kept of it is damaged: compute it again.
            let again = await loader.prepare([image.item], dataset, view: view)
            guard case .ready(let prepared)? = again.first else {
                throw PipelineError(description: "'\(dataset.items[image.item].name)' changed while it was read.")
            }
            ready[place] = prepared
            missing.append(place)
        }
        let computed = missing.map { ready[$0] }
        try await compute(computed, view) { index, values in
            _ = row(missing[index]).update(from: values)
        }
        return Chunk(
            items: ready.map(\.item), hashes: ready.map(\.hash),
            values: Tensor(shape: [ready.count] + outputShape, storage: storage), skipped: skipped)
    }

    /// Runs the network on images and keeps what comes of them.
    ///
    /// - Parameter each: Is given the place of an image and its values, as they are kept.
    private func compute(
        _ images: [ImageLoader.Prepared], _ view: ImageView, each: (Int, UnsafeMutableBufferPointer<Float>) -> Void
    ) async throws {
        let size = outputShape.reduce(1, *)
        for start in stride(from: 0, to: images.count, by: batch) {
            let places = start..<min(start + batch, images.count)
            var values = loader.inputs(of: Array(images[places]), shape: inputShape)
            for segment in segments {
                values = try await segment.program.run(values)
                if let rounding = segment.rounding { values = values.rounded(to: rounding) }
            }
            withUnsafeTemporaryAllocation(of: Float.self, capacity: size) { row in
                values.withUnsafeBufferPointer { source in
                    for (index, place) in places.enumerated() {
                        _ = row.update(from: source[index * size..<(index + 1) * size])
                        if let store {
                            FeatureStore.round(row, to: store.element)
                            store.insert(view.key(for: images[place].hash), view: 0, UnsafeBufferPointer(row))
                        }
                        each(place, row)
                    }
                }
            }
        }
    }

    /// What a pass for several extractors took.
    package struct FillCost: Sendable {
        /// Reading and decoding.
        package var load = ProcessTime()
        /// Of each extractor's network.
        package var networks: [ProcessTime]
    }

    /// Fills the stores of extractors that read images alike: every image is decoded once, and computed by those that do
    /// not hold it yet. Extractors without a store compute nothing.
    ///
    /// - Parameters:
    ///   - extractors: At least one, all of one recipe.
    ///   - consume: Is given the indices and the hashes of items that could be read, in order.
    /// - Returns: The images that could not be read, and what it took.
    package static func fill(
        _ extractors: [FeatureExtractor], from dataset: ImageDataset,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in },
        consume: (_ items: [Int], _ hashes: [ContentHash]) throws -> Void
    ) async throws -> (skipped: [Skipped], cost: FillCost) {
        let stores = extractors.compactMap(\.store)
        let batch = extractors.map(\.batch).max() ?? 1
        var skipped: [Skipped] = []
        var cost = FillCost(networks: extractors.map { _ in ProcessTime() })
        for start in stride(from: 0, to: dataset.items.count, by: batch) {
            let end = min(start + batch, dataset.items.count)
            let loading = ProcessMeter()
            let prepared = await extractors[0].loader.prepare(Array(start..<end), dataset) { hash in
                stores.allSatisfy { $0.contains(hash, view: 0) }
            }
            cost.load += loading.time
            var ready: [ImageLoader.Prepared] = []
            for result in prepared {
                switch result {
                case .ready(let image): ready.append(image)
                case .skipped(let image): skipped.append(image)
                }
            }
            for (place, extractor) in extractors.enumerated() {
                guard let store = extractor.store else { continue }
                let computing = ProcessMeter()
                let missing = ready.filter { !$0.isKnown && !store.contains($0.hash, view: 0) }
                try await extractor.compute(missing, .plain) { _, _ in }
                cost.networks[place] += computing.time
            }
            try consume(ready.map(\.item), ready.map(\.hash))
            try progress(end, dataset.items.count)
        }
        return (skipped, cost)
    }

    /// Gives the values of the chosen items to `consume`, batch by batch and in order.
    ///
    /// - Returns: The images that could not be read; whether they are too many is the caller's to say
    ///   (`PipelineError.check`).
    package func run(
        _ dataset: ImageDataset, items: [Int]? = nil,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in },
        consume: (Chunk) throws -> Void
    ) async throws -> [Skipped] {
        let indices = items ?? Array(dataset.items.indices)
        var skipped: [Skipped] = []
        for start in stride(from: 0, to: indices.count, by: batch) {
            let part = indices[start..<min(start + batch, indices.count)]
            let chunk = try await values(of: Array(part), in: dataset)
            skipped += chunk.skipped
            if !chunk.items.isEmpty { try consume(chunk) }
            try progress(min(start + batch, indices.count), indices.count)
        }
        return skipped
    }
}

extension Tensor {
    fileprivate func rounded(to element: FeatureStore.Element) -> Tensor {
        Tensor(shape: shape) { target in
            withUnsafeBufferPointer { _ = target.update(from: $0) }
            FeatureStore.round(target, to: element)
        }
    }
}

/// Why images cannot become features.
package struct PipelineError: Error, Sendable, CustomStringConvertible {
    package let description: String

    static let noRecipe = PipelineError(
        description: "cannot tell how pixels become numbers: the base does not say. "
            + "Try --recipe raw, unit, torch, caffe or tf, whichever its authors used.")

    /// Throws where more than a tenth of a data set's images cannot be read.
    package static func check(_ skipped: [FeatureExtractor.Skipped], of count: Int) throws {
        guard skipped.count * 10 > count else { return }
        let first = skipped.first.map { " '\($0.name)': \($0.reason)." } ?? ""
        throw PipelineError(
            description:
                "cannot use the images: \(skipped.count) of \(count) cannot be read, at most a tenth may be.\(first)")
    }
}
