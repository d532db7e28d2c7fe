// VGGs by their names: torchvision's `features.0` and `classifier.0`, timm's `pre_logits.fc1`, Keras' `block1_conv1`.

internal import FinetuneEngine
internal import FinetuneModels

enum VGGFamily: Family {
    static let name = "VGG"
    static let convolutionsHaveBias = true
    static let headModule = VGG.headName

    static func stateDictNames(in names: [String]) -> [String: any StateDictNames] {
        // PyTorch's example for ImageNet wraps the features alone in a `DataParallel`.
        let anchors = ["features.0.weight", "features.module.0.weight"]
        let prefixes = names.compactMap { name in
            anchors.first(where: name.hasSuffix).map { String(name.dropLast($0.count)) }
        }.filter { $0.isEmpty || $0.hasSuffix(".") }
        var found: [String: any StateDictNames] = [:]
        // Each costs a walk over all names, and a file with more networks than these is refused.
        for prefix in Set(prefixes).sorted().prefix(StateDictNetworks.maximumCount + 1) {
            found[prefix] = VGGStateDict(
                names.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) })
        }
        return found
    }

    static func verdict(onArchitecture name: String) -> ArchitectureVerdict {
        guard name.contains("vgg") else { return .other }
        if VGG.architectures.contains(String(name.prefix { $0 != "." })) { return .plain }
        return name.contains("repvgg")
            ? .refused(reason: "its blocks have other layers than a VGG's, and are not read") : .unknown
    }

    static func kerasNames(of layers: [String], areComplete: Bool) -> (any KerasNames)? {
        VGGKerasNames(layers, areComplete: areComplete)
    }
}

/// How a state dict names the layers of a VGG. Both torchvision and timm count the modules of `features`, where a ReLU and
/// a pooling have numbers and no tensors: the gaps tell where the poolings are.
struct VGGStateDict: StateDictNames {
    /// The numbers of the convolutions among the modules of `features`.
    private let convolutions: [Int]
    private let hasNormalization: Bool
    /// Whether layers between the last pooling and the head are known by their places.
    private let hasHidden: Bool
    /// Whether those layers are convolutions in the file.
    private let isTimm: Bool

    /// - Parameter fileNames: The network's names without its prefix.
    /// - Returns: Nil for those of another network that has `features`.
    init?(_ fileNames: [String]) {
        let names = fileNames.map(Self.withoutWrapper)
        var roles: [Int: Set<String>] = [:]
        for name in names where name.hasPrefix("features.") {
            let parts = name.split(separator: ".")
            guard parts.count == 3, let place = Int(parts[1]), (0..<1000).contains(place) else { return nil }
            roles[place, default: []].insert(String(parts[2]))
        }
        let norms = roles.filter { $0.value.contains("running_mean") }.keys.sorted()
        convolutions = roles.keys.filter { !norms.contains($0) }.sorted()
        hasNormalization = !norms.isEmpty
        let step = hasNormalization ? 3 : 2
        let gaps = zip(convolutions.dropFirst(), convolutions).map { $0 - $1 }
        // After each convolution come its norm, if there are any, its ReLU and perhaps a pooling.
        guard convolutions.first == 0, convolutions.count > 2, gaps.count(where: { $0 > step }) < 8,
            gaps.allSatisfy({ $0 == step || $0 == step + 1 }),
            gaps.contains(step + 1), !hasNormalization || norms == convolutions.map({ $0 + 1 })
        else { return nil }
        let modules = Set(names.map(ListedHead.module(of:)).map { Self.timmNames[$0] ?? $0 })
        let dense = modules.filter { $0.hasPrefix("classifier.") }
        isTimm = names.contains { $0.hasPrefix("pre_logits.") }
        hasHidden =
            dense.isSuperset(of: VGG.hiddenNames)
            && dense.allSatisfy { VGG.hiddenNames.contains($0) || Self.isHead($0) }
    }

    var family: any Family.Type { VGGFamily.self }
    var library: String { "PyTorch" }

    // MARK: Names

    private static let timmNames = [
        "pre_logits.fc1": VGG.hiddenNames[0], "pre_logits.fc2": VGG.hiddenNames[1], "head.fc": VGG.headName,
    ]

    /// Whether a module stands in the place of the last layer; users put a `Sequential` there.
    private static func isHead(_ module: String) -> Bool {
        module == VGG.headName || module.hasPrefix(VGG.headName + ".")
    }

    private static func withoutWrapper(_ name: String) -> String {
        name.hasPrefix("features.module.") ? "features." + name.dropFirst("features.module.".count) : name
    }

    func canonical(_ fileName: String) -> String {
        let name = Self.withoutWrapper(fileName)
        let module = ListedHead.module(of: name)
        return (Self.timmNames[module] ?? module) + name.dropFirst(module.count)
    }

