// Every operation of augmentation against torchvision's of PIL images, alone and one after the other, and on pictures
// of any size.

import FinetuneFiles
import FinetuneModels
import TestSupport
import Testing

@testable import FinetuneDatasets

@Suite("Picture operations")
struct PictureOperationTests {
    static let names = [
        "mirror", "rotate", "shearX", "shearY", "translateX", "translateY", "brightness", "contrast", "saturation",
        "sharpness", "hue", "posterize", "solarize", "autocontrast", "equalize",
    ]

    @Test("An operation has torchvision's numbers, bit for bit", arguments: names)
    func operations(name: String) throws {
        let fixtures = try AugmentationFixtures()
        let cases = try fixtures.cases("operations").filter { try $0.text("operation") == name }
        #expect(cases.count >= 5)
        for entry in cases {
            let source = try fixtures.picture(entry, "source")
            let result = name == "mirror" ? source.mirrored : try source.applying(#require(PictureOperation(entry)))
            let distance = result.distance(to: try fixtures.picture(entry, "result"))
            #expect(distance == 0, "\(entry) of \(source.width) × \(source.height) × \(source.channels)")
        }
    }

    @Test("A part, its operations and its erased rectangle come out as torchvision's do")
    func compositions() throws {
        let fixtures = try AugmentationFixtures()
        for entry in try fixtures.cases("compositions") {
            let numbers = try #require(entry["part"]?.integers)
            let size = try #require(entry["size"]?.integers)
            var parameters = Augmentation.Parameters(
                columns: numbers[0]..<numbers[0] + numbers[2], rows: numbers[1]..<numbers[1] + numbers[3],
                isMirrored: entry["mirrored"]?.boolValue == true)
            parameters.operations = try #require(entry["operations"]?.arrayValue).map {
                try #require(PictureOperation($0))
            }
            if let erased = entry["erased"]?.integers, erased.count == 4 {
                parameters.erased = .init(
                    columns: erased[0]..<erased[0] + erased[2], rows: erased[1]..<erased[1] + erased[3])
            }
            var recipe = InputRecipe(height: size[1], width: size[0], pixels: .torch)
            recipe.channels = try entry.number("channels")
            recipe.mean = Array(recipe.mean.prefix(recipe.channels))
            recipe.standardDeviation = Array(recipe.standardDeviation.prefix(recipe.channels))
            let result = try Preprocessor(recipe).crop(fixtures.picture(entry, "source"), parameters)
            #expect(result.distance(to: try fixtures.picture(entry, "result")) == 0, "\(entry)")
        }
    }

    @Test("Operations on a row are what they are by hand")
    func byHand() {
        let row = Picture(width: 4, height: 1, channels: 1, bytes: [0, 50, 100, 250])
        #expect(row.mirrored.bytes == [250, 100, 50, 0])
        #expect(row.translated(x: 1, y: 0).bytes == [0, 0, 50, 100])
        #expect(row.rotated(by: 180).bytes == [250, 100, 50, 0])
        #expect(row.withBrightness(1.5).bytes == [0, 75, 150, 255])
        #expect(row.withContrast(0).bytes == [100, 100, 100, 100])
        #expect(row.posterized(bits: 1).bytes == [0, 0, 0, 128])
        #expect(row.solarized(from: 100).bytes == [0, 50, 155, 5])
        #expect(row.autocontrasted.bytes == [0, 51, 102, 255])
        #expect(row.erased(.init(columns: 1..<3, rows: 0..<1), levels: [7]).bytes == [0, 7, 7, 250])
        let red = Picture(width: 1, height: 1, channels: 3, bytes: [255, 0, 0])
        #expect(red.withSaturation(0).bytes == [76, 76, 76])
        #expect(red.withHue(turned: 0.334).bytes == [0, 255, 0])
    }

    @Test("Erased pixels are what the scaling makes closest to 0", arguments: InputRecipe.Pixels.named.map(\.name))
    func erased(name: String) throws {
        let pixels = try #require(InputRecipe.Pixels.named.first { $0.name == name }?.pixels)
        let preprocessor = try Preprocessor(InputRecipe(height: 1, width: 1, pixels: pixels))
        var parameters = Augmentation.Parameters(columns: 0..<1, rows: 0..<1, isMirrored: false)
        parameters.erased = .init(columns: 0..<1, rows: 0..<1)
        let crop = preprocessor.crop(Picture(width: 1, height: 1, channels: 1, bytes: [200]), parameters)
        var written = [Float](repeating: 0, count: 3)
        var output = written.mutableSpan
        preprocessor.write(crop, into: &output)
        // Half a level, in the recipe's scale.
        for (number, deviation) in zip(written, pixels.standardDeviation) {
            #expect(Double(abs(number)) <= 0.5001 * pixels.scale / deviation)
        }
    }

    @Test("Any operation takes a picture of any size", arguments: [1, 3])
    func sizes(channels: Int) {
        let operations: [PictureOperation] = [
            .rotate(degrees: 33), .rotate(degrees: -1e9), .shearX(0.99), .shearY(-0.99), .translateX(-32),
            .translateY(1 << 40), .brightness(1.99), .contrast(0.01), .saturation(1.99), .sharpness(1.99),
            .hue(turns: -0.5), .posterize(bits: 1), .posterize(bits: 8), .solarize(from: 256), .solarize(from: -1),
            .autocontrast, .equalize,
        ]
        for (width, height) in [(1, 1), (1, 2), (2, 1), (3, 3), (1, 300), (300, 1), (2, 90), (17, 31), (64, 5)] {
            var random = SystemRandomNumberGenerator()
            let bytes = (0..<width * height * channels).map { _ in UInt8.random(in: 0...255, using: &random) }
            let picture = Picture(width: width, height: height, channels: channels, bytes: bytes)
            for operation in operations {
                let result = picture.applying(operation)
                #expect((result.width, result.height, result.channels) == (width, height, channels))
            }
            #expect(picture.mirrored.mirrored == picture)
        }
    }
}
