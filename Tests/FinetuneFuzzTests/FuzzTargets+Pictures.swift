// The decoders of pictures under fuzzing: this package's own, and the libraries that run in a process of their own.

@testable internal import FinetuneCodecs
@testable internal import FinetuneDatasets
@testable internal import FinetuneFiles
@testable internal import FinetuneModels

extension FuzzTarget {
    static let pictures: [FuzzTarget] =
        [gif, netpbm, xmp] + zip(PictureTest.all, Codec.allCases).map { codec($0.1, sample: $0.0.bytes) }

    /// The most pixels that an input may claim, so that a run stays fast.
    private static let pixelLimit = 1 << 20

    private static let gif = FuzzTarget(
        name: "gif", maximumCount: 1024,
        seeds: [
            // 2 × 2 pixels of two colors, by Pillow.
            [
                0x47, 0x49, 0x46, 0x38, 0x39, 0x61, 2, 0, 2, 0, 0x80, 0, 0, 200, 60, 30, 20, 90, 220, 0x2C, 0, 0, 0, 0,
                2, 0, 2, 0, 0, 2, 2, 0x44, 0x0A, 0, 0x3B,
            ]
        ],
        words: ["GIF87a", "GIF89a", "\u{21}", "\u{2C}", "\u{3B}"],
        sources: ["FinetuneDatasets/Pictures/GIFDecoder.swift"], errors: [PictureError.self]
    ) { input in try decode(input, as: .gif) }

    private static let netpbm = FuzzTarget(
        name: "netpbm", maximumCount: 512,
        seeds: [
            Array("P1\n# a\n3 2\n010\n1 1 0".utf8), Array("P2 2 2 15\n0 3 15 9".utf8), Array("P3 1 1 255 9 8 7".utf8),
            Array("P4 9 1 ab".utf8), Array("P5 2 1 65535\nabcd".utf8), Array("P6 1 1 1000\nabcdef".utf8),
        ],
        words: ["P1", "P2", "P3", "P4", "P5", "P6", "65535", "255", "#"],
        sources: ["FinetuneDatasets/Pictures/NetpbmDecoder.swift"], errors: [PictureError.self]
    ) { input in try decode(input, as: .netpbm) }

    private static let xmp = FuzzTarget(
        name: "xmp", maximumCount: 512,
        seeds: [Array("<x tiff:Orientation=\"6\"/>".utf8), Array("<tiff:Orientation>8</tiff:Orientation>".utf8)],
        words: ["tiff:Orientation", "=\"", ">"], sources: ["FinetuneDatasets/Pictures/Orientation.swift"],
        errors: [PictureError.self]
    ) { input in
        input.withUnsafeBytes { bytes in
            let (bytes, half) = (PictureBytes(bytes), bytes.count / 2)
            _ = Orientation(exif: bytes.slice(0, count: half), xmp: bytes.suffix(from: half))
        }
    }

    private static func codec(_ codec: Codec, sample: [UInt8]) -> FuzzTarget {
        FuzzTarget(
            name: codec.rawValue, maximumCount: 2048, seeds: [sample],
            words: [
                "ispe", "hvcC", "av1C", "ipma", "iloc", "irot", "imir", "clap", "colr", "nclx", "grid", "JXL ", "jbrd",
            ],
            sources: ["FinetuneCodecs"], isForeign: true, errors: [CodecFailure.self]
        ) { input in
            try input.withUnsafeBytes { bytes in
                guard bytes.count > 0 else { return }
                let limits = CodecLimits(pixelLimit: pixelLimit, sideLimit: pixelLimit)
                guard case .pixels(let pixels) = try codec.decode(bytes, limits) else { return }
                let count = pixels.width * pixels.height * pixels.channels * pixels.bits / 8
                try require(pixels.bytes.count == count, "a picture of another size than it says")
                try require(pixels.width * pixels.height <= pixelLimit, "a picture over the limit")
                try require((1...8).contains(pixels.orientation), "an orientation that there is not")
            }
        }
    }

    private static func decode(_ input: [UInt8], as format: PictureFormat) throws {
        guard PictureFormat(of: input) == format else { return }
        let picture = try Picture(decoding: input, exif: .upright, pixelLimit: pixelLimit)
        try require(picture.width * picture.height <= pixelLimit, "a picture over the limit")
    }
}
