// From the items of a data set to a network's input: read, decode, crop, side by side and in order.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

/// Prepares items for a network.
struct ImageLoader: Sendable {
    /// Nil where the data set holds inputs that are ready for the network.
    private let preprocessor: Preprocessor?
    /// Where what is needed to find copies of pictures is kept; nil where nobody searches.
    private let fingerprints: FingerprintStore?

    init(_ preprocessor: Preprocessor?, fingerprints: FingerprintStore? = nil) {
        self.preprocessor = preprocessor
        self.fingerprints = fingerprints
    }

    struct Prepared: Sendable {
        let item: Int
        let hash: ContentHash
        fileprivate let pixels: Pixels

        fileprivate enum Pixels: Sendable {
            /// Nothing was decoded: what comes of this image is known.
            case known
            case crop(Picture)
            case numbers([Float])
        }

        var isKnown: Bool { if case .known = pixels { true } else { false } }
    }

    enum Preparation: Sendable {
        case ready(Prepared)
        case skipped(FeatureExtractor.Skipped)
    }

    /// Decodes items side by side, in order.
    ///
    /// - Parameters:
    ///   - view: How each is shown to the network.
    ///   - hashes: Content hashes of items as far as they are known.
    ///   - isKnown: Whether what comes of an image of some content is known, which then is not decoded.
    func prepare(
        _ items: [Int], _ dataset: ImageDataset, view: ImageView = .plain, hashes: [Int: ContentHash] = [:],
        isKnown: @escaping @Sendable (ContentHash) -> Bool = { _ in false }
    ) async -> [Preparation] {
        await withTaskGroup(of: (Int, Preparation).self) { group in
            var results = [Preparation?](repeating: nil, count: items.count)
            for (place, item) in items.enumerated() {
                if let hash = hashes[item], isKnown(hash), fingerprints?.contains(hash) != false {
                    results[place] = .ready(Prepared(item: item, hash: hash, pixels: .known))
                } else {
                    group.addTask { (place, prepare(item, dataset, view, isKnown)) }
                }
            }
            for await (place, result) in group { results[place] = result }
            return results.compactMap(\.self)
        }
    }

    private func prepare(
        _ item: Int, _ dataset: ImageDataset, _ view: ImageView, _ isKnown: (ContentHash) -> Bool
    ) -> Preparation {
        do {
            let content = try dataset.content(of: item)
            let hash = ImageDataset.hash(of: content)
            let isKnown = isKnown(hash)
            if isKnown, fingerprints?.contains(hash) != false {
                return .ready(Prepared(item: item, hash: hash, pixels: .known))
            }
            let pixels: Prepared.Pixels
            switch content {
            case .numbers(let numbers): pixels = isKnown ? .known : .numbers(numbers)
            case .picture(let picture):
                keepFingerprint(of: picture, nil, hash)
                pixels = isKnown ? .known : .crop(crop(picture, hash, view))
            case .encoded(let bytes):
                let picture = try Picture(decoding: bytes, exif: preprocessor?.recipe.exif ?? .ignore)
                keepFingerprint(of: picture, PictureFormat(of: bytes), hash)
                pixels = isKnown ? .known : .crop(crop(picture, hash, view))
            }
            return .ready(Prepared(item: item, hash: hash, pixels: pixels))
        } catch {
            let reason = (error as? PictureError)?.reason ?? "\(error)"
            return .skipped(FeatureExtractor.Skipped(name: dataset.items[item].name, reason: reason))
        }
    }

    private func keepFingerprint(of picture: Picture, _ format: PictureFormat?, _ hash: ContentHash) {
        guard let fingerprints, !fingerprints.contains(hash) else { return }
        fingerprints.insert(hash, Fingerprint(picture, format: format))
    }

    private func crop(_ picture: Picture, _ hash: ContentHash, _ view: ImageView) -> Picture {
        guard let preprocessor else { return picture }
        let parameters = view.parameters(
            for: hash, width: picture.width, height: picture.height, recipe: preprocessor.recipe)
        return parameters.map { preprocessor.crop(picture, $0) } ?? preprocessor.crop(picture)
    }

    /// The input of a batch.
    ///
    /// - Parameters:
    ///   - shape: `[height, width, channels]` of one image.
    ///   - other: Turns the same crops into numbers otherwise than this loader would.
    /// - Returns: Shape `[images] + shape`.
    func inputs(of images: [Prepared], shape: [Int], by other: Preprocessor? = nil) -> Tensor {
        let count = shape.reduce(1, *)
        return Tensor(shape: [images.count] + shape) { buffer in
            for (place, image) in images.enumerated() {
                let target = UnsafeMutableBufferPointer(rebasing: buffer[place * count..<(place + 1) * count])
                switch image.pixels {
                case .crop(let picture): (other ?? preprocessor)?.write(picture, into: target)
                case .numbers(let numbers): _ = target.update(from: numbers)
                case .known: target.update(repeating: 0)
                }
            }
        }
    }
}
