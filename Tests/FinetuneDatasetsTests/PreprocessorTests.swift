// Geometry and scaling against torchvision, timm, Keras and Pillow.

import FinetuneFiles
import FinetuneModels
import Testing

@testable import FinetuneDatasets

@Suite("Preprocessing")
struct PreprocessorTests {
    @Test("A picture is fitted as torchvision and Pillow fit it", arguments: try PictureFixtures.cases("fitted"))
    func fits(entry: JSON) throws {
        let source = try PictureFixtures.stored(
            entry.text("source"), entry.number("source_width"), entry.number("source_height"))
        let expected = try PictureFixtures.expected(entry)
        var recipe = InputRecipe(height: expected.height, width: expected.width, pixels: .torch)
        recipe.fit = try #require(InputRecipe.Fit(rawValue: entry.text("fit")))
        recipe.interpolation = try #require(InputRecipe.Interpolation(rawValue: entry.text("interpolation")))
        recipe.resizeRatio = recipe.fit == .crop ? Double(try entry.number("resize")) / Double(expected.height) : 1
        recipe.channels = expected.channels
        recipe.mean = Array(recipe.mean.prefix(recipe.channels))
        recipe.standardDeviation = Array(recipe.standardDeviation.prefix(recipe.channels))
        #expect(try Preprocessor(recipe).crop(source).distance(to: expected) == 0)
    }

    @Test("A picture is placed and resized as its library does it", arguments: try GeometryFixtures.cases())
    func places(entry: JSON) throws {
        let expected = try GeometryFixtures.expected(entry)
        var recipe = InputRecipe(
            height: expected.height, width: expected.width, channels: expected.channels,
            pixels: InputRecipe.Pixels.raw.spread(over: expected.channels))
        recipe.fit = try #require(InputRecipe.Fit(rawValue: entry.text("fit")))
        recipe.interpolation = try #require(InputRecipe.Interpolation(rawValue: entry.text("interpolation")))
        if let rules = entry["rules"] {
            recipe.rules = try #require(rules.stringValue.flatMap { InputRecipe.Rules(rawValue: $0) })
        }
        recipe.resizeRatio = entry["ratio"]?.doubleValue ?? 1
        recipe.antialias = entry["antialias"]?.boolValue ?? true
        if let fill = entry["fill"] {
            recipe.fill = try #require(fill.arrayValue).compactMap { $0.intValue.map { UInt8($0) } }
        }
        let crop = try Preprocessor(recipe).crop(GeometryFixtures.source(entry))
        #expect(crop.distance(to: expected) <= (try entry.number("tolerance")))
    }

    @Test("The border is blended with the picture where the original is padded, and is not elsewhere")
    func borders() throws {
        let row = Picture(width: 4, height: 2, channels: 3, bytes: [UInt8](repeating: 100, count: 24))
        func rows(_ rules: InputRecipe.Rules) throws -> [UInt8] {
            let recipe = InputRecipe(
                height: 3, width: 3, pixels: .raw, fit: .pad, rules: rules, fill: [0, 50, 200])
            let crop = try Preprocessor(recipe).crop(row)
            return (0..<3).flatMap { y in (0..<3).map { crop.bytes[9 * y + $0] } }
        }
        // Two rows in the middle of four become the middle one of three, and a sixth of its neighbors.
        let blended = try rows(.keras)
        #expect(blended[0] == blended[6] && blended[0] > 0 && blended[2] > 100 && blended[2] < 200)
        // Two rows of timm's rounding cover two of three; the border is below.
        #expect(try rows(.timm) == [100, 100, 100, 100, 100, 100, 0, 50, 200])
        // Gray pictures get borders in color, too.
        let gray = Picture(width: 4, height: 2, channels: 1, bytes: [UInt8](repeating: 100, count: 8))
        let recipe = InputRecipe(height: 3, width: 3, pixels: .raw, fit: .pad, rules: .timm, fill: [0, 50, 200])
        #expect(try Preprocessor(recipe).crop(gray).bytes == Preprocessor(recipe).crop(row).bytes)
    }

