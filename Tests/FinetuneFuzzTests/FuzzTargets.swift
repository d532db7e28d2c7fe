// The table of parsers under fuzzing. A new one is one more entry.

@testable internal import FinetuneCheckpoints
@testable internal import FinetuneDatasets
@testable internal import FinetuneEngine
@testable internal import FinetuneFiles
@testable internal import FinetuneModels

extension FuzzTarget {
    static let all: [FuzzTarget] =
        [
            json, csv, npy, zip, npz, gzip, tar, idx, recipe, network, engine, lzf, safetensors, pickle, archive,
            legacy,
            dialect,
        ] + pictures

    private static let json = FuzzTarget(
        name: "json", maximumCount: 4096,
        seeds: texts(
            #"{"a": [1, -2.5e-3, {"b": "\u00e9\ud83d\ude00\n"}], "c": null, "d": [true, false]}"#,
            "[NaN, -Infinity, 1e400, 9223372036854775808, -0]", "[[[[[[[[]]]]]]]]", "\"\\ud800\""),
        words: ["NaN", "Infinity", "-Infinity", "true", "false", "null", "\\u", "\\ud83d", "\\ude00", "\":", "1e308"],
        sources: ["FinetuneFiles/Text/JSON+Reading.swift", "FinetuneFiles/Text/JSON.swift"],
        errors: [JSON.SyntaxError.self]
    ) { input in
        let text = try JSON(parsing: input).text
        try require(JSON(parsing: text).text == text, "written JSON is read differently")
        try require(JSON(parsing: JSON(parsing: text).prettyText).text == text, "pretty JSON is read differently")
    }

    private static let csv = FuzzTarget(
        name: "csv", maximumCount: 2048,
        seeds: texts(
            "path,label,split,group\na.jpg,cat,train,1\n\"b,\"\"c.jpg\",dog,val,\n",
            "\u{FEFF}path,label\r\nx,\"two\nlines\"",
            "label,path,path\n,,\n"),
        words: ["path", "label", "split", "group", "train", "val", "test", "\"\"", "\r\n", "\u{FEFF}"],
        sources: ["FinetuneFiles/Text/CSV.swift", "FinetuneDatasets/Sources/TableSource.swift"],
        errors: [FileError.self, DatasetError.self]
    ) { input in
        let table = try CSV(parsing: input, name: "table.csv")
        var text = CSV.line(table.columns)
        // A mark at the start is taken off once.
        if text.unicodeScalars.first == "\u{FEFF}" { text = "\u{FEFF}" + text }
        for row in table.rows { text += CSV.line(row.fields) }
        let again = try CSV(parsing: Array(text.utf8), name: "table.csv")
        try require(again.columns == table.columns, "written columns are read differently")
        try require(again.rows.map(\.fields) == table.rows.map(\.fields), "written rows are read differently")
        let path = Path.join(scratchFolder, "table.csv")
        try write(input, to: path)
        _ = try ImageDataset(path)
    }

    private static let npy = FuzzTarget(
        name: "npy", maximumCount: 1024, fixtures: [".npy"],
        words: [
            "'descr'", "'fortran_order'", "'shape'", "True", "False", "'<f4'", "'>f8'", "'|u1'", "'<i8'", "'<f2'",
            "()", "(2,)", "9223372036854775807", "4294967296",
        ],
        sources: ["FinetuneFiles/NumpyArray.swift"], errors: [FileError.self]
    ) { input in try check(NumpyArray(parsing: input, name: "array.npy")) }