    func isTrunk(_ canonical: String) -> Bool {
        canonical.hasPrefix("features.") || (hasHidden && VGG.hiddenNames.contains(ListedHead.module(of: canonical)))
    }

    /// torchvision's first hidden layer is dense, on the pixels of the last pooling.
    func stored(_ tensor: Tensor, _ canonical: String) -> Tensor {
        guard VGG.hiddenNames.contains(ListedHead.module(of: canonical)), tensor.shape.count == 4 else { return tensor }
        return tensor.reshaped([tensor.shape[0], tensor.shape[1...].reduce(1, *)])
    }

    // MARK: The network

    func network(_ table: inout TensorTable, _ head: inout ListedHead, _ graph: PublishedGraph, path: String) throws
        -> FoundNetwork
    {
        var blocks: [[Int]] = [[]]
        for (index, place) in convolutions.enumerated() {
            let name = "features.\(place)"
            let shape = table.shape("\(name).weight")
            guard shape.map({ $0.count == 4 && $0[2...] == [3, 3] }) ?? true else {
                throw CheckpointError.cannotLoad(
                    path,
                    "its layer '\(name)' has the shape \(shape ?? []), and all convolutions of a VGG are 3×3. Other networks with these names, such as AlexNet, are not read."
                )
            }
            let filters = shape?[0] ?? table.shape("\(name).bias")?.first
            blocks[blocks.count - 1].append(filters ?? blocks.last?.last ?? 64)
            let next = index + 1 < convolutions.count ? convolutions[index + 1] : place
            if next - place > (hasNormalization ? 3 : 2) { blocks.append([]) }
        }
        let channels = table.shape("features.0.weight")?[1] ?? 3
        let hidden = hasHidden ? makeHidden(&table, &head, channels: blocks.last?.last ?? 1) : nil
        let vgg = VGG(
            blocks: blocks, hasNormalization: hasNormalization,
            convolutionsHaveBias: table.entries["features.0.bias"] != nil, activation: graph.activation, hidden: hidden,
            inputChannels: channels)
        var found = FoundNetwork(
            design: vgg,
            convention: InputRecipe(
                height: vgg.imageSize ?? 224, width: vgg.imageSize ?? 224, channels: channels,
                pixels: .torch.spread(over: channels), resizeRatio: hidden?.side == 1 ? 1 : 256.0 / 224),
            conventionSource: "the convention of torchvision")
        let counts = blocks.map(\.count)
        if !VGG.isKnown(counts) {
            found.notes.append(
                "The network has \(counts) convolutions between its poolings, which is no VGG of the paper (11, 13, 16, 19). The file does not show strides, paddings and poolings; a VGG's are taken."
            )
        }
        if vgg.hidden?.side == 1 {
            found.notes.append(
                "The hidden layers read one pixel, so images of \(found.convention.height) pixels are taken, as of VGGs for CIFAR-10. If the network averages the pixels of larger images before its hidden layers, the features differ."
            )
        }
        if vgg.hidden == nil,
            !head.entries.contains(where: {
                $0.module.hasPrefix("classifier") && ($0.tensor?.shape.last ?? 0) > vgg.featureCount
            })
        {
            found.remarks.append(
                "Nothing in the file shows the size of the VGG's images; 224 pixels are taken. VGGs for CIFAR-10 want --size 32."
            )
        }
        return found
    }

    /// The layers between the last pooling and the head; nil where the user put other layers there, of which the file does
    /// not say what happens between them.
    private func makeHidden(_ table: inout TensorTable, _ head: inout ListedHead, channels: Int) -> VGG.Hidden? {
        let shapes = VGG.hiddenNames.map { table.shape("\($0).weight") }
        // In torchvision both are matrices, in timm convolutions; a segmentation network's have paddings and dilations.
        let isOwnKind = shapes.allSatisfy { shape in
            guard let shape else { return true }
            return isTimm ? shape.count == 4 && shape[2] == shape[3] : shape.count == 2
        }
        var reshaped = table
        let hidden = reshaped.hiddenLayers(channels: channels)
        let hasHead = head.entries.contains { Self.isHead($0.module) }
        if isOwnKind, hasHead || hidden.widths[0] == hidden.widths[1] {
            table = reshaped
            return hidden
        }
        for (name, entry) in table.remove(where: { VGG.hiddenNames.contains(ListedHead.module(of: $0)) }) {
            head.add(.init(name: name, fileName: entry.fileName, tensor: entry.tensor, problem: entry.problem))
        }
        return nil
    }
}

