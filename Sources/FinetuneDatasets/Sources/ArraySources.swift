// Data sets in arrays: NumPy archives, and MNIST's IDX files (LeCun's description).

internal import FinetuneFiles

/// `.npz`: `images` with `labels`, MedMNIST's `train_images` …, or `inputs`.
enum NpzSource {
    static func read(_ path: String) throws -> ImageDataset {
        let archive = try ZipArchive(FileSystem.read(path), name: path)
        func array(_ name: String) throws -> NumpyArray? {
            guard let member = archive.member("\(name).npy") else { return nil }
            return try NumpyArray(parsing: archive.content(of: member), name: "\(path):\(name)")
        }
        func labels(_ name: String, count: Int) throws -> [Int?] {
            guard let array = try array(name) else { return Array(repeating: nil, count: count) }
            guard array.count == count else {
                throw DatasetError.unusable(path, "'\(name)' has \(array.count) values for \(count) images.")
            }
            return try array.integers.enumerated().map { index, label in
                guard let label else {
                    throw DatasetError.unusable(
                        path, "'\(name)[\(index)]' is \(array.floats[index]), a class's number from 0 up was expected.")
                }
                return label >= 0 ? label : nil
            }
        }
        if let inputs = try array("inputs") {
            let shape = inputs.shape
            guard shape.count == 4, !shape.contains(0), shape[3] <= 4096 else {
                throw DatasetError.unusable(
                    path, "'inputs' is \(shape), [images, height, width, channels] was expected.")
            }
            let numbers = NumberArray(inputs.floats, count: shape[1] * shape[2] * shape[3])
            if let index = numbers.firstNotFinite {
                throw DatasetError.unusable(
                    path, "'inputs[\(index)]' holds numbers that are not finite (NaN or infinity).")
            }
            return try named(
                path, try labels("labels", count: shape[0]), nil, .numbers(numbers, name: "inputs"),
                inputShape: Array(shape.dropFirst()))
        }
        var sets: [ImageDataset] = []
        for (prefix, part) in [("", nil), ("train_", Split.Part.train), ("val_", .validation), ("test_", .test)] {
            guard let images = try array("\(prefix)images") else { continue }
            let shape = images.shape.count == 3 ? images.shape + [1] : images.shape
            guard shape.count == 4, !shape.contains(0), [1, 3, 4].contains(shape[3]), images.element == .uint8 else {
                throw DatasetError.unusable(
                    path,
                    "'\(prefix)images' is \(images.shape) of \(images.element.rawValue), [images, height, width] or [images, height, width, 3] of uint8 was expected."
                )
            }
            let pixels = PixelArray(images.bytes, height: shape[1], width: shape[2], channels: shape[3])
            sets.append(
                try named(
                    path, try labels("\(prefix)labels", count: shape[0]), part,
                    .pixels(pixels, name: "\(prefix)images")))
        }
        guard let first = sets.first else {
            let names = archive.members.map(\.name).prefix(5).joined(separator: ", ")
            throw DatasetError.unusable(
                path, "it holds \(names), expected images and labels, train_images …, or inputs.")
        }
        let classes = sets.map(\.classes).max { $0.count < $1.count } ?? first.classes
        return ImageDataset(path: path, classes: classes, items: sets.flatMap(\.items))
    }

    /// Items of an array; class k is called by its number.
    static func named(
        _ path: String, _ labels: [Int?], _ part: Split.Part?, _ source: ImageDataset.Origin.Source,
        inputShape: [Int]? = nil
    ) throws -> ImageDataset {
        let origin = ImageDataset.Origin(source)
        if let index = labels.firstIndex(where: { $0 ?? 0 >= 100_000 }), let label = labels[index] {
            throw DatasetError.unusable(
                path,
                "'\(origin.name(of: String(index)))' has the label \(label), classes are numbered from 0 up.")
        }
        let count = (labels.compactMap(\.self).max() ?? -1) + 1
        let items = labels.enumerated().map { index, label in
            ImageDataset.Item(String(index), of: origin, label: label, part: part)
        }
        return ImageDataset(path: path, classes: (0..<count).map { String($0) }, items: items, inputShape: inputShape)
    }
}

