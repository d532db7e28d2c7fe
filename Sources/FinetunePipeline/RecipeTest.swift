// Which recipe a network was trained with, by evidence: its first batch norm remembers the mean and the variance of what
// reached it in training, channel by channel. Under the right recipe a user's images give nearly the same.

package import FinetuneDatasets
package import FinetuneEngine
internal import FinetuneFiles
package import FinetuneModels
package import FinetuneRanks
internal import Glibc

/// How well each way of turning pixels into numbers fits a network's stored statistics.
package struct RecipeTest: Sendable {
    package struct Fit: Sendable {
        /// `torch`, `caffe` … or the words for another that was asked for.
        package let name: String
        package let pixels: InputRecipe.Pixels
        /// 0 where all channels have the stored mean and variance; about 1 where they are off by a deviation.
        package let distance: Double
    }

    /// The best first.
    package let fits: [Fit]
    package let imageCount: Int

    /// Images for a choice among candidates.
    package static let maximumImages = 50
    /// Images for a second opinion on what a file says, which every run asks for: enough to see what is far off.
    package static let maximumCheckedImages = 16
    /// Images at a time.
    private static let batch = 4
    /// How many times farther off the second must be for the first to be clear.
    private static let clearRatio = 1.5

    /// Whether the best fits clearly better than the next.
    package var isClear: Bool {
        fits.count < 2 || fits[1].distance > Self.clearRatio * fits[0].distance + 0.02
    }

    /// A fit that is far better than that of the given pixels; nil where there is none.
    package func better(than pixels: InputRecipe.Pixels) -> (given: Fit, better: Fit)? {
        guard let given = fits.first(where: { $0.pixels == pixels }), let best = fits.first,
            best.distance * 2 + 0.1 < given.distance
        else { return nil }
        return (given, best)
    }

    /// Runs images through the network up to its first batch norm, once for each candidate.
    ///
    /// - Parameters:
    ///   - recipe: The geometry; and its pixels are a candidate too.
    ///   - dataset: Up to fifty of its pictures are looked at, sixteen where the model has a recipe; evenly spread.
    ///   - ranks: Those that share the pictures, and all get what one alone would. Collective.
    /// - Returns: Nil where the network has no batch norm or the data set no pictures.
    /// - Throws: `EngineError`; `PipelineError` where none of the pictures can be read.
    package init?(
        _ model: Model, _ recipe: InputRecipe, _ dataset: ImageDataset, ranks: Ranks = .alone, thread: EngineThread
    ) async throws {
        guard dataset.inputShape == nil, !dataset.items.isEmpty,
            let node = model.network.nodes.first(where: {
                if case .batchNormalization = $0.operation { true } else { false }
            }),
            case .batchNormalization(let normalization) = node.operation, let source = node.inputs.first,
            let mean = model.weights[node.tensorName(.runningMean)]?.values,
            let variance = model.weights[node.tensorName(.runningVariance)]?.values
        else { return nil }
        let most = model.recipe == nil ? Self.maximumImages : Self.maximumCheckedImages
        let count = min(most, dataset.items.count)
        let items = (0..<count).map { $0 * dataset.items.count / count }
        let shape = [recipe.height, recipe.width, recipe.channels]
        let loader = ImageLoader(try Preprocessor(recipe))
        let candidates = Self.candidates(recipe)
        let preprocessors = try candidates.map { try Preprocessor(recipe.with($0.pixels)) }
        let pieces = (count + Self.batch - 1) / Self.batch
        let own = Array(stride(from: ranks.rank, to: pieces, by: ranks.count))
        let constants = PackedConstants()
        var programs: [InferenceProgram] = []
        for thread in thread.lanes.prefix(own.count) {
            programs.append(
                try await InferenceProgram(
                    model.network, model.weights, output: source, batch: min(count, Self.batch), height: shape[0],
                    width: shape[1], precision: .fp32, sharing: constants, thread: thread))
        }
        var found: [Sums] = []
        var skipped: [FeatureExtractor.Skipped] = []
        try await LaneStream.run(pieces: own.count, lanes: programs.count) { [programs] number, lane in
            let start = own[number] * Self.batch
            return try await programs[lane].sums(
                of: items[start..<min(start + Self.batch, count)], in: dataset, loader, preprocessors, shape,
                channels: normalization.channels)
        } consume: { _, piece in
            found.append(piece.sums)
            skipped += piece.skipped
        }
        let all = ranks.gather(found.flatMap(\.numbers))
        var sums = Sums(candidates: candidates.count, channels: normalization.channels)
        for piece in 0..<pieces { try sums.add(all[piece % ranks.count], at: piece / ranks.count) }
        guard sums.images > 0 else {
            try PipelineError.check(skipped, of: skipped.count)
            return nil
        }
        imageCount = sums.images
        fits = zip(candidates, sums.moments).map { candidate, moments in
            Fit(
                name: candidate.name, pixels: candidate.pixels,
                distance: moments.distance(mean: mean, variance: variance, epsilon: normalization.epsilon))
        }.sorted { $0.distance < $1.distance }
    }

    private static func candidates(_ recipe: InputRecipe) -> [(name: String, pixels: InputRecipe.Pixels)] {
        var candidates = InputRecipe.Pixels.named.filter {
            recipe.channels == 3 || $0.pixels.isEven || $0.name == "torch"
        }
        .map { ($0.name, $0.pixels.spread(over: recipe.channels)) }
        if !candidates.contains(where: { $0.1 == recipe.pixels }) {
            candidates.append(("the file's own", recipe.pixels))
        }
        return candidates
    }
}

