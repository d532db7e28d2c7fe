// What augmentations draw: within bounds, by image, view and seed alone, and carried out as said.

import FinetuneFiles
import FinetuneModels
import Testing

@testable import FinetuneDatasets

@Suite("Augmentation")
struct AugmentationTests {
    static let varied = Augmentation.allCases.filter { $0 != .none }

    static func recipe(_ width: Int, _ height: Int, fit: InputRecipe.Fit = .crop) -> InputRecipe {
        InputRecipe(height: height, width: width, pixels: .torch, fit: fit)
    }

    @Test(
        "Light draws parts of 70 to 100 % of what is seen and mirrors half of them",
        arguments: [InputRecipe.Fit.crop, .squash, .unscaled])
    func light(_ fit: InputRecipe.Fit) throws {
        let (width, height) = (200, 120)
        let seen = fit == .crop ? 120 * 120 : fit == .squash ? 200 * 120 : 64 * 64
        var mirrored = 0
        var areas: [Double] = []
        for image in 0..<2000 {
            let hash = ContentHash(of: "image \(image)")
            let drawn = try #require(
                ImageView(.light, number: 1, seed: 4).parameters(
                    for: hash, width: width, height: height, recipe: Self.recipe(64, 64, fit: fit)))
            #expect(drawn.columns.lowerBound >= 0 && drawn.columns.upperBound <= width)
            #expect(drawn.rows.lowerBound >= 0 && drawn.rows.upperBound <= height)
            #expect(drawn.operations.isEmpty && drawn.erased == nil)
            areas.append(Double(drawn.columns.count * drawn.rows.count) / Double(seen))
            mirrored += drawn.isMirrored ? 1 : 0
        }
        // Rounding to whole pixels moves an area by about a percent.
        #expect(areas.min() ?? 0 > 0.68 && areas.max() ?? 2 < 1.02)
        #expect(abs(mirrored - 1000) < 90)  // Four standard deviations.
    }

    @Test("What is drawn depends on image, view, seed and augmentation alone", arguments: varied)
    func sources(_ augmentation: Augmentation) throws {
        func drawn(_ image: String, _ number: Int, _ seed: UInt64) throws -> Augmentation.Parameters {
            let view = ImageView(augmentation, number: number, seed: seed)
            return try #require(
                view.parameters(
                    for: ContentHash(of: image), width: 500, height: 375, recipe: Self.recipe(224, 224)))
        }
        let first = try drawn("a", 1, 4)
        #expect(try drawn("a", 1, 4) == first)
        #expect(try drawn("b", 1, 4) != first && drawn("a", 2, 4) != first && drawn("a", 1, 5) != first)
        let plain = ImageView(augmentation, number: 0, seed: 4)
        let hash = ContentHash(of: "a")
        #expect(plain.parameters(for: hash, width: 500, height: 375, recipe: Self.recipe(224, 224)) == nil)
        #expect(plain.key(for: hash) == hash)
    }

    @Test("Every augmentation, view and seed keeps what comes of an image under another name")
    func keys() {
        let hash = ContentHash(of: "a")
        let views = Self.varied.flatMap { augmentation in
            [(1, 4), (2, 4), (1, 5)].map { ImageView(augmentation, number: $0.0, seed: UInt64($0.1)) }
        }
        #expect(Set(views.map { $0.key(for: hash) }).count == 9)
    }

    @Test("What is drawn is what is done to the pixels")
    func pixels() throws {
        let picture = Picture(width: 4, height: 2, channels: 3, bytes: (0..<24).map { UInt8($0) })
        #expect(
            picture.mirrored.bytes == [
                9, 10, 11, 6, 7, 8, 3, 4, 5, 0, 1, 2, 21, 22, 23, 18, 19, 20, 15, 16, 17, 12, 13, 14,
            ])
        let recipe = InputRecipe(height: 2, width: 2, pixels: .raw, fit: .squash)
        var part = Augmentation.Parameters(columns: 1..<3, rows: 0..<2, isMirrored: true)
        #expect(try Preprocessor(recipe).crop(picture, part).bytes == [6, 7, 8, 3, 4, 5, 18, 19, 20, 15, 16, 17])
        part.operations = [.translateX(1), .brightness(2)]
        part.erased = .init(columns: 1..<2, rows: 1..<2)
        #expect(try Preprocessor(recipe).crop(picture, part).bytes == [0, 0, 0, 12, 14, 16, 0, 0, 0, 0, 0, 0])
    }

    @Test("A picture of any size and kind can be varied for any network", arguments: varied)
    func sizes(_ augmentation: Augmentation) throws {
        let hashes = (0..<150).map { ContentHash(of: "\($0)") }
        for (number, hash) in hashes.enumerated() {
            func size(_ shift: UInt64, _ most: UInt64) -> Int { 1 + Int(hash.low >> shift % most) }
            // Every third is a pixel wide or high.
            let width = number % 6 == 0 ? 1 : size(0, 90)
            let height = number % 6 == 3 ? 1 : size(8, 90)
            let channels = number % 2 == 0 ? 3 : 1
            let bytes = (0..<width * height * channels).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ number) }
            let picture = Picture(width: width, height: height, channels: channels, bytes: bytes)
            var recipe = Self.recipe(size(16, 40), size(24, 40), fit: InputRecipe.Fit.allCases[number % 3])
            if number % 5 == 0 {
                recipe = InputRecipe(
                    height: recipe.height, width: recipe.width, channels: 1,
                    pixels: InputRecipe.Pixels.torch.spread(over: 1), fit: recipe.fit)
            }
            let parameters = try #require(
                ImageView(augmentation, number: 1, seed: 0).parameters(
                    for: hash, width: width, height: height, recipe: recipe))
            let crop = try Preprocessor(recipe).crop(picture, parameters)
            #expect((crop.width, crop.height, crop.channels) == (recipe.width, recipe.height, recipe.channels))
        }
    }
}