extension TensorTable {
    /// The layers between a VGG's last pooling and its head. The first becomes a convolution over the pixels that it reads,
    /// the second one over a single pixel; one that is missing or does not fit is left for the account of all tensors.
    ///
    /// - Parameters:
    ///   - channels: Those of the last pooling.
    ///   - isChannelsLast: Whether the first reads pixel by pixel, each with its channels, as Keras flattens.
    fileprivate mutating func hiddenLayers(channels: Int, isChannelsLast: Bool = false) -> VGG.Hidden {
        let names = VGG.hiddenNames.map { "\($0).weight" }
        let widths = VGG.hiddenNames.map { shape("\($0).weight")?.first ?? shape("\($0).bias")?.first ?? 1 }
        let sizes = (shape(names[0]) ?? []).dropFirst()
        let inputs = sizes.allSatisfy { (1...1 << 20).contains($0) } ? sizes.reduce(1, *) : 0
        // No VGG's images have more than 64 pixels after the last pooling.
        let side = min(max(Int(Double(inputs / max(channels, 1)).squareRoot().rounded()), 1), 64)
        if inputs == channels * side * side {
            if isChannelsLast {
                reshape(names[0], [widths[0], side, side, channels])
                transpose(names[0], [0, 3, 1, 2])
            } else {
                reshape(names[0], [widths[0], channels, side, side])
            }
        }
        if let second = shape(names[1]), second.count == 2 { reshape(names[1], second + [1, 1]) }
        return VGG.Hidden(side: side, widths: widths)
    }
}

/// keras.applications' names of VGG's layers: `block1_conv1`, and `fc1` and `fc2` after a flattening.
struct VGGKerasNames: KerasNames {
    /// Convolutions in each block.
    private let blocks: [Int]
    private static let hidden = ["fc1", "fc2"]

    init?(_ layers: [String], areComplete: Bool) {
        var blocks: [Int] = []
        for layer in layers {
            guard let (block, number) = Self.place(layer) else { continue }
            while blocks.count < block { blocks.append(0) }
            blocks[block - 1] = max(blocks[block - 1], number)
        }
        guard !blocks.isEmpty, !blocks.contains(0), !areComplete || layers.contains("block1_conv1") else { return nil }
        self.blocks = blocks
    }

    /// The block and the number in it, both from 1.
    private static func place(_ layer: String) -> (block: Int, number: Int)? {
        let parts = layer.split(separator: "_")
        guard parts.count == 2, parts[0].hasPrefix("block"), parts[1].hasPrefix("conv"),
            let block = Int(parts[0].dropFirst(5)), let number = Int(parts[1].dropFirst(4)), (1...8).contains(block),
            (1...16).contains(number)
        else { return nil }
        return (block, number)
    }

    /// Each convolution has a ReLU after it and each block a pooling, which count among torchvision's modules.
    func module(layer: String) -> String? {
        if let index = Self.hidden.firstIndex(of: layer) { return VGG.hiddenNames[index] }
        guard let (block, number) = Self.place(layer), block <= blocks.count else { return nil }
        let before = blocks[..<(block - 1)].reduce(0) { $0 + 2 * $1 + 1 }
        return "features.\(before + 2 * (number - 1))"
    }

    func layer(module: String) -> String? {
        if let index = VGG.hiddenNames.firstIndex(of: module) { return Self.hidden[index] }
        for (block, count) in blocks.enumerated() {
            for number in 1...count {
                let layer = "block\(block + 1)_conv\(number)"
                if self.module(layer: layer) == module { return layer }
            }
        }
        return nil
    }

    func network(_ table: inout TensorTable, _ head: inout ListedHead, path: String) throws -> any NetworkDesign {
        let filters = blocks.enumerated().map { block, count in
            (1...count).map { number in
                let name = module(layer: "block\(block + 1)_conv\(number)") ?? ""
                return table.shape("\(name).weight")?.first ?? table.shape("\(name).bias")?.first ?? 0
            }
        }
        let channels = table.shape("features.0.weight")?.dropFirst().first ?? 3
        let hasHidden = table.entries.keys.contains { VGG.hiddenNames.contains(ListedHead.module(of: $0)) }
        let hidden = hasHidden ? table.hiddenLayers(channels: filters.last?.last ?? 1, isChannelsLast: true) : nil
        // Batch norms and the like, which keras.applications' VGGs have not: a whole model says where they stand.
        table.strangers += head.entries.filter { $0.name.hasPrefix("block") }.map(\.fileName)
        return VGG(blocks: filters, hasNormalization: false, hidden: hidden, inputChannels: channels)
    }

    /// `load_img` squashes, `preprocess_input` is of the caffe kind.
    func recipe(size: ImageSize?) -> (InputRecipe, source: String) {
        let size = size ?? ImageSize(height: 224, width: 224)
        return (
            InputRecipe(height: size.height, width: size.width, pixels: .caffe, fit: .squash),
            "the convention of keras.applications' VGG (caffe)"
        )
    }
}
