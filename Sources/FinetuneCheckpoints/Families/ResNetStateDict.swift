// ResNets in state dicts: libraries call the same layers otherwise, and their names are brought to torchvision's.

internal import FinetuneEngine
internal import FinetuneModels

/// How a state dict names the layers of a ResNet.
enum ResNetStateDict: StateDictNames, Equatable {
    /// `layer1.0.conv1.weight`: torchvision, timm, OpenMMLab and most others.
    case torchvision
    /// `encoder.stages.0.layers.0.layer.0.convolution.weight`
    case transformers
    /// `4.0.conv1.weight`: the children of a network in a `Sequential`, whose first stage has that number.
    case children(firstStage: Int)

    /// The prefix and the naming that a tensor's name shows; nil for names that show none.
    ///
    /// - Parameter name: Dots between its parts.
    private static func anchor(in name: String) -> (prefix: String, names: ResNetStateDict)? {
        func prefix(before anchor: String) -> String? {
            guard let range = name.firstRange(of: anchor) else { return nil }
            let prefix = name[..<range.lowerBound]
            return prefix.isEmpty || prefix.last == "." ? String(prefix) : nil
        }
        if let prefix = prefix(before: "layer1.0.") { return (prefix, .torchvision) }
        if let prefix = prefix(before: "encoder.stages.0.layers.0.") {
            // The classifier stands beside `resnet.`, not inside it.
            let isInside = prefix == "resnet." || prefix.hasSuffix(".resnet.")
            return (isInside ? String(prefix.dropLast("resnet.".count)) : prefix, .transformers)
        }
        guard name.hasSuffix(".0.conv1.weight") else { return nil }
        let parts = name.dropLast(".0.conv1.weight".count).split(separator: ".", omittingEmptySubsequences: false)
        guard let stage = parts.last.flatMap({ Int($0) }), (2...8).contains(stage) else { return nil }
        return (parts.dropLast().map { "\($0)." }.joined(), .children(firstStage: stage))
    }

    /// torchvision's name for a name of the file without its prefix.
    func canonical(_ name: String) -> String {
        switch self {
        case .torchvision: Self.fromOthers(name)
        case .transformers: Self.fromTransformers(name)
        case .children(let first): Self.fromChildren(name, first)
        }
    }

    /// Older libraries call the squeeze-and-excitation `se_module`; OpenMMLab calls a deep stem `stem`.
    private static func fromOthers(_ name: String) -> String {
        var parts = name.split(separator: ".").map(String.init)
        if name.hasPrefix("layer") {
            return parts.map { $0 == "se_module" ? "se" : $0 }.joined(separator: ".")
        }
        if parts.count == 3, parts[0] == "stem", let number = Int(parts[1]) {
            if number == 7 { return "bn1.\(parts[2])" }
            parts[0] = "conv1"
            return parts.joined(separator: ".")
        }
        return name
    }

    /// `0` is the first convolution and `1` its batch norm; the stages follow each other.
    private static func fromChildren(_ name: String, _ first: Int) -> String {
        var parts = name.split(separator: ".").map(String.init)
        guard parts.count > 1, let number = Int(parts[0]) else { return name }
        switch number {
        case 0: parts[0] = "conv1"
        case 1: parts[0] = "bn1"
        case _ where number >= first && parts.count > 3: parts[0] = "layer\(number - first + 1)"
        default: return name
        }
        return parts.joined(separator: ".")
    }

    /// `resnet.encoder.stages.2.layers.0.layer.1.convolution.weight` is `layer3.0.conv2.weight`.
    private static func fromTransformers(_ name: String) -> String {
        var parts = name.split(separator: ".").map(String.init)
        if parts.first == "resnet" { parts.removeFirst() }
        guard let role = parts.popLast() else { return name }
        func layer(_ convolution: String, _ normalization: String) -> String? {
            parts.last == "convolution" ? convolution : parts.last == "normalization" ? normalization : nil
        }
        if parts.starts(with: ["embedder", "embedder"]), parts.count == 3, let layer = layer("conv1", "bn1") {
            return "\(layer).\(role)"
        }
        if parts == ["classifier", "1"] { return "fc.\(role)" }
        guard parts.count >= 7, parts[0] == "encoder", parts[1] == "stages", let stage = Int(parts[2]),
            parts[3] == "layers", let block = Int(parts[4])
        else { return name }
        let prefix = "layer\(stage + 1).\(block)"
        if parts.count == 7, parts[5] == "shortcut", let layer = layer("downsample.0", "downsample.1") {
            return "\(prefix).\(layer).\(role)"
        }
        if parts.count == 8, parts[5] == "layer", let index = Int(parts[6]),
            let layer = layer("conv\(index + 1)", "bn\(index + 1)")
        {
            return "\(prefix).\(layer).\(role)"
        }
        return name
    }

