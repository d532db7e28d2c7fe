// What keeping the frozen part's outputs will take, said before it is done, and what it took.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetunePipeline

/// Follows a pass over the images that fills a store.
struct StoreForecast {
    private let store: FeatureStore?
    private let node: String
    private let images: Int
    private let rows: Int
    private let found: Int
    private let started = ContinuousClock.now
    private var isForecast = false

    init(_ extractor: FeatureExtractor, boundary: String, images: Int, rows: Int) {
        store = extractor.store
        node = boundary
        self.images = images
        self.rows = rows
        found = extractor.store?.count ?? 0
    }

    /// Says what is to come once the first images show how long one takes.
    mutating func advance(to done: Int, of total: Int, _ report: EventHandler) {
        guard let store, !isForecast else { return }
        isForecast = true
        let bytes = rows * store.bytesPerRow
        let time = seconds(.now - started) / Double(max(done, 1)) * Double(total)
        report(
            .note(
                "Outputs of '\(node)' are kept: \(rows) views of \(images) images, \(store.bytesPerRow) bytes each, \(bytes >> 20) MiB in all; \(found) are there already. The first view takes about \(Int(time.rounded(.up))) s.",
                [
                    "node": .string(node), "images": .integer(images), "rows": .integer(rows),
                    "row_bytes": .integer(store.bytesPerRow), "forecast_bytes": .integer(bytes),
                    "forecast_seconds": .number(time), "found": .integer(found),
                ]))
    }

    func finish(_ report: EventHandler) {
        guard let store else { return }
        let time = seconds(.now - started)
        let computed = max(0, store.count - found)
        report(
            .note(
                "The first view took \(Int(time.rounded(.up))) s: \(computed) outputs computed, the others found; \((store.count * store.bytesPerRow) >> 20) MiB are kept.",
                [
                    "node": .string(node), "computed": .integer(computed), "seconds": .number(time),
                    "bytes": .integer(store.count * store.bytesPerRow),
                ]))
    }
}