    @Test("The padding of a very long picture costs no memory")
    func longPictures() throws {
        let line = Picture(width: 200_000, height: 1, channels: 1, bytes: [UInt8](repeating: 255, count: 200_000))
        for interpolation in InputRecipe.Interpolation.allCases {
            let recipe = InputRecipe(
                height: 5, width: 5, pixels: .raw, interpolation: interpolation, fit: .pad, rules: .keras, fill: [9])
            let crop = try Preprocessor(recipe).crop(line)
            #expect(crop.bytes[0] == 9 && crop.bytes[74] == 9)
        }
    }

    @Test(
        "A JPEG is decoded whole where single pixels count", arguments: ["nearest", "antialias", "window", "unscaled"])
    func decodesWhole(reason: String) throws {
        let bytes = try readFile(Paths.tests + "/Fixtures/reduced/waves.jpg")
        var recipe = InputRecipe(height: 8, width: 10, pixels: .raw, fit: .squash)
        switch reason {
        case "nearest": recipe.interpolation = .nearest
        case "antialias": recipe.antialias = false
        case "window": (recipe.fit, recipe.rules, recipe.width) = (.crop, .keras, 8)
        default: recipe.fit = .unscaled
        }
        #expect(
            try Preprocessor(recipe, reducesWhileDecoding: true).crop(decoding: bytes)
                == Preprocessor(recipe).crop(decoding: bytes))
    }

    @Test("A JPEG that shrinks by four or more is decoded at a fraction of its size, as Pillow's draft does")
    func reduces() throws {
        let folder = Paths.tests + "/Fixtures/reduced/"
        let bytes = try readFile(folder + "waves.jpg")
        let cases = try #require(JSON(parsing: readFile(folder + "reduced.json"))["cases"]?.arrayValue)
        #expect(!cases.isEmpty)
        for entry in cases {
            let (width, height) = (try entry.number("width"), try entry.number("height"))
            let pixels = try #require(entry["pixels"]?.arrayValue).compactMap(\.intValue).map { UInt8($0) }
            let expected = Picture(width: width, height: height, channels: 3, bytes: pixels)
            let recipe = InputRecipe(height: height, width: width, pixels: .raw, fit: .squash)
            #expect(
                try Preprocessor(recipe, reducesWhileDecoding: true).crop(decoding: bytes).distance(to: expected) == 0)
            // Decoded whole it is another picture, but not by much.
            let whole = try Preprocessor(recipe).crop(decoding: bytes)
            #expect((1...12).contains(whole.distance(to: expected)))
        }
        let half = InputRecipe(height: 64, width: 80, pixels: .raw, fit: .squash)
        #expect(
            try Preprocessor(half, reducesWhileDecoding: true).crop(decoding: bytes)
                == Preprocessor(half).crop(decoding: bytes))
    }

    static let ratios: [(Int, Double, Int)] = [
        (224, 256.0 / 224, 256), (224, 232.0 / 224, 232), (224, 1 / 0.95, 235), (224, 1 / 0.875, 256),
        (288, 1 / 0.95, 303), (299, 1 / 0.875, 341), (32, 1, 32),
    ]

    @Test("The usual short sides come out of their ratios", arguments: ratios)
    func shortSides(side: Int, ratio: Double, short: Int) throws {
        // In a picture whose columns count up, the first kept column tells what the short side was.
        let columns = (0..<short * short).map { UInt8($0 % short % 256) }
        let picture = Picture(width: short, height: short, channels: 1, bytes: columns)
        let recipe = InputRecipe(height: side, width: side, pixels: .raw, resizeRatio: ratio)
        let crop = try Preprocessor(recipe).crop(picture)
        let start = Int((Double(short - side) / 2).rounded(.toNearestOrEven))
        #expect((0..<side).allSatisfy { crop.bytes[3 * $0] == UInt8((start + $0) % 256) })
    }

    @Test("An oblong input is covered on both sides", arguments: [(60, 20), (20, 60), (37, 37), (41, 30)])
    func oblong(width: Int, height: Int) throws {
        let levels = [UInt8](repeating: 255, count: width * height)
        let white = Picture(width: width, height: height, channels: 1, bytes: levels)
        let recipe = InputRecipe(height: 24, width: 31, pixels: .raw, resizeRatio: 1.125)
        let crop = try Preprocessor(recipe).crop(white)
        #expect((crop.width, crop.height, crop.channels) == (31, 24, 3))
        #expect(crop.bytes.allSatisfy { $0 == 255 })
    }

    @Test("Levels are scaled in the recipe's order of channels")
    func writes() throws {
        let pixel = Picture(width: 1, height: 1, channels: 3, bytes: [10, 20, 30])
        func written(_ pixels: InputRecipe.Pixels) throws -> [Float] {
            let preprocessor = try Preprocessor(InputRecipe(height: 1, width: 1, pixels: pixels))
            var written = [Float](repeating: 0, count: 3)
            var output = written.mutableSpan
            preprocessor.write(pixel, into: &output)
            return written
        }
        #expect(try written(.raw) == [10, 20, 30])
        #expect(try written(.caffe) == [30 - 103.939, 20 - 116.779, 10 - 123.68])
        #expect(try written(.tf).map { ($0 + 1) * 127.5 }.map { $0.rounded() } == [10, 20, 30])
    }

    static let badRecipes: [@Sendable (inout InputRecipe) -> Void] = [
        { $0.width = 0 }, { $0.height = -3 }, { $0.channels = 2 }, { $0.mean = [] }, { $0.scale = .nan },
        { $0.standardDeviation = [1, 0, 1] }, { $0.resizeRatio = -1 }, { $0.resizeRatio = .infinity },
        { $0.fill = [] }, { $0.fill = [1, 2] },
    ]

    @Test("A recipe that cannot be followed is refused", arguments: badRecipes.indices)
    func refuses(index: Int) {
        var recipe = InputRecipe(height: 8, width: 8, pixels: .torch)
        Self.badRecipes[index](&recipe)
        #expect(throws: PictureError.self) { try Preprocessor(recipe) }
    }

    // MARK: - The real libraries' forty cases

    static let shared: [JSON] = {
        guard Paths.hasShared, let bytes = try? readFile(Paths.shared + "preprocess/manifest.json") else { return [] }
        return (try? JSON(parsing: bytes))?["cases"]?.arrayValue ?? []
    }()

    @Test(
        "torchvision's, timm's and Keras' own pipelines agree",
        .enabled(if: Paths.hasShared, "the shared files are not here"), arguments: shared)
    func pipelines(entry: JSON) throws {
        let uint8 = try #require(entry["uint8"])
        let tensor = try #require(entry["tensor"])
        let tolerance = try #require(entry["tolerance"])
        let side = try #require(uint8["shape"]?.arrayValue?.first?.intValue)
        let name = try entry.text("pipeline")
        let pixels: InputRecipe.Pixels = name.hasSuffix("caffe") ? .caffe : name.hasSuffix("tf") ? .tf : .torch
        var recipe = InputRecipe(height: side, width: side, pixels: pixels, fit: .squash, exif: .ignore)
        recipe.interpolation = try #require(InputRecipe.Interpolation(rawValue: entry.text("interpolation")))
        if let resize = entry["resize"]?.intValue {
            recipe.fit = .crop
            recipe.resizeRatio = Double(resize) / Double(side)
        }
        let preprocessor = try Preprocessor(recipe)
        let crop = preprocessor.crop(
            try Picture(decoding: readFile(Paths.shared + entry.text("image")), exif: recipe.exif))
        let expected = try Self.numbers(readFile(Paths.shared + uint8.text("file")), as: UInt8.self)
        let reference = Picture(width: side, height: side, channels: 3, bytes: expected)
        #expect(crop.distance(to: reference) <= (try tolerance.number("uint8")))

        let isPlanar = try tensor.text("layout") == "CHW"
        let numbers = try Self.numbers(readFile(Paths.shared + tensor.text("file")), as: Float.self)
        var written = [Float](repeating: 0, count: numbers.count)
        var output = written.mutableSpan
        preprocessor.write(crop, into: &output)
        let largest = (0..<numbers.count).map { index in
            let (pixel, channel) = (index / 3, index % 3)
            return abs(written[index] - numbers[isPlanar ? channel * side * side + pixel : index])
        }.max()
        #expect(Double(try #require(largest)) <= (try #require(tolerance["tensor_atol"]?.doubleValue)))
    }

    /// The numbers of a `.npy` file whose kind and shape are known.
    static func numbers<Number: BitwiseCopyable>(_ bytes: [UInt8], as _: Number.Type) throws -> [Number] {
        let start = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
        return bytes.withUnsafeBytes { buffer in
            stride(from: start, to: buffer.count, by: MemoryLayout<Number>.size).map {
                buffer.loadUnaligned(fromByteOffset: $0, as: Number.self)
            }
        }
    }
}