    func isTrunk(_ canonical: String) -> Bool {
        let top = canonical.prefix { $0 != "." }
        return top == "conv1" || top == "bn1" || (top.hasPrefix("layer") && Int(top.dropFirst(5)) != nil)
    }

    // MARK: Networks

    static func networks(in names: [String]) -> [String: ResNetStateDict] {
        var found: [String: ResNetStateDict] = [:]
        for name in names {
            guard let (prefix, own) = anchor(in: name) else { continue }
            if case .children(let first) = own, case .children(let other)? = found[prefix] {
                found[prefix] = .children(firstStage: min(first, other))
            } else if found[prefix] == nil || own == .torchvision {
                found[prefix] = own
            }
        }
        // What has fewer stages than another is a part of one, such as an average of some layers.
        var stages: [String: Int] = [:]
        for name in names {
            guard let range = name.firstRange(of: "layer"),
                let stage = name[range.upperBound...].prefix(while: { $0 != "." }).first?.wholeNumberValue
            else { continue }
            stages[String(name[..<range.lowerBound]), default: 0] = max(
                stages[String(name[..<range.lowerBound])] ?? 0, stage)
        }
        let most = found.keys.compactMap { stages[$0] }.max() ?? 0
        return found.filter { $0.value != .torchvision || stages[$0.key] == most }
    }

    var family: any Family.Type { ResNetFamily.self }
    var library: String { self == .transformers ? "transformers" : "PyTorch" }

    func network(_ table: inout TensorTable, _ head: inout ListedHead, _ graph: PublishedGraph, path: String) throws
        -> FoundNetwork
    {
        var traits = ResNetTraits(stridePlace: .middle, epsilon: 1e-5, statisticsKept: 0.9)
        if graph.stridesFirst { traits.stridePlace = .first }
        (traits.firstStride, traits.activation) = (graph.firstStride, graph.activation)
        traits.innerActivation = graph.innerActivation
        if case .children(let first) = self, first > 2 { traits.stemPools = first > 3 }
        let resNet = try ResNet(table, traits, path: path)
        if case .children(let first) = self {
            // A batch norm right after the last stage comes before the pooling.
            let next = "\(first + resNet.stages.count)"
            table.strangers += head.entries.filter { $0.module == next && $0.role == "running_mean" }.map(\.fileName)
        }
        for name in table.entries.keys where Self.isSqueeze(name) { table.flatten(name) }
        let (isSmall, channels) = (resNet.stem == .small, resNet.inputChannels)
        var found = FoundNetwork(
            design: resNet,
            convention: InputRecipe(
                height: isSmall ? 32 : 224, width: isSmall ? 32 : 224, channels: channels,
                pixels: .torch.spread(over: channels), resizeRatio: isSmall ? 1 : 256.0 / 224),
            conventionSource: "the convention of \(isSmall ? "CIFAR ResNets" : "torchvision")")
        if !isSmall, resNet.stages.count < 4 {
            found.notes.append(
                "The network has \(resNet.stages.count) stages, and ResNets with such a stem have four. Check that the file is whole."
            )
        }
        // torchvision's ResNets are often given such a stem, and keep their pooling or not.
        if isSmall, resNet.stages.count == 4, resNet.shortcutName == "downsample" {
            found.remarks.append(
                "The first convolution is 3×3: read as a ResNet for small images, with stride 1\(resNet.stemPools ? "" : " and no pooling")."
            )
        }
        return found
    }

    /// A squeeze-and-excitation's dense layers are 1×1 convolutions in PyTorch.
    func stored(_ tensor: Tensor, _ canonical: String) -> Tensor {
        Self.isSqueeze(canonical) && tensor.shape.count == 2 ? tensor.reshaped(tensor.shape + [1, 1]) : tensor
    }

    private static func isSqueeze(_ name: String) -> Bool { name.hasPrefix("layer") && name.contains(".se.fc") }
}
