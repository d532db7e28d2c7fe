// The first batch norm betrays its recipe: networks whose statistics were made with each one are recognised by it.

import FinetuneDatasets
import FinetuneEngine
import FinetuneFiles
import FinetuneModels
import Glibc
import TestSupport
import Testing

@testable import FinetunePipeline

private let side = 20
private let thread = EngineThread(threads: 2)

/// Smooth coloured pictures, RGB.
private func picture(_ number: Int) -> [UInt8] {
    (0..<side * side * 3).map { index in
        let (channel, x, y) = (index % 3, Double(index / 3 % side), Double(index / 3 / side))
        let wave = sin(0.3 * x * Double(1 + number % 3) + 0.2 * y + Double(number * (channel + 1)))
        return UInt8(110 + 25 * Double(channel) + 70 * wave * (0.5 + 0.5 * cos(Double(number))))
    }
}

/// Filters of a 3×3 convolution: edges, blobs and colours, as trained ones have.
private let filters: [Float] = (0..<12 * 3 * 9).map { (index: Int) -> Float in
    let blob = index / 27 % 3 == 0 ? 0.1 : 0.0
    return Float(0.3 * sin(1.7 * Double(index)) + blob)
}

/// The mean and variance of each filter's result over pictures, by plain sums.
private func statistics(_ pictures: [[UInt8]], _ pixels: InputRecipe.Pixels) -> (mean: [Float], variance: [Float]) {
    var (means, variances): ([Float], [Float]) = ([], [])
    for filter in 0..<12 {
        var (sum, squares, count) = (0.0, 0.0, 0.0)
        for picture in pictures {
            for y in 0..<side - 2 {
                for x in 0..<side - 2 {
                    var value = 0.0
                    for channel in 0..<3 {
                        let source = pixels.order == .rgb ? channel : 2 - channel
                        for (place, (dy, dx)) in (0..<9).map({ ($0, ($0 / 3, $0 % 3)) }) {
                            let level = Double(picture[((y + dy) * side + x + dx) * 3 + source])
                            let number =
                                (level * pixels.scale - pixels.mean[channel]) / pixels.standardDeviation[channel]
                            value += number * Double(filters[(filter * 3 + channel) * 9 + place])
                        }
                    }
                    sum += value
                    squares += value * value
                    count += 1
                }
            }
        }
        means.append(Float(sum / count))
        variances.append(Float(squares / count - (sum / count) * (sum / count)))
    }
    return (means, variances)
}

private func model(_ statistics: (mean: [Float], variance: [Float])) -> Model {
    Model(
        network: Network(
            name: "one convolution", inputChannels: 3,
            nodes: [
                Node(
                    "conv", stage: "stem",
                    .convolution(Convolution(channels: 3, filters: 12, window: .square(3), hasBias: false)),
                    inputs: [Node.image]),
                Node(
                    "bn", stage: "stem",
                    .batchNormalization(BatchNormalization(channels: 12, epsilon: 1e-5, statisticsKept: 0.9)),
                    inputs: ["conv"]),
            ]),
        weights: [
            "conv.weight": Tensor(shape: [12, 3, 3, 3], values: filters),
            "bn.running_mean": Tensor(shape: [12], values: statistics.mean),
            "bn.running_var": Tensor(shape: [12], values: statistics.variance),
        ], recipe: nil, dialect: "test")
}

@Suite("The test of recipes") struct RecipeTestTests {
    private func dataset(_ pictures: [[UInt8]], in folder: String) throws -> ImageDataset {
        var archive = try ZipWriter(folder + "/images.npz")
        try archive.begin("images.npy")
        try archive.write(NumpyArray.header("|u1", shape: [pictures.count, side, side, 3]))
        for picture in pictures { try archive.write(picture) }
        try archive.commit()
        return try ImageDataset(folder + "/images.npz")
    }

    @Test(
        "finds the recipe by which the statistics were made, from other pictures",
        arguments: InputRecipe.Pixels.named.map(\.name))
    func finds(_ name: String) async throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        let pixels = try #require(InputRecipe.Pixels.named.first { $0.name == name }?.pixels)
        var model = model(statistics((100..<140).map(picture), pixels))
        let dataset = try dataset((0..<60).map(picture), in: folder)
        let unknown = InputRecipe(height: side, width: side, pixels: .raw, fit: .squash)
        let test = try #require(try await RecipeTest(model, unknown, dataset, thread: thread))
        #expect(test.imageCount == RecipeTest.maximumImages)
        #expect(test.fits.map(\.name).sorted() == InputRecipe.Pixels.named.map(\.name).sorted())
        #expect(test.fits[0].name == name && test.isClear, "\(test.fits.map { ($0.name, $0.distance) })")
        // A wrong recipe that a file may claim is seen, in fewer pictures; the right one is left alone.
        for other in InputRecipe.Pixels.named {
            model.recipe = InputRecipe(height: side, width: side, pixels: other.pixels, fit: .squash)
            let check = try #require(try await RecipeTest(model, unknown, dataset, thread: thread))
            #expect(check.imageCount == RecipeTest.maximumCheckedImages)
            let better = check.better(than: other.pixels)?.better.name
            #expect(better == nil || better == name)
            if other.name == name { #expect(better == nil) }
            if name == "caffe", other.name == "torch" { #expect(better == "caffe") }
        }
    }

    @Test("says nothing of networks without batch norm, or of inputs that are no pictures")
    func nothing() async throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        var model = model(statistics([picture(1)], .raw))
        model.network.nodes.removeLast()
        let recipe = InputRecipe(height: side, width: side, pixels: .raw, fit: .squash)
        let dataset = try dataset([picture(1)], in: folder)
        let test = try await RecipeTest(model, recipe, dataset, thread: thread)
        #expect(test?.imageCount == nil)
    }
}