/// `train-images-idx3-ubyte[.gz]` and its three companions in one folder.
enum IDXSource {
    private static let sets: [(prefix: String, part: Split.Part)] = [("train", .train), ("t10k", .test)]

    static func matches(_ path: String) -> Bool { file(path, "train-images-idx3-ubyte") != nil }

    static func read(_ path: String) throws -> ImageDataset {
        var items: [ImageDataset.Item] = []
        var classes: [String] = []
        for (prefix, part) in sets {
            let (imageName, labelName) = ("\(prefix)-images-idx3-ubyte", "\(prefix)-labels-idx1-ubyte")
            guard let imageFile = file(path, imageName) else { continue }
            guard let labelFile = file(path, labelName) else {
                throw DatasetError.unusable(path, "'\(labelName)' is missing beside '\(imageName)'.")
            }
            let images = try array(imageFile, dimensions: 3)
            let labels = try array(labelFile, dimensions: 1)
            guard images.shape[0] == labels.shape[0] else {
                throw DatasetError.unusable(
                    path, "it has \(images.shape[0]) \(prefix) images and \(labels.shape[0]) labels.")
            }
            let pixels = PixelArray(
                images.bytes, offset: images.offset, height: images.shape[1], width: images.shape[2], channels: 1)
            let numbers = labels.bytes[labels.offset...].prefix(labels.shape[0]).map { Optional(Int($0)) }
            let set = try NpzSource.named(path, numbers, part, .pixels(pixels, name: "\(prefix)-images"))
            items += set.items
            if set.classes.count > classes.count { classes = set.classes }
        }
        return ImageDataset(path: path, classes: classes, items: items)
    }

    private static func file(_ path: String, _ name: String) -> String? {
        [name, name + ".gz"].map { Path.join(path, $0) }.first { FileSystem.kind(of: $0) == .file }
    }

    /// The sizes in a header.
    private static func shape(_ bytes: [UInt8], _ dimensions: Int) -> [Int] {
        (0..<dimensions).map { dimension in
            (0..<4).reduce(0) { $0 << 8 | Int(bytes[4 + 4 * dimension + $1]) }
        }
    }

    /// An array of bytes: two zeros, the type 8, the number of dimensions, their big-endian sizes, the values.
    private static func array(_ path: String, dimensions: Int) throws -> (shape: [Int], bytes: [UInt8], offset: Int) {
        var bytes = try FileSystem.read(path)
        let offset = 4 + 4 * dimensions
        if path.hasSuffix(".gz") {
            bytes = try Gzip.inflated(bytes, name: path) { start in
                // A little file may hold billions of zeros: no more is unpacked than its header promises.
                guard start.count >= offset else { return offset }
                // Sizes have 32 bits each, so that the product of three may be too large for a whole number.
                let byteCount = Self.shape(start, dimensions).reduce(Double(offset)) { $0 * Double(max(1, $1)) }
                return Int(min(byteCount, Double(4 << 30)))
            }
        }
        guard bytes.count >= offset, bytes[0] == 0, bytes[1] == 0, bytes[2] == 8, Int(bytes[3]) == dimensions else {
            throw DatasetError.unusable(
                path, "it does not begin like an IDX file of bytes in \(dimensions) dimensions.")
        }
        let shape = Self.shape(bytes, dimensions)
        var count = 1
        for size in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard !overflow, size > 0 else {
                throw DatasetError.unusable(path, "it declares the impossible shape \(shape).")
            }
            count = product
        }
        guard bytes.count - offset >= count else {
            throw DatasetError.unusable(
                path, "it is cut short: \(count) bytes were declared and \(bytes.count - offset) are there.")
        }
        return (shape, bytes, offset)
    }
}
