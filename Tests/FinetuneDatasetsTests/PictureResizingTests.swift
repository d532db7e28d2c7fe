// Resizes against Pillow's, and a resize of a part against the same part of a whole resize.

import FinetuneFiles
import FinetuneModels
import Testing

@testable import FinetuneDatasets

@Suite("Resizing pictures")
struct PictureResizingTests {
    static func source() throws -> Picture { try PictureFixtures.stored("resize-source.bin", 61, 47) }

    @Test("A resize has Pillow's numbers, bit for bit", arguments: try PictureFixtures.cases("resized"))
    func resizes(entry: JSON) throws {
        let expected = try PictureFixtures.expected(entry)
        let interpolation = try #require(InputRecipe.Interpolation(rawValue: entry.text("interpolation")))
        let resized = try Self.source().resized(
            width: expected.width, height: expected.height, interpolation: interpolation)
        #expect(resized.distance(to: expected) == 0)
    }

    @Test("A part is resized as if it were cut out of the whole", arguments: InputRecipe.Interpolation.allCases)
    func parts(interpolation: InputRecipe.Interpolation) throws {
        for source in [try Self.source(), try Self.source().gray] {
            for (width, height) in [(40, 31), (61, 20), (20, 47), (61, 47), (122, 94)] {
                let whole = source.resized(width: width, height: height, interpolation: interpolation)
                for (columns, rows) in [(3..<17, 5..<19), (0..<1, 0..<1), (width - 4..<width, height - 2..<height)] {
                    let part = source.resized(
                        width: width, height: height, interpolation: interpolation, columns: columns, rows: rows)
                    #expect(part == whole.cropped(columns: columns, rows: rows))
                }
            }
        }
    }

    @Test("Halving two pixels averages them with Pillow's window")
    func byHand() {
        let row = Picture(width: 4, height: 1, channels: 1, bytes: [0, 0, 100, 200])
        // A window of two pixels to each side, weights 1/4, 3/4, 3/4, 1/4 over their sum within the row.
        #expect(row.resized(width: 2, height: 1, interpolation: .bilinear).bytes == [14, 129])
        #expect(row.resized(width: 2, height: 1, interpolation: .nearest).bytes == [0, 200])
    }

    @Test("The weights of a pixel sum to one within rounding")
    func weights() {
        for filter in [ResamplingFilter.box, .triangle, .hamming, .cubic, .lanczos] {
            let axis = ResizedAxis(length: 256, kept: 0..<256)
            let resampling = ResamplingWeights(axis, inputSize: 375, filter: filter)
            for index in 0..<256 {
                let offset = resampling.offsets[index]
                let sum = resampling.weights[offset..<offset + resampling.counts[index]].reduce(0, +)
                #expect(abs(sum - 1 << 22) <= 8)
            }
        }
    }
}