    private static let zip = FuzzTarget(
        name: "zip", maximumCount: 2048, fixtures: [".npz"],
        seeds: [zipped(["set/cat/a.pgm": greyPixel, "set/dog/b.pgm": greyPixel, "__MACOSX/._a": [1]])],
        words: archiveWords,
        sources: [
            "FinetuneFiles/Archives/ZipArchive.swift", "FinetuneFiles/Archives/Zlib.swift",
            "FinetuneFiles/Archives/ArchiveTree.swift",
        ],
        errors: [FileError.self, DatasetError.self, PictureError.self]
    ) { input in
        let archive = try ZipArchive(input, name: "archive.zip")
        for member in archive.members {
            guard let content = try? archive.content(of: member) else { continue }
            try require(content.count == member.byteCount, "a member has another size than it says")
        }
        let path = Path.join(scratchFolder, "archive.zip")
        try write(input, to: path)
        try check(ImageDataset(path))
    }

    /// Headers get the checksum of their bytes, so that damage reaches what is behind it.
    private static let tar = FuzzTarget(
        name: "tar", maximumCount: 8192,
        seeds: [
            tarred([("cat/", "5", "", []), ("cat/a.pgm", "0", "", greyPixel), ("dog/b.pgm", "2", "../cat/a.pgm", [])]),
            tarred([
                ("x", "x", "", Array("21 path=cat/long.pgm\n".utf8)), ("cat/a", "0", "", greyPixel),
                ("././@LongLink", "L", "", Array("dog/long.pgm\0".utf8)), ("dog/b", "1", "cat/long.pgm", []),
            ]),
        ],
        words: ["ustar", "././@LongLink", "path=", "linkpath=", "size=", "GNU.sparse", "../", "cat/", ".pgm"],
        sources: ["FinetuneFiles/Archives/TarArchive.swift", "FinetuneFiles/Archives/ArchiveTree.swift"],
        errors: [FileError.self, DatasetError.self, PictureError.self]
    ) { input in
        let path = Path.join(scratchFolder, "archive.tar")
        try write(withTarChecksums(input), to: path)
        try check(ImageDataset(path))
    }

    private static let npz = FuzzTarget(
        name: "npz", maximumCount: 4096, fixtures: [".npz"],
        seeds: [
            zipped(["images.npy": array("|u1", [2, 1, 2, 3], 12), "labels.npy": array("<i8", [2], 16)]),
            zipped(["inputs.npy": array("<f4", [2, 1, 2, 1], 16)]),
            zipped([
                "train_images.npy": array("|u1", [1, 2, 2], 4), "train_labels.npy": array("|u1", [1, 1], 1),
                "test_images.npy": array("|u1", [1, 1, 1, 4], 4),
            ]),
        ],
        words: archiveWords + ["images.npy", "labels.npy", "inputs.npy", "train_", "val_", "test_", "'|u1'"],
        sources: [
            "FinetuneFiles/Archives/ZipArchive.swift", "FinetuneFiles/NumpyArray.swift",
            "FinetuneDatasets/Sources/ArraySources.swift",
        ],
        errors: [FileError.self, DatasetError.self]
    ) { input in
        let archive = try ZipArchive(input, name: "archive.npz")
        for member in archive.members {
            guard let array = try? NumpyArray(parsing: archive.content(of: member), name: member.name) else { continue }
            try check(array)
        }
        let path = Path.join(scratchFolder, "archive.npz")
        try write(input, to: path)
        try check(ImageDataset(path))
    }

    private static let gzip = FuzzTarget(
        name: "gzip", maximumCount: 1024,
        seeds: [
            // "finetune finetune finetune", by gzip -n.
            [
                0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0x4B, 0xCB, 0xCC, 0x4B, 0x2D, 0x29, 0xCD, 0x4B, 0x55, 0x48, 0x43,
                0x67, 0x00, 0x00, 0x6B, 0x60, 0xF7, 0xAE, 0x1A, 0, 0, 0,
            ]
        ],
        sources: ["FinetuneFiles/Archives/Zlib.swift"], errors: [FileError.self]
    ) { input in
        let content = try Gzip.inflated(input, name: "file.gz") { _ in 1 << 20 }
        try require(content.count <= 1 << 20, "the limit was passed")
    }

