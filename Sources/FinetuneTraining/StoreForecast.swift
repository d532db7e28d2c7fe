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
    /// When the first images were done, how many, and after how long.
    private var first: (done: Int, time: Double)?
    private var isForecast = false

    init(_ extractor: FeatureExtractor, boundary: String, images: Int, rows: Int) {
        store = extractor.store
        node = boundary
        self.images = images
        self.rows = rows
        found = extractor.store?.count ?? 0
    }

    /// Says what is to come, once it is known how long an image takes: the first ones have to wait for the network, those
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
        report(
            .note(
                "Outputs of '\(node)' are kept: \(rows) views of \(images) images, \(store.bytesPerRow.bytesText) each, \(bytes.bytesText) in all; \(found) are there already. The first view takes about \(Int(time.rounded(.up))) s.",
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
                "The first view took \(Int(time.rounded(.up))) s: \(computed) outputs computed, the others found; \((store.count * store.bytesPerRow).bytesText) are kept.",
                [
                    "node": .string(node), "computed": .integer(computed), "seconds": .number(time),
                    "bytes": .integer(store.count * store.bytesPerRow),
                ]))
    }
}
