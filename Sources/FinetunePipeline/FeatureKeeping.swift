// Whether the outputs of a frozen part are kept, where, and under which name: nothing that is frozen is computed twice.

internal import FinetuneCheckpoints
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

/// What is known of a store before it is made.
package struct FeatureKeeping: Sendable {
    /// The folder in which outputs stay for other runs; nil keeps them in memory, for this one.
    package let cache: FeatureCache?
    /// How many rows are to come: images times views.
    package let rows: Int
    /// Bytes of memory that rows may take.
    package let memoryLimit: Int

    /// - Parameter memoryLimit: By default a third of the machine's.
    package init(_ cache: FeatureCache?, rows: Int, memoryLimit: Int = Machine.physicalMemory / 3) {
        self.cache = cache
        self.rows = rows
        self.memoryLimit = memoryLimit
    }

    /// A store for the outputs of a node: on disk where the cache has room, else in memory.
    ///
    /// - Returns: The store, nil where neither has room, and why it is not on disk, in words, where it should be.
    func makeStore(_ model: Model, node: String, precision: Precision, outputShape: [Int]) -> (FeatureStore?, String?) {
        let size = outputShape.reduce(1, *)
        let element = FeatureStore.Element.kept(of: outputShape, precision)
        var problem: String?
        if let cache {
            let key = Self.key(model, node: node, precision: precision)
            do {
                let store = try FeatureStore(cache, key: key, valuesPerRow: size, element: element)
                let needed = max(0, rows - store.count) * store.bytesPerRow
                if cache.makeRoom(for: needed, keeping: key) { return (store, nil) }
                problem = "\(needed >> 20) MiB do not fit into the cache '\(cache.folder)'"
            } catch {
                problem = "\(error)"
            }
        }
        let (bytes, overflow) = rows.multipliedReportingOverflow(by: size * element.byteCount)
        let fits = !overflow && bytes <= memoryLimit
        return (fits ? FeatureStore(inMemory: size, element: element) : nil, problem)
    }

    /// The hash of everything that determines a node's outputs but the image.
    static func key(_ model: Model, node: String, precision: Precision) -> ContentHash {
        let needed = model.network.ancestors(of: node)
        var network = model.network
        network.nodes = network.nodes.filter { needed.contains($0.name) }
        var parts = [
            "2", node, precision.rawValue, Machine.arithmetic, network.json.text, model.recipe?.json.text ?? "inputs",
        ]
        if precision == .int8, let quantization = model.quantization { parts.append(quantization.json.text) }
        if let trained = model.trainedPart { parts.append("\(trained.boundary) \(trained.precision.rawValue)") }
        for node in network.nodes {
            for role in ["weight", "bias", "running_mean", "running_var"] {
                guard let tensor = model.weights["\(node.name).\(role)"] else { continue }
                parts.append(tensor.withUnsafeBufferPointer { ContentHash(of: UnsafeRawBufferPointer($0)).text })
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