    /// The length of the images' file as two bytes, the images, the labels.
    private static let idx = FuzzTarget(
        name: "idx", maximumCount: 512,
        seeds: [
            [20, 0, 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4] + [0, 0, 8, 1, 0, 0, 0, 2, 1, 0],
            [16, 0, 0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255] + [0, 0, 8, 1, 0, 0, 0, 0],
        ],
        sources: ["FinetuneDatasets/Sources/ArraySources.swift"], errors: [FileError.self, DatasetError.self]
    ) { input in
        var reader = ByteReader(input)
        let count = min(Int(reader.number(UInt16.self) ?? 0), input.count - reader.position)
        let images = reader.take(count) ?? []
        let folder = Path.join(scratchFolder, "idx")
        try FileSystem.makeDirectory(folder)
        try write(Array(images), to: Path.join(folder, "train-images-idx3-ubyte"))
        try write(Array(input[reader.position...]), to: Path.join(folder, "train-labels-idx1-ubyte"))
        try check(ImageDataset(folder))
    }

    private static let recipe = FuzzTarget(
        name: "recipe", maximumCount: 1024,
        seeds: texts(
            InputRecipe(height: 32, width: 224, pixels: .torch).json.text,
            #"{"size": 64, "channels": 1, "std": 0.5, "crop": 0.875, "exif": "ignore"}"#,
            #"{"antialias": false, "rules": "keras", "fill": [1, 2, 255], "fit": "unscaled"}"#),
        words: keys([
            "size", "channels", "order", "scale", "mean", "std", "interpolation", "fit", "crop", "exif", "rgb", "bgr",
            "nearest", "bicubic", "squash", "pad", "upright", "ignore", "antialias", "rules", "fill", "unscaled",
            "torchvision", "timm", "transformers", "keras", "lanczos",
        ]),
        sources: ["FinetuneCheckpoints/Network+JSON.swift"], errors: [JSON.SyntaxError.self, JSONDecodingError.self]
    ) { input in
        let recipe = try InputRecipe(json: JSON(parsing: input))
        let again = try InputRecipe(json: JSON(parsing: recipe.json.text))
        try require((again.height, again.width) == (recipe.height, recipe.width), "a written size is read differently")
        try require(
            (again.fit, again.rules, again.antialias) == (recipe.fit, recipe.rules, recipe.antialias)
                && again.fill == recipe.fill, "a written geometry is read differently")
        try require(again.mean == recipe.mean && again.scale == recipe.scale, "written numbers are read differently")
        try require(again.standardDeviation == recipe.standardDeviation, "written numbers are read differently")
        try require(
            abs(again.resizeRatio - recipe.resizeRatio) < 1e-9 * recipe.resizeRatio, "the crop is read differently")
    }

    private static let network = FuzzTarget(
        name: "network", maximumCount: 4096, seeds: networks, words: networkWords,
        sources: ["FinetuneCheckpoints/Network+JSON.swift"], errors: [JSON.SyntaxError.self, JSONDecodingError.self]
    ) { input in
        let network = try Network(json: JSON(parsing: input))
        try require(Network(json: JSON(parsing: network.json.text)) == network, "a written network is read differently")
        try require(network.tensors.allSatisfy { !$0.spec.shape.contains { $0 < 1 } }, "a tensor without numbers")
    }

    /// Networks that came through their reader, given weights of ones and one image.
    private static let engine = FuzzTarget(
        name: "engine", maximumCount: 2048, seeds: networks, words: networkWords,
        sources: ["FinetuneEngine/Graph/Lowering.swift", "FinetuneEngine/Programs/CompiledProgram.swift"],
        errors: [JSON.SyntaxError.self, JSONDecodingError.self, EngineError.self]
    ) { input in
        let network = try Network(json: JSON(parsing: input))
        var weights: Weights = [:]
        for (name, spec) in network.tensors {
            // A file of this size would have to hold them.
            guard spec.shape.reduce(1.0, { $0 * Double($1) }) < 4096 else { return }
            weights[name] = Tensor(shape: spec.shape, repeating: 1)
        }
        // What takes more is refused by the machine's memory, of which a run has less.
        guard network.nodes.allSatisfy({ $0.operation.padding < 100 }), network.inputChannels < 1000 else { return }
        let side = 12
        let program = try CompiledProgram(
            Lowering(network, weights, output: network.nodes[network.nodes.count - 1].name),
            input: ImageBatchShape(batch: 1, channels: network.inputChannels, height: side, width: side),
            precision: .fp32, sharing: PackedConstants())
        let image = Tensor(shape: [side, side, network.inputChannels], repeating: 1)
        let count = try image.withUnsafeBufferPointer { image in
            try image.baseAddress.map { try program.run($0).count }
        }
        try require(count == program.outputShape.reduce(1, *), "a result of another size")
    }

    // MARK: Checks

    private static func check(_ array: NumpyArray) throws {
        try require(array.floats.count == array.count && array.integers.count == array.count, "numbers are missing")
    }

    private static func check(_ dataset: ImageDataset) throws {
        for (index, item) in dataset.items.enumerated().prefix(1000) {
            try require(item.label.map(dataset.classes.indices.contains) ?? true, "a label without a class")
            if case .picture(let picture) = try dataset.content(of: index) {
                try require(
                    picture.bytes.count == picture.width * picture.height * picture.channels, "a misshapen picture")
            }
        }
    }

    // MARK: Seeds

    static func texts(_ texts: String...) -> [[UInt8]] { texts.map { Array($0.utf8) } }

    static func keys(_ words: [String]) -> [String] { words.map { "\"\($0)\"" } }

    static let archiveWords = ["PK\u{1}\u{2}", "PK\u{3}\u{4}", "PK\u{5}\u{6}", "PK\u{6}\u{6}", "PK\u{6}\u{7}"]

    private static func array(_ type: String, _ shape: [Int], _ count: Int) -> [UInt8] {
        NumpyArray.header(type, shape: shape) + [UInt8](repeating: 1, count: count)
    }

    /// An archive as `ZipWriter` writes it, with the wide sizes that the fixtures lack.
    private static func zipped(_ members: KeyValuePairs<String, [UInt8]>) -> [UInt8] {
        let path = Path.join(scratchFolder, "seed.npz")
        do {
            var writer = try ZipWriter(path)
            for (name, content) in members {
                try writer.begin(name)
                try writer.write(content)
            }
            try writer.commit()
            return try FileSystem.read(path)
        } catch {
            fatalError("cannot make a seed: \(error)")
        }
    }

    private static let greyPixel = Array("P5 1 1 255 a".utf8)

    /// A tar archive of members with a name, a type, where a link leads, and the content.
    private static func tarred(_ members: [(name: String, type: String, target: String, content: [UInt8])]) -> [UInt8] {
        withTarChecksums(
            members.flatMap { member in
                var block = [UInt8](repeating: 0, count: 512)
                let size = String(member.content.count, radix: 8)
                for (place, text) in [
                    (0, member.name), (124, size), (156, member.type), (157, member.target), (257, "ustar"),
                ] {
                    block.replaceSubrange(place..<place + text.utf8.count, with: Array(text.utf8))
                }
                return block + member.content + [UInt8](repeating: 0, count: (512 - member.content.count % 512) % 512)
            })
    }

    /// A copy in which every block with the mark of a header has the right checksum.
    private static func withTarChecksums(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for start in stride(from: 0, to: bytes.count - 511, by: 512)
        where bytes[start + 257..<start + 262].elementsEqual(Array("ustar".utf8)) {
            let others = bytes[start..<start + 148] + bytes[start + 156..<start + 512]
            let digits = String(others.reduce(8 * 0x20) { $0 + Int($1) }, radix: 8)
            let field = String(repeating: "0", count: 6 - digits.count) + digits + "\0 "
            bytes.replaceSubrange(start + 148..<start + 156, with: Array(field.utf8))
        }
        return bytes
    }

    static let networks: [[UInt8]] = texts(
        Network(
            name: "n", inputChannels: 3,
            nodes: [
                Node(
                    "a", stage: "stem",
                    .convolution(
                        Convolution(channels: 3, filters: 4, window: .square(3, padding: 1), hasBias: true)),
                    inputs: [Node.image]),
                Node(
                    "b", stage: "stem",
                    .batchNormalization(BatchNormalization(channels: 4, epsilon: 1e-5, statisticsKept: 0.9)),
                    inputs: ["a"]),
                Node("c", stage: "stage1", .activation(.relu), inputs: ["b"]),
                Node("d", stage: "stage1", .addition, inputs: ["b", "c"]),
                Node("e", stage: "stage1", .maxPooling(Window(2, 3, padding: .same)), inputs: ["d"]),
                Node("f", stage: "pooled", .globalAveragePooling, inputs: ["e"]),
                Node("g", stage: "head", .dense(inputs: 4, outputs: 2, hasBias: true), inputs: ["f"]),
            ]
        ).json.text,
        Network(
            name: "m", inputChannels: 1,
            nodes: [
                Node("a", stage: "stem", .zeroPadding(.all(2)), inputs: [Node.image]),
                Node("b", stage: "stem", .averagePooling(.square(2), countsPadding: true), inputs: ["a"]),
                Node("c", stage: "stem", .subsampling(step: 2), inputs: ["b"]),
                Node("d", stage: "stem", .channelPadding(before: 1, after: 1), inputs: ["c"]),
                Node("e", stage: "pooled", .flatten, inputs: ["d"]),
            ]
        ).json.text,
        // A gate, as squeeze-and-excitation has one.
        Network(
            name: "g", inputChannels: 4,
            nodes: [
                Node("a", stage: "stem", .globalAveragePooling, inputs: [Node.image]),
                Node("b", stage: "stem", .dense(inputs: 4, outputs: 4, hasBias: false), inputs: ["a"]),
                Node("c", stage: "stem", .activation(.sigmoid), inputs: ["b"]),
                Node("d", stage: "stem", .channelScaling, inputs: [Node.image, "c"]),
                Node("e", stage: "pooled", .globalAveragePooling, inputs: ["d"]),
                Node("f", stage: "head", .rowNormalization, inputs: ["e"]),
            ]
        ).json.text)

    static let networkWords =
        keys(
            [
                "name", "stage", "inputs", "operation", "channels", "filters", "groups", "bias", "window", "epsilon",
                "convolution", "batch_normalization", "statistics_kept", "activation", "function", "relu", "addition",
                "max_pooling", "average_pooling", "counts_padding", "global_average_pooling", "zero_padding", "edges",
                "subsampling", "step", "channel_padding", "before", "after", "flatten", "dense", "outputs", "height",
                "width", "stride", "dilation", "padding", "same", "image", "input_channels", "nodes", "channel_scaling",
                "row_normalization", "unbiased_variance",
            ] + Activation.allCases.map(\.rawValue)) + ["1000000", "10000", "4096"]
}

extension FinetuneEngine.Operation {
    /// The largest padding on one side.
    fileprivate var padding: Int {
        let padding: Padding
        switch self {
        case .convolution(let convolution): padding = convolution.window.padding
        case .maxPooling(let window), .averagePooling(let window, _): padding = window.padding
        case .zeroPadding(let edges): padding = .edges(edges)
        case .batchNormalization, .activation, .addition, .channelScaling, .globalAveragePooling, .subsampling,
            .channelPadding, .flatten, .rowNormalization, .dense:
            return 0
        }
        guard case .edges(let edges) = padding else { return 0 }
        return max(edges.top, edges.left, edges.bottom, edges.right)
    }
}