extension InferenceProgram {
    /// The sums of some images' values under each candidate, computed on the program's thread.
    fileprivate func sums(
        of items: ArraySlice<Int>, in dataset: ImageDataset, _ loader: ImageLoader, _ candidates: [Preprocessor],
        _ shape: [Int], channels: Int
    ) throws -> (sums: Sums, skipped: [FeatureExtractor.Skipped]) {
        var images: [ImageLoader.Prepared] = []
        var skipped: [FeatureExtractor.Skipped] = []
        for item in items {
            switch loader.prepare(item, dataset) {
            case .ready(let image): images.append(image)
            case .skipped(let image): skipped.append(image)
            }
        }
        var sums = Sums(candidates: candidates.count, channels: channels)
        if !images.isEmpty {
            sums.images = images.count
            for (place, candidate) in candidates.enumerated() {
                let inputs = Tensor(shape: [images.count] + shape) { loader.write(images, into: &$0, by: candidate) }
                let outputs = try run(inputs)
                guard outputs.isFinite else { throw PipelineError.notFinite(dataset.items[images[0].item].name) }
                sums.moments[place].add(outputs)
            }
        }
        return (sums, skipped)
    }
}

/// What some images gave under each candidate.
private struct Sums: Sendable {
    var images = 0
    var moments: [ChannelMoments]

    init(candidates: Int, channels: Int) {
        moments = Array(repeating: ChannelMoments(channels: channels), count: candidates)
    }

    /// As ranks tell each other.
    var numbers: [Double] { [Double(images)] + moments.flatMap { [$0.count] + $0.sums + $0.squares } }

    /// Adds the sums at a place among those that a rank told.
    mutating func add(_ told: [Double], at place: Int) throws {
        var rest = told.dropFirst(place * numbers.count)
        guard rest.count >= numbers.count else { throw PipelineError.otherVersion }
        images += Int(rest.removeFirst())
        for index in moments.indices {
            moments[index].count += rest.removeFirst()
            for channel in moments[index].sums.indices { moments[index].sums[channel] += rest.removeFirst() }
            for channel in moments[index].squares.indices { moments[index].squares[channel] += rest.removeFirst() }
        }
    }
}

/// Sums over images, channel by channel.
private struct ChannelMoments: Sendable {
    var count = 0.0
    var sums: [Double]
    var squares: [Double]

    init(channels: Int) {
        sums = Array(repeating: 0, count: channels)
        squares = sums
    }

    /// - Parameter values: Shape `[images, channels, height, width]`.
    mutating func add(_ values: Tensor) {
        let (images, channels) = (values.shape[0], values.shape[1])
        let pixels = values.count / (images * channels)
        values.reshaped([images * channels, pixels]).forEachRow { row, plane in
            var (sum, square) = (0.0, 0.0)
            for pixel in plane.indices {
                let value = Double(plane[pixel])
                sum += value
                square += value * value
            }
            sums[row % channels] += sum
            squares[row % channels] += square
        }
        count += Double(images * pixels)
    }

    /// The mean over channels of log(1 + J), J being Jeffreys' divergence (1946) of two normal distributions: that of
    /// the images and that which the batch norm stored.
    func distance(mean: [Float], variance: [Float], epsilon: Double) -> Double {
        var total = 0.0
        for channel in sums.indices {
            let (found, stored) = (sums[channel] / count, Double(mean[channel]))
            let foundVariance = max(squares[channel] / count - found * found, 0) + epsilon
            let storedVariance = max(Double(variance[channel]), 0) + epsilon
            let square = (found - stored) * (found - stored)
            let divergence =
                0.5 * ((foundVariance + square) / storedVariance + (storedVariance + square) / foundVariance) - 1
            total += log1p(max(divergence, 0))
        }
        return total / Double(max(sums.count, 1))
    }
}
