// What the part that learns is given: the values at the freeze boundary, of any images in any of their views.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneRanks

/// The values of a data set's images at the freeze boundary, computed where they are not kept.
struct BoundaryValues {
    let extractor: FeatureExtractor
    let dataset: ImageDataset
    /// Content hashes of the images that can be read.
    let hashes: [Int: ContentHash]
    /// Those that share what is kept.
    private let ranks: Ranks

    init(_ extractor: FeatureExtractor, _ dataset: ImageDataset, _ survey: Survey, ranks: Ranks = .alone) {
        self.extractor = extractor
        self.dataset = dataset
        self.ranks = ranks
        hashes = Dictionary(zip(survey.items, survey.hashes)) { first, _ in first }
    }

    /// The node at which the frozen part ends; `Node.image` where nothing is frozen.
    var node: String { extractor.node }

    /// The values of some items, shape `[items] + outputShape`.
    ///
    /// - Throws: `TrainingError` where an image can no longer be read.
    func of(_ items: [Int], _ view: ImageView = .plain) async throws -> Tensor {
        let chunk = try await extractor.values(of: items, in: dataset, view: view, hashes: hashes)
        guard chunk.skipped.isEmpty else {
            throw TrainingError(
                .unusableData,
                "cannot go on: '\(chunk.skipped[0].name)' was readable before and is not now: \(chunk.skipped[0].reason).",
                lost: chunk.skipped)
        }
        return chunk.values
    }

    /// Keeps the values of some items in a view that are not kept yet, a share by each rank. Collective.
    func share(_ items: [Int], _ view: ImageView, _ report: EventHandler) async throws {
        try await extractor.share(items, of: dataset, view: view, hashes: hashes, ranks: ranks) { done, total in
            report(.progress(stage: "views", done: done, total: total))
        }
    }

    /// How the part after the boundary sees one image's values: rows, scaled or not, are images of one pixel.
    func imageShape(_ scaling: FittedScaling?) -> (order: ImageOrder, channels: Int, height: Int, width: Int) {
        let shape = extractor.outputShape
        if node == Node.image { return (.channelsLast, shape[2], shape[0], shape[1]) }
        if shape.count == 3 { return (.channelsFirst, shape[0], shape[1], shape[2]) }
        return (.channelsFirst, scaling?.outputs ?? shape[0], 1, 1)
    }

    /// The values of some items, scaled, in the shape in which the part after the boundary wants images.
    func inputs(_ items: [Int], _ view: ImageView, _ scaling: FittedScaling?) async throws -> Tensor {
        let values = try await of(items, view)
        let shape = imageShape(scaling)
        return (scaling?.apply(values) ?? values).reshaped(
            shape.order.shape(batch: items.count, channels: shape.channels, height: shape.height, width: shape.width))
    }

    /// The features of many items in some views, shape `[views · items, features]`, view after view.
    func rows(_ items: [Int], _ views: [ImageView] = [.plain], progress: (Int, Int) throws -> Void) async throws
        -> Tensor
    {
        let size = extractor.outputShape.reduce(1, *)
        let storage = TensorStorage(count: views.count * items.count * size)
        var written = 0
        for view in views {
            for start in stride(from: 0, to: items.count, by: Self.chunk) {
                try progress(written / size, views.count * items.count)
                let part = Array(items[start..<min(start + Self.chunk, items.count)])
                try await of(part, view).withSpan { source in
                    storage.write(written..<written + source.count) { $0.update(from: source) }
                    written += source.count
                }
            }
        }
        return Tensor(shape: [views.count * items.count, size], storage: storage)
    }

    /// Images at a time.
    private static let chunk = 128
}
