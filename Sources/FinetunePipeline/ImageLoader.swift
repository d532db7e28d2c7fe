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

    /// Nil if all numbers of 16 bits are held.
    let overflow: DepthOverflow?

    init(_ preprocessor: Preprocessor?, fingerprints: FingerprintStore? = nil) {
        self.preprocessor = preprocessor
        overflow = preprocessor.flatMap { $0.depth == .full ? nil : DepthOverflow($0.depth) }
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

    /// Reads and decodes an item.
    ///
    /// - Parameters:
    ///   - view: How it is shown to the network.
    ///   - hash: Its content hash, where that is known.
    ///   - isKnown: Whether the features of an image with this content hash are cached; if so it is not decoded.
    func prepare(
        _ item: Int, _ dataset: ImageDataset, _ view: ImageView = .plain, hash: ContentHash? = nil,
        _ isKnown: (ContentHash) -> Bool = { _ in false }
    ) -> Preparation {
        if let hash, isKnown(hash), fingerprints?.contains(hash) != false {
            return .ready(Prepared(item: item, hash: hash, pixels: .known))
        }
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
                pixels = try self.pixels(of: bytes, hash, view, isKnown: isKnown)
            }
            return .ready(Prepared(item: item, hash: hash, pixels: pixels))
        } catch {
            return .skipped(
                FeatureExtractor.Skipped(item: item, name: dataset.items[item].name, reason: Self.reason(error)))
        }
    }

    /// Why an item cannot be read, without its name, which stands before it.
    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as PictureError: error.reason
        case let error as FileError where error.kind == .missing: "file not found"
        default: "\(error)"
        }
    }

    private func pixels(of bytes: [UInt8], _ hash: ContentHash, _ view: ImageView, isKnown: Bool) throws
        -> Prepared.Pixels
    {
        let wantsFingerprint = fingerprints?.contains(hash) == false
        // A fingerprint is of the whole picture, and parts of it are where they are in the whole.
        let reduces = !isKnown && view.isPlain && preprocessor?.reducesWhileDecoding == true
        if wantsFingerprint || !reduces {
            let picture = try Picture(
                decoding: bytes, exif: preprocessor?.recipe.exif ?? .ignore, depth: preprocessor?.depth ?? .full)
            overflow?.note(picture, hash)
            keepFingerprint(of: picture, PictureFormat(of: bytes), hash)
            if isKnown { return .known }
            if !reduces { return .crop(crop(picture, hash, view)) }
        }
        guard let preprocessor else { return .crop(try Picture(decoding: bytes, exif: .ignore)) }
        let crop = try preprocessor.crop(decoding: bytes)
        overflow?.note(crop, hash)
        return .crop(crop)
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

    /// Writes the input of a batch.
    ///
    /// - Parameters:
    ///   - buffer: As many numbers as all the images have.
    ///   - other: Turns the same crops into numbers otherwise than this loader would.
    func write(
        _ images: some Collection<Prepared>, into buffer: inout MutableSpan<Float>, by other: Preprocessor? = nil
    ) {
        let count = buffer.count / max(images.count, 1)
        for (place, image) in images.enumerated() {
            buffer.write(place * count..<(place + 1) * count) { target in
                switch image.pixels {
                case .crop(let picture): (other ?? preprocessor)?.write(picture, into: &target)
                case .numbers(let numbers): target.update(from: numbers.span)
                case .known: target.update(repeating: 0)
                }
            }
        }
    }
}
