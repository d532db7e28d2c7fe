// Damaged files: whatever is flipped or cut, a decoder answers with a picture or an error and never crashes.

import FinetuneFiles
import FinetuneModels
import Testing

@testable import FinetuneDatasets

@Suite("Damaged pictures")
struct PictureMutationTests {
    /// SplitMix64: the same damage in every run.
    private struct Dice: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    static let kinds = [".jpg", ".png", ".webp", ".tif", ".bmp"]

    @Test("Flipped bytes and cut ends never crash a decoder", arguments: kinds)
    func mutations(kind: String) throws {
        let names = Set(try PictureFixtures.cases("decoded").map { try $0.text("file") }).sorted()
        try mutate(names.filter { $0.hasSuffix(kind) }, rounds: 300, PictureFixtures.bytes)
    }

    /// 5,000 of each; a decoder in a process of its own may crash, which is an error like any other.
    @Test("Nor do they crash the program in the kinds of phones", arguments: [".heic", ".avif", ".jxl", ".gif", "m"])
    func phones(kind: String) throws {
        let names = Set(try PhoneFixtures.cases("decoded").map { try $0.text("file") }).sorted()
            .filter { $0.hasSuffix(kind) }
        try mutate(names, rounds: 5000 / names.count + 1, PhoneFixtures.bytes)
    }

    private func mutate(_ names: [String], rounds: Int, _ read: (String) throws -> [UInt8]) throws {
        for (seed, name) in names.enumerated() {
            let whole = try read(name)
            var dice = Dice(state: UInt64(seed))
            for round in 0..<rounds {
                var bytes = whole
                // Headers decide most, so half of the flips hit the first or the last 200 bytes.
                for _ in 0..<Int.random(in: 1...4, using: &dice) {
                    let near = Int.random(in: 0..<min(200, bytes.count), using: &dice)
                    let anywhere = Int.random(in: 0..<bytes.count, using: &dice)
                    let place = [near, bytes.count - 1 - near, anywhere, anywhere].randomElement(using: &dice) ?? near
                    bytes[place] = [0, 0xFF, UInt8.random(in: 0...255, using: &dice)].randomElement(using: &dice) ?? 0
                }
                if round % 5 == 0 { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &dice)) }
                do {
                    let picture = try Picture(decoding: bytes, exif: .upright, pixelLimit: 100_000)
                    #expect(picture.width * picture.height <= 100_000)
                } catch {
                    #expect(error is PictureError)
                }
            }
        }
    }
}
