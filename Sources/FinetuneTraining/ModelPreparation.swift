// What a model is given before it meets images: a recipe where its file names none, arithmetic that this processor has.

package import FinetuneDatasets
package import FinetuneEngine
internal import FinetuneFiles
package import FinetuneModels
package import FinetunePipeline
package import FinetuneRanks

extension Model {
    /// The model with a recipe. What the file says is held against its first batch norm; where the file says nothing,
    /// what fits best is taken, and both are reported. A model that was adapted here has its own, and one of random weights
    /// remembers no images.
    ///
    /// - Parameters:
    ///   - dataset: Images to test with.
    ///   - ranks: Those that share them. Collective.
    package func findingRecipe(
        on dataset: ImageDataset, ranks: Ranks = .alone, _ thread: EngineThread, _ report: EventHandler
    ) async throws -> Model {
        guard dialect != Self.ownDialect, dialect != Self.newDialect, readsPictures else { return self }
        let size = inputSize ?? ImageSize(height: 224, width: 224)
        let channels = network.inputChannels
        let unknown = InputRecipe(
            height: size.height, width: size.width, channels: channels,
            pixels: InputRecipe.Pixels.raw.spread(over: channels), fit: .squash)
        let given = recipe ?? unknown
        guard given.channels == channels,
            let test = try await RecipeTest(self, given, dataset, ranks: ranks, thread: thread),
            let best = test.fits.first
        else { return self }
        guard recipe == nil else {
            // What the network's own layers do is part of it, and cannot be another.
            let isOwn = recipeSource?.hasPrefix(InputRecipe.ownSource) == true
            if !isOwn, let (said, better) = test.better(than: given.pixels) {
                report(
                    .warning(
                        "The preprocessing by \(recipeSource ?? "the file") fits the network's first batch norm far worse than '\(better.name)' (distances \(said.distance.rounded(toPlaces: 2)) and \(better.distance.rounded(toPlaces: 2))). If accuracy is low, try --recipe \(better.name)."
                    ))
            }
            return self
        }
        var model = self
        let words = test.fits.map { "\($0.name) \($0.distance.rounded(toPlaces: 2))" }.joined(separator: ", ")
        model.recipe = given.with(best.pixels)
        model.recipeSource = "the first batch norm's statistics on \(test.imageCount) images (distances: \(words))"
        report(
            .note(
                "The file does not say which preprocessing it needs; '\(best.name)' fits its first batch norm best (distances: \(words)).",
                [
                    "recipe": .string(best.name),
                    "distances": .object(test.fits.map { .init($0.name, .number($0.distance)) }),
                ]))
        if !test.isClear {
            report(
                .warning(
                    "The preprocessing '\(best.name)' fits hardly better than '\(test.fits[1].name)'. If you know which one the network was trained with, give it with --recipe."
                ))
        }
        return model
    }

    /// The model with what its frozen part needs in a precision: for int8 the ranges of its values, measured on images,
    /// which is reported with what int8 does to the features.
    ///
    /// - Parameters:
    ///   - isBase: Whether it is a base for a head on these images: what an earlier training measured of it, and the
    ///     arithmetic in which that one learned, are then forgotten.
    ///   - ranks: Those that need it; the first measures. Collective.
    package func measured(
        for precision: Precision, on dataset: ImageDataset, cache: FeatureCache?, isBase: Bool, ranks: Ranks = .alone,
        _ thread: EngineThread, _ report: EventHandler
    ) async throws -> Model {
        var model = self
        if isBase { (model.quantization, model.trainedPart) = (nil, nil) }
        guard precision == .int8, model.quantization == nil, model.network.featureNode != Node.image else {
            return model
        }
        var measured: QuantizationRecord?
        if ranks.isFirst {
            measured = try await QuantizationRecord(model, on: dataset, cache: cache, thread: thread) { done, total in
                report(.progress(stage: "ranges", done: done, total: total))
            }
        }
        let said = ranks.agree(measured?.json.text ?? "")
        guard let record = try measured ?? QuantizationRecord(json: JSON(parsing: Array(said.utf8))) else {
            throw PipelineError.otherVersion
        }
        model.quantization = record
        let likeness =
            record.similarity.map {
                " Features' cosine similarity to fp32's: median \($0.median.rounded(toPlaces: 4)), least \($0.least.rounded(toPlaces: 4)) of \($0.images.counted("image"))."
            } ?? ""
        report(
            .note(
                "int8: the ranges of \(record.ranges.count) layers' values were measured on \(record.images.counted("image")).\(likeness)",
                [
                    "quantization_images": .integer(record.images),
                    "quantization_similarity": record.similarity.map(\.json) ?? .null,
                ]))
        return model
    }

    /// The model to compute with on this processor, and the precision of what it has frozen: the one asked for, or the
    /// one that it was adapted in, or the fastest. What the processor lacks runs in fp32, which is reported.
    package func computable(in wanted: Precision?, _ report: EventHandler) -> (model: Model, precision: Precision) {
        var model = self
        if let trained = trainedPart?.precision, !trained.isNative {
            model.trainedPart?.precision = .fp32
            report(
                .warning(
                    "Layers trained in \(trained.rawValue) are computed in fp32; results may differ slightly: \(trained.lack)."
                ))
        }
        var chosen = wanted ?? precision ?? .native
        if wanted == nil || wanted == .int8, !chosen.isNative {
            report(
                .warning(
                    "Computing in fp32 instead of \(chosen.rawValue); results may differ slightly: \(chosen.lack)."))
            chosen = .fp32
        }
        return (model, chosen)
    }
}
