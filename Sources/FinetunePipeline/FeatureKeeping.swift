// Whether the outputs of a frozen part are kept, where, and under which name: nothing that is frozen is computed twice.

internal import FinetuneCheckpoints
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels
package import FinetuneRanks

/// What is known of a store before it is made.
package enum FeatureKeeping: Sendable {
    /// Rows that earlier runs kept are found in a cache, and none are added.
    case reading(FeatureCache?, element: FeatureStore.Element)
    /// Rows are kept.
    ///
    /// - cache: The folder in which they stay for other runs; nil keeps them in memory, for this one.
    /// - rows: How many are to come: images times views.
    /// - memoryLimit: Bytes of memory that they may take; a third of the machine's.
    /// - element: How numbers are kept; nil for what their shape and precision deserve.
    /// - ranks: Those that share what is kept.
    case writing(
        FeatureCache?, rows: Int, memoryLimit: Int = Machine.physicalMemory / 3, element: FeatureStore.Element? = nil,
        ranks: Ranks = .alone)

    /// A store for the outputs of a node: on disk where the cache has room, else in memory; one that is only read where
    /// nothing is to be kept.
    ///
    /// - Returns: The store, nil where neither has room, and why it is not on disk, in words, where it should be.
    /// - Throws: `PipelineError` where several ranks have no cache to share.
    func makeStore(_ model: Model, node: String, precision: Precision, outputShape: [Int]) throws -> (
        FeatureStore?, String?
    ) {
        let size = outputShape.reduce(1, *)
        switch self {
        case .reading(let cache, let element):
            let store = cache.flatMap {
                FeatureStore(
                    reading: $0, key: Self.key(model, node: node, precision: precision), valuesPerRow: size,
                    element: element)
            }
            return (store, nil)
        case .writing(let cache, let rows, let memoryLimit, let wanted, let ranks):
            let element = wanted ?? FeatureStore.Element.kept(of: outputShape, precision)
            let (kept, problem) =
                cache.map {
                    Self.store(
                        in: $0, key: Self.key(model, node: node, precision: precision), rows: rows, size, element, ranks
                    )
                } ?? (nil, nil)
            if ranks.count > 1 {
                // One that cannot keep what it computes is a rank that does nothing for the others.
                let problems = ranks.gather(Array((problem ?? kept?.failure ?? "").utf8)).filter { !$0.isEmpty }
                if kept == nil || !problems.isEmpty {
                    throw PipelineError.noSharedCache(problems.first.map { String(decoding: $0, as: UTF8.self) })
                }
            }
            if let kept { return (kept, nil) }
            let (bytes, overflow) = rows.multipliedReportingOverflow(by: size * element.byteCount)
            let fits = !overflow && bytes <= memoryLimit
            return (fits ? FeatureStore(inMemory: size, element: element) : nil, problem)
        }
    }

    /// A store in a cache, or why there is none, in words.
    private static func store(
        in cache: FeatureCache, key: ContentHash, rows: Int, _ valuesPerRow: Int, _ element: FeatureStore.Element,
        _ ranks: Ranks
    ) -> (FeatureStore?, String?) {
        do {
            let store = try FeatureStore(cache, key: key, valuesPerRow: valuesPerRow, element: element, ranks: ranks)
            let needed = max(0, rows - store.count) * store.bytesPerRow
            guard cache.makeRoom(for: needed, keeping: key) else {
                return (nil, "\(needed.bytesText) do not fit into the cache '\(cache.folder)'")
            }
            return (store, nil)
        } catch {
            return (nil, "\(error)")
        }
    }

    /// The hash of everything that determines a node's outputs but the image.
    static func key(_ model: Model, node: String, precision: Precision) -> ContentHash {
        let (precision, trained) = model.arithmetic(upTo: node, frozen: precision)
        let needed = model.network.ancestors(of: node)
        var network = model.network
        network.nodes = network.nodes.filter { needed.contains($0.name) }
        var parts = [
            "2", node, precision.rawValue, Machine.arithmetic, network.json.text, model.recipe?.json.text ?? "inputs",
        ]
        if precision == .int8, let quantization = model.quantization { parts.append(quantization.rangesJSON.text) }
        if let trained { parts.append("\(trained.boundary) \(trained.precision.rawValue)") }
        for node in network.nodes {
            for (name, _) in node.tensors {
                guard let tensor = model.weights[name] else { continue }
                parts.append(tensor.withSpan { ContentHash(of: $0.bytes).text })
            }
        }
        return ContentHash(of: parts.joined(separator: "\n"))
    }
}

extension FeatureStore.Element {
    /// How outputs of some shape are kept: rows of features as they are, images inside the network in 16 bits, which
    /// lose nothing of bfloat16 and a thousandth of fp32.
    static func kept(of outputShape: [Int], _ precision: Precision) -> FeatureStore.Element {
        outputShape.count == 1 ? .float32 : precision == .bf16 ? .bfloat16 : .float16
    }
}
