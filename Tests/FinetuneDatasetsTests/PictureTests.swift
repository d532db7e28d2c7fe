// Pictures against Pillow's: decoding of every format, orientation, resizing, and damaged files.

import FinetuneFiles
import FinetuneModels
import TestSupport
import Testing

@testable import FinetuneDatasets

private struct Manifest {
    let json: JSON

    init() throws { json = try Fixtures.json("manifest.json") }

    static let pictures: [String] = ((try? Manifest())?.json["pictures"]?.arrayValue ?? []).compactMap { $0["file"]?.stringValue }

    func expected(_ file: String) -> Picture? {
        json["pictures"]?.arrayValue?.first { $0["file"]?.stringValue == file }.map { entry in
            let size = entry["size"]?.integers ?? []
            return Picture(width: size[0], height: size[1], bytes: entry["pixels"]?.bytes ?? [])
        }
    }
}

@Suite("A picture") struct PictureTests {
    @Test("has Pillow's pixels", arguments: Manifest.pictures)
    func decoding(_ file: String) throws {
        let picture = try Picture(decoding: FileSystem.read(Fixtures.path(file)), exif: .upright)
        let expected = try #require(try Manifest().expected(file))
        #expect(picture.width == expected.width && picture.height == expected.height)
        let worst = zip(picture.bytes, expected.bytes).map { abs(Int($0) - Int($1)) }.max() ?? 0
        // Pillow brings a libjpeg-turbo and a libwebp of its own, whose chroma upsampling may differ by a level.
        let tolerance = file.hasSuffix(".jpg") ? 1 : file == "lossy.webp" ? 2 : 0
        #expect(worst <= tolerance)
    }

    @Test("keeps its stored orientation when EXIF is ignored")
    func ignoredOrientation() throws {
        let picture = try Picture(decoding: FileSystem.read(Fixtures.path("turned-6.jpg")), exif: .ignore)
        #expect(picture.width == 22 && picture.height == 15)
    }

    @Test("is resized with Pillow's numbers")
    func resizing() throws {
        let manifest = try Manifest().json
        let source = Picture(
            width: manifest["width"]?.intValue ?? 0, height: manifest["height"]?.intValue ?? 0, bytes: manifest["source"]?.bytes ?? [])
        for entry in manifest["resized"]?.arrayValue ?? [] {
            let size = entry["size"]?.integers ?? []
            let kind = try #require(entry["interpolation"]?.stringValue.flatMap(InputRecipe.Interpolation.init))
            let found = source.resized(width: size[0], height: size[1], kind, crop: (0, 0, size[0], size[1]))
            let worst = zip(found.bytes, entry["pixels"]?.bytes ?? []).map { abs(Int($0) - Int($1)) }.max()
            // Pillow 13 may run the vertical pass first, which rounds elsewhere.
            #expect((worst ?? 9) <= 1, "\(size) \(kind)")
        }
    }

    @Test("is cropped as if it had been resized whole")
    func fusedCrop() {
        let source = Picture(width: 31, height: 23, bytes: (0..<31 * 23 * 3).map { UInt8(truncatingIfNeeded: $0 &* 37) })
        for kind in InputRecipe.Interpolation.allCases {
            let whole = source.resized(width: 17, height: 19, kind, crop: (0, 0, 17, 19))
            let part = source.resized(width: 17, height: 19, kind, crop: (5, -2, 9, 12))
            for y in 0..<12 {
                for x in 0..<9 {
                    for channel in 0..<3 {
                        let expected = y < 2 ? 0 : whole.bytes[3 * ((y - 2) * 17 + x + 5) + channel]
                        #expect(part.bytes[3 * (y * 9 + x) + channel] == expected)
                    }
                }
            }
        }
    }

