// Labelled images, wherever they are: what each is called, which class and split it belongs to, where its bytes are.

package import FinetuneFiles

/// A list of images with their classes.
package struct ImageDataset: Sendable {
    package struct Item: Sendable {
        /// How people know it: a path, or an array's name and index. Made when it is asked for, because there may be
        /// millions: the names of files alone are mostly short enough to lie in their item.
        package var name: String { origin.name(of: place).withoutStandIns }
        /// Index into `classes`; nil where it is unknown.
        package var label: Int? {
            get { knownLabel < 0 ? nil : Int(knownLabel) }
            set { knownLabel = newValue.map { Int32($0) } ?? -1 }
        }
        /// What must not be in more than one split: an animal, a patient, a camera.
        package var group: String? { origin.group }
        // In this order, and with small parts, an item has 32 bytes.
        /// A file's path below its folder, or its number in an array.
        fileprivate let place: String
        fileprivate var origin: Origin
        private var knownLabel: Int32 = -1
        /// The split that the data set itself assigns.
        package var part: Split.Part?

        /// - Parameter place: A file's path below the folder of its origin, or its number in the array.
        init(_ place: String, of origin: Origin, label: Int? = nil, part: Split.Part? = nil) {
            (self.place, self.origin, self.part) = (place, origin, part)
            self.label = label
        }

        fileprivate var number: Int {
            guard let number = Int(place) else { preconditionFailure("'\(name)' is no element of an array") }
            return number
        }
    }

    /// What many items have in common: where they are, and their group.
    final class Origin: Sendable {
        enum Source: Sendable {
            /// Files in a folder of a tree; in its root if the folder is empty.
            case files(any FileTree, folder: String)
            case pixels(PixelArray, name: String)
            case numbers(NumberArray, name: String)
        }

        let source: Source
        let group: String?

        init(_ source: Source, group: String? = nil) { (self.source, self.group) = (source, group) }

        func name(of place: String) -> String {
            switch source {
            case .files(_, let folder): folder.isEmpty ? place : "\(folder)/\(place)"
            case .pixels(_, let name), .numbers(_, let name): "\(name)[\(place)]"
            }
        }
    }

    /// What an item holds.
    package enum Content: Sendable {
        /// A picture file's bytes.
        case encoded([UInt8])
        case picture(Picture)
        /// What the network reads, untouched: `[height, width, channels]`.
        case numbers([Float])
    }

    /// The path that the user gave.
    package let path: String
    package private(set) var classes: [String]
    package private(set) var items: [Item]
    /// The shape of every item where they are `inputs`, ready for the network: `[height, width, channels]`.
    package let inputShape: [Int]?
    /// What was odd about where the images lie: files and folders that were passed over.
    package private(set) var remarks: [Finding] = []
    /// Why there are no classes, and what was probably meant, if the place of the images says so.
    package let noClasses: String?
    /// Why nothing can be learnt from the images, if that is known already; features can be computed all the same.
    package let obstacle: String?

    init(
        path: String, classes: [String], items: [Item], inputShape: [Int]? = nil, remarks: [Finding] = [],
        noClasses: String? = nil, obstacle: String? = nil
    ) {
        self.path = path
        self.classes = classes
        self.items = items
        self.inputShape = inputShape
        self.remarks = remarks
        self.noClasses = noClasses
        self.obstacle = obstacle
    }

    /// Finds the images at `path`: class folders, `train/` and `val/` above them, an archive of these, a table, an
    /// `.npz`, MNIST's IDX files, a folder without labels, or one picture.
    ///
    /// - Throws: `DatasetError` or `FileError`.
    package init(_ path: String) throws {
        guard let kind = FileSystem.kind(of: path) else {
            if let obstacle = FileSystem.obstacle(to: path) { throw obstacle }
            throw DatasetError.missing(path)
        }
        guard kind != .other else {
            throw DatasetError.unusable(
                path,
                "it is a pipe or a device; a folder of images, a CSV, an .npz or a folder of IDX files was expected.")
        }
        if kind == .directory {
            self = try IDXSource.matches(path) ? IDXSource.read(path) : FolderSource.read(path)
        } else {
            switch try FileRole(of: path) {
            case .table: self = try TableSource.read(path)
            case .arrays: self = try NpzSource.read(path)
            case .archive(let archive): self = try archive.read(path)
            case .picture: self.init(files: [path], at: path)
            }
        }
        guard !items.isEmpty else {
            throw DatasetError.unusable(path, "it holds no images. Expected a folder of pictures for each class.")
        }
        ProcessMemory.giveBack()
    }

    /// Pictures by path, without labels.
    package init(files: [String]) { self.init(files: files, at: "") }

    private init(files: [String], at path: String) {
        let origin = Origin(.files(FolderTree(""), folder: ""))
        self.init(path: path, classes: [], items: files.map { Item($0, of: origin) })
    }

    /// The pictures in a folder and below it, whatever its folders mean, and what was passed over.
    package static func pictures(below folder: String) throws -> (paths: [String], remarks: [Finding]) {
        var walk = PictureWalk(FolderTree(folder))
        let root = try walk.root()
        var others: [String] = []
        root.visit { inner in others += inner.others }
        let passedOver = others.isEmpty ? [] : [Finding(.notPicture, others, LayoutMessages.passedOver(others))]
        return (root.places.map { Path.join(folder, $0) }, walk.remarks + passedOver)
    }

    package func content(of index: Int) throws -> Content {
        let item = items[index]
        switch item.origin.source {
        case .files(let tree, _):
            return .encoded(try tree.content(of: item.origin.name(of: item.place), atMost: Picture.byteLimit))
        case .pixels(let array, _): return .picture(array.picture(item.number))
        case .numbers(let array, _): return .numbers(array.numbers(item.number))
        }
    }

    /// The hash that stands for an item's content: of the file's bytes, the pixels or the numbers.
    package static func hash(of content: Content) -> ContentHash {
        switch content {
        case .encoded(let bytes): ContentHash(of: bytes)
        case .picture(let picture): ContentHash(of: picture.bytes)
        case .numbers(let numbers): ContentHash(of: numbers.span.bytes)
        }
    }

    // MARK: Choosing among the items

    /// The data set with only these items, in their order.
    package func selecting(_ indices: [Int]) -> ImageDataset {
        ImageDataset(
            path: path, classes: classes, items: indices.map { items[$0] }, inputShape: inputShape, remarks: remarks,
            noClasses: noClasses, obstacle: obstacle)
    }

    /// The data set with further remarks.
    func adding(remarks: [Finding]) -> ImageDataset {
        var result = self
        result.remarks += remarks
        return result
    }

    /// The data set without the rows of a table that have no label, which a finding names.
    package var labelled: ImageDataset {
        guard !classes.isEmpty, remarks.contains(where: { $0.kind == .unlabelledRow }) else { return self }
        return selecting(items.indices.filter { items[$0].label != nil })
    }

    /// The splits into which the data set itself divides its images, those that are left for training among them.
    package var ownParts: [Split.Part] {
        let parts = Set(items.compactMap(\.part))
        return parts.isEmpty ? [] : Split.Part.allCases.filter { $0 == .train || parts.contains($0) }
    }

    /// Keeps `count` training images, the first ones or a stratified sample; validation and test images all stay.
    package func limited(to limit: Limit, seed: UInt64) -> ImageDataset {
        let training = items.indices.filter { items[$0].part == nil || items[$0].part == .train }
        guard training.count > limit.count else { return self }
        var kept: Set<Int>
        if limit.isStratified {
            // Each class in an order of its own, all classes advancing at the same relative pace.
            var ranked: [(place: Double, index: Int)] = []
            for (_, members) in Dictionary(grouping: training, by: { items[$0].label ?? -1 }) {
                let shuffled = members.sorted { order($0, seed) < order($1, seed) }
                for (rank, index) in shuffled.enumerated() {
                    ranked.append(((Double(rank) + 0.5) / Double(shuffled.count), index))
                }
            }
            ranked.sort { ($0.place, $0.index) < ($1.place, $1.index) }
            kept = Set(ranked.prefix(limit.count).map(\.index))
        } else {
            kept = Set(training.prefix(limit.count))
        }
        kept.formUnion(items.indices.filter { items[$0].part == .validation || items[$0].part == .test })
        return selecting(items.indices.filter(kept.contains))
    }

    private func order(_ index: Int, _ seed: UInt64) -> Double {
        ContentHash(of: items[index].name, key: seed).unitInterval
    }

    /// Names the group of every item by a part of its name.
    ///
    /// - Parameter pattern: A regular expression; its first capture, or the whole match, is the group.
    /// - Throws: `DatasetError` for a pattern that is no expression or that an item does not match.
    package func grouped(by pattern: String) throws -> ImageDataset {
        guard let expression = try? Regex(pattern) else {
            throw DatasetError.unusable(path, "'\(pattern)' after --group-by is no regular expression.")
        }
        var result = self
        var origins: [ObjectIdentifier: [String: Origin]] = [:]
        for index in items.indices {
            guard let match = items[index].name.firstMatch(of: expression) else {
                throw DatasetError.unusable(
                    path,
                    "'\(items[index].name)' does not match the --group-by pattern '\(pattern)', so its group is unknown."
                )
            }
            let captured = match.output.count > 1 ? match.output[1].substring : match.output[0].substring
            let group = captured.map(String.init) ?? ""
            let old = items[index].origin
            let origin = origins[ObjectIdentifier(old)]?[group] ?? Origin(old.source, group: group)
            origins[ObjectIdentifier(old), default: [:]][group] = origin
            result.items[index].origin = origin
        }
        return result
    }

    /// Adds another data set's images as one split, its classes matched by name.
    package func adding(_ other: ImageDataset, as part: Split.Part) throws -> ImageDataset {
        var result = self
        let added = try other.relabelled(classes: classes)
        // What was not assigned learns.
        for index in items.indices where items[index].part == nil { result.items[index].part = .train }
        for var item in added.items {
            item.part = part
            result.items.append(item)
        }
        result.remarks += other.remarks
        return result
    }

    /// The same images with labels that index `classes`; classes are matched by name.
    ///
    /// - Throws: `DatasetError` that names a class which is not among them.
    package func relabelled(classes names: [String]) throws -> ImageDataset {
        let (result, unknown) = matching(names)
        if let first = unknown.first { throw unknownClass(first.name, names) }
        return result
    }

    /// The labelled images of classes that a model has, with labels that index them; classes are matched by name.
    ///
    /// - Returns: Also how many images each of the other classes has, and how many images have no label.
    /// - Throws: `DatasetError` if there are labels and the model has none of their classes.
    package func scorable(classes names: [String]) throws -> (
        dataset: ImageDataset, unknown: [(name: String, images: Int)], unlabelled: Int
    ) {
        let (result, unknown) = matching(names)
        let labelled = result.items.indices.filter { result.items[$0].label != nil }
        if labelled.isEmpty, let first = unknown.first { throw unknownClass(first.name, names) }
        let others = unknown.reduce(0) { $0 + $1.images }
        // Without any label the score itself says so.
        if labelled.isEmpty { return (result, [], 0) }
        return (result.selecting(labelled), unknown, items.count - labelled.count - others)
    }

    /// The images with labels that index other classes, nil for those of unknown classes, and how many these have.
    private func matching(_ names: [String]) -> (ImageDataset, unknown: [(name: String, images: Int)]) {
        guard classes != names else { return (self, []) }
        let place = Dictionary(names.enumerated().map { ($0.element, $0.offset) }) { first, _ in first }
        let counts = items.reduce(into: [:]) { counts, item in item.label.map { counts[$0, default: 0] += 1 } }
        let unknown = classes.indices.compactMap { label in
            place[classes[label]] == nil ? counts[label].map { (classes[label], $0) } : nil
        }
        var result = self
        result.classes = names
        for index in items.indices { result.items[index].label = items[index].label.flatMap { place[classes[$0]] } }
        return (result, unknown)
    }

    /// Names the class that an unknown one was probably meant for, as a sentence after a blank; empty if there is none.
    package static func likeness(of name: String, to names: [String]) -> String {
        let key = ClassNames.key(of: name)
        return names.first { ClassNames.key(of: $0) == key }.map { " It hardly differs from '\($0)': rename one." }
            ?? ""
    }

    private func unknownClass(_ name: String, _ names: [String]) -> DatasetError {
        DatasetError.unusable(
            path,
            "its class '\(name)' is not among the classes \(names.prefix(5).joined(separator: ", "))\(names.count > 5 ? ", …" : "").\(Self.likeness(of: name, to: names))"
        )
    }
}

