// Pictures for reports: mistakes with what the network looked at, and images that findings are about.

internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneReport

/// Makes thumbnails of a data set's images.
struct PictureGallery {
    private let dataset: ImageDataset
    private let recipe: InputRecipe?

    init(_ dataset: ImageDataset, _ recipe: InputRecipe?) {
        self.dataset = dataset
        self.recipe = recipe
    }

    /// Pixels on the longer side.
    private static let side = 176

    /// The wrong predictions that a model is surest of, each with a map of the regions that influenced it (Grad-CAM).
    ///
    /// - Parameter items: The evaluated images as indices into the data set's items.
    func mistakes(
        of model: Model, _ evaluation: Evaluation, _ items: [Int], _ precision: Precision, _ thread: EngineThread
    ) async throws -> Report.Section {
        let mistakes = evaluation.mistakes(12)
        guard !mistakes.isEmpty, dataset.inputShape == nil else {
            return Report.Section("Surest mistakes", mistakes.isEmpty ? [.text("All predictions are right.")] : [])
        }
        let wrong = mistakes.map { items[$0.index] }
        let camera = try await GradCAM(model, precision: precision, imageCount: wrong.count, thread: thread)
        let maps = try await camera?.maps(of: wrong, in: dataset, classes: mistakes.map(\.prediction)) ?? []
        var thumbnails: [Report.Thumbnail] = []
        for (place, mistake) in mistakes.enumerated() {
            guard let picture = seen(wrong[place]) else { continue }
            var overlay: [UInt8]?
            if place < maps.count, let map = maps[place] {
                overlay = try picture.overlaid(with: map.values, mapHeight: map.height, mapWidth: map.width).jpeg()
            }
            thumbnails.append(
                Report.Thumbnail(
                    title: "\(evaluation.classes[mistake.prediction]) \(Report.percent(mistake.probability))",
                    image: try picture.jpeg(), overlay: overlay,
                    lines: ["labelled \(evaluation.classes[mistake.label])", dataset.items[wrong[place]].name]))
        }
        return Report.Section(
            "Surest mistakes",
            note: maps.isEmpty
                ? "The images as the network sees them."
                : "Left: the images as the network sees them. Right: the regions that influenced the prediction (brighter = more).",
            [.gallery(thumbnails)])
    }

    /// Images that findings are about: copies and contradictions side by side, doubted labels.
    func findings(_ findings: [Finding]) throws -> [Report.Thumbnail] {
        let places = Dictionary(dataset.items.indices.map { (dataset.items[$0].name, $0) }) { first, _ in first }
        let shown: Set<Finding.Kind> = [.exactDuplicates, .nearDuplicates, .leak, .twoLabels, .labelError, .oddShape]
        var thumbnails: [Report.Thumbnail] = []
        for kind in Finding.Kind.allCases where shown.contains(kind) {
            for finding in findings.filter({ $0.kind == kind }).prefix(kind == .labelError ? 8 : 4) {
                let pictures = finding.paths.prefix(2).compactMap { name in places[name].flatMap(whole) }
                guard let first = pictures.first else { continue }
                thumbnails.append(
                    Report.Thumbnail(
                        title: kind.words, image: try first.jpeg(),
                        overlay: pictures.count > 1 ? try pictures[1].jpeg() : nil,
                        lines: Array(finding.paths.prefix(2))))
            }
        }
        return thumbnails
    }

    /// An image as the network sees it, but larger; nil where it cannot be read any more.
    private func seen(_ item: Int) -> Picture? {
        guard let recipe, let picture = picture(item) else { return nil }
        // A larger input would see more of an image that is not resized.
        let shown = recipe.fit == .unscaled ? recipe : recipe.resized(shortSide: Self.side)
        guard let preprocessor = try? Preprocessor(shown) else { return nil }
        return preprocessor.crop(picture)
    }

    private func whole(_ item: Int) -> Picture? { picture(item)?.thumbnail(side: Self.side) }

    private func picture(_ item: Int) -> Picture? {
        switch try? dataset.content(of: item) {
        case .encoded(let bytes):
            try? Picture(
                decoding: bytes, exif: recipe?.exif ?? .upright, depth: PictureDepth(bits: recipe?.depth ?? 16))
        case .picture(let picture): picture
        case .numbers, nil: nil
        }
    }
}