    @Test("that is damaged is refused or decoded, and never crashes", arguments: Manifest.pictures)
    func damaged(_ file: String) throws {
        let good = try FileSystem.read(Fixtures.path(file))
        var state: UInt64 = 9
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % max(bound, 1)
        }
        for round in 0..<300 {
            var bytes = good
            for _ in 0...random(3) { bytes[random(bytes.count)] = UInt8(random(256)) }
            if round % 3 == 0 { bytes = Array(bytes.prefix(random(bytes.count))) }
            do {
                _ = try Picture(decoding: bytes, exif: .upright)
            } catch {
                #expect(error is PictureError)
            }
        }
    }

    @Test(
        "is refused by what it is",
        arguments: [("", "empty"), ("GIF89a…", "GIF"), ("<!DOCTYPE html>", "web page"), ("hello", "no picture"), ("\u{FF}", "no picture")])
    func refused(_ text: String, _ word: String) {
        let error = #expect(throws: PictureError.self) { try Picture(decoding: Array(text.utf8), exif: .upright) }
        #expect(error?.description.contains(word) == true)
    }

    @Test("cut short is refused, as Pillow refuses it")
    func truncated() throws {
        for file in ["baseline.jpg", "rgb.png", "lossy.webp", "rgb.bmp"] {
            let bytes = try FileSystem.read(Fixtures.path(file))
            #expect(throws: PictureError.self) { try Picture(decoding: Array(bytes.prefix(bytes.count * 2 / 3)), exif: .upright) }
        }
    }
}

@Suite("A recipe at work") struct PreprocessorTests {
    @Test("pads the short side, squashes, and crops the middle", arguments: InputRecipe.Fit.allCases)
    func fits(_ fit: InputRecipe.Fit) {
        let white = Picture(width: 40, height: 20, bytes: [UInt8](repeating: 255, count: 2400))
        let crop = Preprocessor(InputRecipe(height: 10, width: 10, pixels: .unit, fit: fit)).crop(white)
        let blackRows = (0..<10).filter { crop.bytes[30 * $0..<30 * $0 + 30].allSatisfy { $0 == 0 } }
        #expect(blackRows == (fit == .pad ? [0, 1, 7, 8, 9] : []))
    }

    @Test("turns pixels into the numbers of every named recipe")
    func numbers() {
        let pixel = Picture(width: 1, height: 1, bytes: [10, 20, 30])
        let expected: [String: [Float]] = [
            "raw": [10, 20, 30], "unit": [10 / 255, 20 / 255, 30 / 255],
            "tf": [10 / 127.5 - 1, 20 / 127.5 - 1, 30 / 127.5 - 1], "caffe": [30 - 103.939, 20 - 116.779, 10 - 123.68],
            "torch": [(10.0 / 255 - 0.485) / 0.229, (20.0 / 255 - 0.456) / 0.224, (30.0 / 255 - 0.406) / 0.225],
        ]
        for (name, pixels) in InputRecipe.Pixels.named {
            var values = [Float](repeating: 0, count: 3)
            values.withUnsafeMutableBufferPointer {
                Preprocessor(InputRecipe(height: 1, width: 1, pixels: pixels)).write(pixel, into: $0)
            }
            for (a, b) in zip(values, expected[name] ?? []) { #expect(abs(a - b) < 1e-5, "\(name)") }
        }
    }

    @Test("equals torchvision, timm and Keras on the shared cases", .enabled(if: Fixtures.shared("fixtures/preprocess") != nil, "the shared fixtures are not here"))
    func sharedCases() throws {
        let folder = try #require(Fixtures.shared("fixtures"))
        let cases = try JSON(parsing: FileSystem.read(folder + "/preprocess/manifest.json"))
        let list = try #require(cases.members?.compactMap { $0.value.arrayValue }.last)
        #expect(list.count == 40)
        for entry in list {
            let id = entry["id"]?.stringValue ?? ""
            let side = entry["crop"]?.intValue ?? entry["target"]?.integers.first ?? 0
            let kind = try #require(entry["interpolation"]?.stringValue.flatMap(InputRecipe.Interpolation.init))
            let isKeras = entry["target"] != nil
            let pixels: InputRecipe.Pixels = entry["mode"]?.stringValue == "caffe" ? .caffe : entry["mode"]?.stringValue == "tf" ? .tf : .torch
            let recipe = InputRecipe(
                height: side, width: side, pixels: pixels, interpolation: kind, fit: isKeras ? .squash : .crop,
                resizeRatio: Double(entry["resize"]?.intValue ?? side) / Double(side), exif: .ignore)
            let bytes = try FileSystem.read("\(folder)/\(entry["image"]?.stringValue ?? "")")
            let crop = Preprocessor(recipe).crop(try Picture(decoding: bytes, exif: .ignore))
            let expected = try NumpyArray(parsing: FileSystem.read("\(folder)/\(entry["uint8"]?["file"]?.stringValue ?? "")"), name: id)
            let worst = zip(crop.bytes, expected.bytes).map { abs(Int($0) - Int($1)) }.max() ?? 255
            #expect(worst <= entry["tolerance"]?["uint8"]?.intValue ?? 0, "\(id)")
        }
    }
}
