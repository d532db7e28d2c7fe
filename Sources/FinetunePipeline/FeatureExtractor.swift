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
    }

    /// An image that could not be read, and why.
    package struct Skipped: Sendable {
        package let name: String
        package let reason: String
    }

    package let precision: Precision
    /// The shape of one image's values.
    package let outputShape: [Int]
    private let program: InferenceProgram
    private let loader: ImageLoader

    /// Compiles the network.
    ///
    /// - Parameters:
    ///   - node: The node whose output is wanted.
    ///   - inputShape: `[height, width, channels]` where the data set holds inputs that are ready for the network; nil
    ///     for pictures, which the model's recipe prepares.
    ///   - imageCount: How many images are to come, where it is known: a few need no full batch.
    /// - Throws: `EngineError`; `PipelineError` where a recipe is needed and there is none.
    package init(
        _ model: Model, node: String, inputShape: [Int]? = nil, precision: Precision, imageCount: Int? = nil,
        thread: EngineThread
    ) async throws {
        self.precision = precision
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
            loader = ImageLoader(try Preprocessor(recipe))
            shape = [recipe.height, recipe.width, channels]
        }
        // An image's numbers must not depend on how many come with it. In fp32 they would: the order of the sums in
        // Winograd's kernels depends on the batch. So fp32 always runs full batches.
        let fewest = precision == .fp32 ? Int.max : max(1, imageCount ?? .max)
        let batch = min(Self.batch(height: shape[0], width: shape[1]), fewest)
        program = try await InferenceProgram(
            model.network, model.weights, output: node, batch: batch, height: shape[0], width: shape[1],
            precision: precision, thread: thread)
        outputShape = await program.outputShape
    }

    /// Images a run: enough to keep every thread busy, few enough to stay in a few hundred megabytes.
    private static func batch(height: Int, width: Int) -> Int {
        max(8, min(128, 8 * 224 * 224 / max(1, height * width)))
    }

    /// Decodes the chosen items and gives their values to `consume`, in order.
    ///
    /// Decoding uses all cores between two runs of the network, which uses them all in turn; so neither waits long and
    /// nothing competes. An image that cannot be read is passed over and returned by name; whether too many are is the
    /// caller's to say (`PipelineError.check`).
    package func run(
        _ dataset: ImageDataset, items: [Int]? = nil, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in },
        consume: (Chunk) throws -> Void
    ) async throws -> [Skipped] {
        let indices = items ?? Array(dataset.items.indices)
        let batch = program.batch
        var skipped: [Skipped] = []
        var pending: [ImageLoader.Prepared] = []
        func runPending() async throws {
            guard !pending.isEmpty else { return }
            let chunk = pending
            pending = []
            let values = try await program.run(loader.inputs(of: chunk, shape: Array(program.inputShape.dropFirst())))
            try consume(Chunk(items: chunk.map(\.item), hashes: chunk.map(\.hash), values: values))
        }
        for start in stride(from: 0, to: indices.count, by: batch) {
            let part = indices[start..<min(start + batch, indices.count)]
            for result in await loader.prepare(Array(part), dataset) {
                switch result {
                case .ready(let prepared): pending.append(prepared)
                case .skipped(let image): skipped.append(image)
                }
                if pending.count == batch { try await runPending() }
            }
            progress(min(start + batch, indices.count), indices.count)
        }
        try await runPending()
        return skipped
    }
}

/// Features of a whole data set in memory.
package struct FeatureTable: Sendable {
    /// Indices into the data set's items, ascending; what could not be read is not among them.
    package var items: [Int] = []
    package var hashes: [ContentHash] = []
    /// Shape `[items, features]`.
    package var features: Tensor
    package var skipped: [FeatureExtractor.Skipped] = []

    /// Runs the extractor over the data set and keeps what it gives.
    package init(
        _ extractor: FeatureExtractor, _ dataset: ImageDataset,
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) async throws {
        var items: [Int] = []
        var hashes: [ContentHash] = []
        var values: [Float] = []
        let size = extractor.outputShape.reduce(1, *)
        values.reserveCapacity(dataset.items.count * size)
        skipped = try await extractor.run(dataset, progress: progress) { chunk in
            items += chunk.items
            hashes += chunk.hashes
            chunk.values.withUnsafeBufferPointer { values.append(contentsOf: $0) }
        }
        try PipelineError.check(skipped, of: dataset.items.count)
        self.items = items
        self.hashes = hashes
        features = Tensor(shape: [items.count, size], values: values)
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
