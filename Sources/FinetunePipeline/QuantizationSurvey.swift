// What int8 needs to know before it can compute a network: the ranges of its values on a user's own images, and what
// becomes of the features.

internal import FinetuneCheckpoints
package import FinetuneDatasets
package import FinetuneEngine
internal import FinetuneFiles
package import FinetuneModels

extension QuantizationRecord {
    /// Images on which ranges are measured: 200, of small sets a sixth, so that measuring does not take longer than what
    /// it is for; but 64 where there are so many.
    private static func count(of all: Int) -> Int { min(all, max(64, min(200, all / 6))) }
    /// Of these, the first ones' features are computed in fp32 and in int8.
    private static let compared = 16

    /// Measures a network on images: up to 200, evenly spread over the data set.
    ///
    /// Ranges are of the values that `Precision.native` gives, which is what int8 has around its integers.
    ///
    /// - Parameters:
    ///   - cache: Where the measurement stays for later runs on the same images, and the features that it computed in
    ///     int8 for this one; nil keeps them nowhere.
    /// - Throws: `EngineError`, `PipelineError`.
    package init(
        _ model: Model, on dataset: ImageDataset, cache: FeatureCache?, thread: EngineThread,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) async throws {
        let count = Self.count(of: dataset.items.count)
        let items = (0..<count).map { $0 * dataset.items.count / count }
        let node = model.network.featureNode
        let key = Self.key(model, node, items, dataset)
        if let found = cache?.note(key).flatMap(QuantizationRecord.init) {
            self = found
            return
        }
        let observer = try await FeatureExtractor(
            model, node: node, inputShape: dataset.inputShape, precision: .native, imageCount: count, observes: true,
            thread: thread)
        var observed = Rows()
        var seen = 0
        _ = try await observer.run(dataset, items: items, progress: progress) { chunk in
            seen += chunk.items.count
            observed.add(chunk, atMost: Self.compared)
        }
        self.init(ranges: try await observer.histograms().mapValues(\.range), images: seen)

        func rows(
            _ precision: Precision, of model: Model, keeping: FeatureKeeping? = nil
        ) async throws -> Rows {
            let extractor = try await FeatureExtractor(
                model, node: node, inputShape: dataset.inputShape, precision: precision,
                imageCount: observed.items.count, keeping: keeping, thread: thread)
            var rows = Rows()
            rows.add(try await extractor.values(of: observed.items, in: dataset))
            return rows
        }
        let references = Precision.native == .fp32 ? observed : try await rows(.fp32, of: model)
        var quantized = model
        quantized.quantization = self
        let integers = try await rows(
            .int8, of: quantized, keeping: cache.map { .writing($0, rows: observed.items.count) })
        if integers.items == references.items { similarity = Similarity(integers.values, references.values) }
        cache?.keep(json, under: key)
    }

    /// Features of some images.
    private struct Rows {
        var items: [Int] = []
        var values: [[Float]] = []

        mutating func add(_ chunk: FeatureExtractor.Chunk, atMost limit: Int = .max) {
            for (place, item) in chunk.items.enumerated() where items.count < limit {
                items.append(item)
                values.append(chunk.values.row(place))
            }
        }
    }

    /// The hash of everything that decides the outcome.
    private static func key(_ model: Model, _ node: String, _ items: [Int], _ dataset: ImageDataset) -> ContentHash {
        let contents = items.map { (try? dataset.content(of: $0)).map { ImageDataset.hash(of: $0).text } ?? "none" }
        let network = FeatureKeeping.key(model, node: node, precision: .native)
        return ContentHash(of: "ranges 4 \(network.text) \(contents.joined(separator: " "))")
    }
}

extension QuantizationRecord.Similarity {
    /// Compares rows with their references: the cosine of the angle between the two, each less the mean of its kind.
    ///
    /// - Returns: Nil for less than two rows.
    init?(_ rows: [[Float]], _ references: [[Float]]) {
        guard rows.count >= 2 else { return nil }
        func centred(_ rows: [[Float]]) -> [[Double]] {
            let means = rows[0].indices.map { column in
                rows.reduce(0) { $0 + Double($1[column]) } / Double(rows.count)
            }
            return rows.map { zip($0, means).map { Double($0) - $1 } }
        }
        func product(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
        let cosines = zip(centred(rows), centred(references)).map { row, reference in
            let lengths = (product(row, row) * product(reference, reference)).squareRoot()
            return lengths > 0 ? product(row, reference) / lengths : 1
        }.sorted()
        self.init(median: cosines[cosines.count / 2], least: cosines[0], images: cosines.count)
    }
}