extension ImageDataset {
    /// `--limit N` or `--limit N,stratified`.
    package struct Limit: Sendable, Equatable {
        package var count: Int
        package var isStratified: Bool

        package init(count: Int, isStratified: Bool) {
            self.count = count
            self.isStratified = isStratified
        }
    }
}

/// Images of one size in one block of bytes.
final class PixelArray: Sendable {
    private let bytes: [UInt8]
    private let (height, width, channels): (Int, Int, Int)
    private let offset: Int

    init(_ bytes: [UInt8], offset: Int = 0, height: Int, width: Int, channels: Int) {
        self.bytes = bytes
        self.offset = offset
        (self.height, self.width, self.channels) = (height, width, channels)
    }

    func picture(_ index: Int) -> Picture {
        let count = height * width * channels
        let pixels = bytes[offset + index * count..<offset + (index + 1) * count]
        guard channels == 4 else {
            return Picture(width: width, height: height, channels: channels, bytes: Array(pixels))
        }
        // Alpha is dropped, as it is from files.
        let colors = stride(from: pixels.startIndex, to: pixels.endIndex, by: 4).flatMap { pixels[$0..<$0 + 3] }
        return Picture(width: width, height: height, channels: 3, bytes: colors)
    }
}

/// Inputs of a network of one shape.
final class NumberArray: Sendable {
    private let values: [Float]
    private let count: Int

    init(_ values: [Float], count: Int) {
        self.values = values
        self.count = count
    }

    /// The first element with a number that is not finite; nil if there is none.
    var firstNotFinite: Int? { values.firstIndex { !$0.isFinite }.map { $0 / count } }

    func numbers(_ index: Int) -> [Float] { Array(values[index * count..<(index + 1) * count]) }
}
