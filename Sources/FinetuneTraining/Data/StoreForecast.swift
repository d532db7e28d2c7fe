// How long computing the features will take, reported before it is done, and how long it took.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetunePipeline

/// Follows a pass over the images that fills a store.
struct StoreForecast {
    private let store: FeatureStore?
    private let node: String
    private let isFeatures: Bool
    private let images: Int
    private let rows: Int
    private let found: Int
    private let started = ContinuousClock.now
    /// When the first images were done, how many, and after how long.
    private var first: (done: Int, time: Double)?
    private var isForecast = false

    /// - Parameters:
    ///   - boundary: The node whose outputs are stored.
    ///   - featureNode: The node whose outputs are the network's features; before it, outputs are those of a stage.
    init(_ extractor: FeatureExtractor, boundary: String, featureNode: String, images: Int, rows: Int) {
        store = extractor.store
        node = boundary
        isFeatures = boundary == featureNode
        self.images = images
        self.rows = rows
        found = extractor.store?.count ?? 0
    }

    private var features: String { isFeatures ? "features" : "outputs of the frozen layers" }
    private var title: String { isFeatures ? "Features" : "Outputs of the frozen layers" }

    /// Reports how long the pass will take, as soon as that is known: the first images have to wait for the network, those
    /// of the next second show it.
    mutating func advance(to done: Int, of total: Int, _ report: EventHandler) {
        guard let store, !isForecast else { return }
        let elapsed = seconds(.now - started)
        let (doneFirst, timeFirst) = first ?? (done, elapsed)
        first = (doneFirst, timeFirst)
        guard elapsed - timeFirst >= 1 || done == total else { return }
        isForecast = true
        let time = elapsed + (elapsed - timeFirst) / Double(max(done - doneFirst, 1)) * Double(total - done)
        let bytes = rows * store.bytesPerRow
        // Once all is done, `finish` says it.
        guard done < total else { return }
        report(
            .note(
                "Computing \(features) for \(images.counted("image"))\(found > 0 ? " (\(min(found, images)) cached)" : ""), about \(Int(time.rounded(.up))) s.",
                [
                    "node": .string(node), "images": .integer(images), "rows": .integer(rows),
                    "row_bytes": .integer(store.bytesPerRow), "forecast_bytes": .integer(bytes),
                    "forecast_seconds": .number(time), "found": .integer(found),
                ]))
    }

    /// - Parameter read: The images that could be read.
    func finish(read: Int, _ report: EventHandler) {
        guard let store else { return }
        let time = seconds(.now - started)
        let computed = max(0, store.count - found)
        // An image whose content another one has counts as computed if nothing was cached.
        let isAllNew = found == 0 || computed >= read
        let text =
            computed == 0
            ? "\(title): \(read == 1 ? "the image was" : "all \(read) images") found in the cache."
            : "\(title): \(isAllNew ? read.counted("image") : "\(computed) of \(read) images") computed\(isAllNew ? "" : ", the others found in the cache")."
        report(
            .note(
                text,
                [
                    "node": .string(node), "computed": .integer(computed), "seconds": .number(time),
                    "bytes": .integer(store.count * store.bytesPerRow),
                ]))
    }
}
