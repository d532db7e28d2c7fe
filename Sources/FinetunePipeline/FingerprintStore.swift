// Fingerprints of pictures, kept like features: a picture that was seen once is not decoded again to be known.

package import FinetuneDatasets
internal import FinetuneEngine
package import FinetuneFiles
package import FinetuneModels
package import FinetuneRanks

/// Fingerprints by content hash, in the cache's folder or in memory.
package struct FingerprintStore: Sendable {
    private let store: FeatureStore
    /// Which bits of 16-bit pictures were seen.
    package let depth: Int

    /// - Parameters:
    ///   - cache: Where they stay for other runs; nil keeps them in memory. Where the cache takes none, memory does.
    ///   - recipe: How pictures are turned and which of their bits count, which decides what is seen.
    ///   - ranks: Those that share them. Collective.
    /// - Throws: `PipelineError` where several ranks have no cache that takes them.
    package init(_ cache: FeatureCache?, _ recipe: InputRecipe?, ranks: Ranks = .alone) throws {
        let exif = recipe?.exif ?? .upright
        let depth = recipe?.depth ?? InputRecipe.fullDepth
        self.depth = depth
        let kept = cache.flatMap { cache in
            try? FeatureStore(
                cache, key: ContentHash(of: "fingerprints 2 \(exif.rawValue) \(depth)"),
                valuesPerRow: Fingerprint.numberCount, element: .float16, ranks: ranks)
        }
        if let kept, kept.failure == nil {
            store = kept
        } else if ranks.count > 1 {
            throw PipelineError.noSharedCache(kept?.failure)
        } else {
            store = FeatureStore(inMemory: Fingerprint.numberCount, element: .float16)
        }
    }

    /// Puts what all ranks kept together. Collective.
    package func join(_ ranks: Ranks) throws { try store.join(ranks) }

    func contains(_ hash: ContentHash) -> Bool { store.contains(hash, view: 0) }

    func insert(_ hash: ContentHash, _ fingerprint: Fingerprint) {
        let numbers = fingerprint.numbers
        store.insert(hash, view: 0, numbers.span)
    }

    /// The fingerprint of a picture; nil where none is known.
    package subscript(hash: ContentHash) -> Fingerprint? {
        var numbers = [Float](repeating: 0, count: Fingerprint.numberCount)
        var row = numbers.mutableSpan
        return store.read(hash, view: 0, into: &row) ? Fingerprint(numbers: numbers) : nil
    }
}
