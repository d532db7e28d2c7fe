// Fingerprints of pictures, kept like features: a picture that was seen once is not decoded again to be known.

package import FinetuneDatasets
package import FinetuneFiles
package import FinetuneModels

/// Fingerprints by content hash, in the cache's folder or in memory.
package struct FingerprintStore: Sendable {
    private let store: FeatureStore

    /// - Parameters:
    ///   - cache: Where they stay for other runs; nil keeps them in memory. Where the cache takes none, memory does.
    ///   - exif: How pictures are turned, which decides what is seen.
    package init(_ cache: FeatureCache?, exif: InputRecipe.Exif) {
        let kept = cache.flatMap { cache in
            try? FeatureStore(
                cache, key: ContentHash(of: "fingerprints 1 \(exif.rawValue)"),
                valuesPerRow: Fingerprint.numberCount, element: .float16)
        }
        if let kept, kept.failure == nil {
            store = kept
        } else {
            store = FeatureStore(inMemory: Fingerprint.numberCount, element: .float16)
        }
    }

    func contains(_ hash: ContentHash) -> Bool { store.contains(hash, view: 0) }

    func insert(_ hash: ContentHash, _ fingerprint: Fingerprint) {
        fingerprint.numbers.withUnsafeBufferPointer { store.insert(hash, view: 0, $0) }
    }

    /// The fingerprint of a picture; nil where none is known.
    package subscript(hash: ContentHash) -> Fingerprint? {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: Fingerprint.numberCount) { row in
            store.read(hash, view: 0, into: row) ? Fingerprint(numbers: UnsafeBufferPointer(row)) : nil
        }
    }
}
