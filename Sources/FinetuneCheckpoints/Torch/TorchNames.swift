// The names of PyTorch ResNets, brought to torchvision's: libraries call the same layers otherwise.

/// How a state dict names the layers of a ResNet.
enum TorchNaming: Equatable {
    /// `layer1.0.conv1.weight`: torchvision, timm, OpenMMLab and most others.
    case torchvision
    /// `encoder.stages.0.layers.0.layer.0.convolution.weight`
    case transformers
    /// `4.0.conv1.weight`: the children of a network in a `Sequential`, whose first stage has that number.
    case children(firstStage: Int)

    /// The prefix and the naming that a tensor's name shows; nil for names that show none.
    ///
    /// - Parameter name: Dots between its parts.
    static func anchor(in name: String) -> (prefix: String, naming: TorchNaming)? {
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

    /// Whether torchvision's name is that of a layer before the pooling.
    static func isTrunk(_ canonical: String) -> Bool {
        let top = canonical.prefix { $0 != "." }
        return top == "conv1" || top == "bn1" || (top.hasPrefix("layer") && Int(top.dropFirst(5)) != nil)
    }

    /// Nothing of the network: what an optimizer or a schedule keeps.
    static func isBeside(_ name: String) -> Bool {
        let top = name.prefix { $0 != "." }.lowercased()
        return ["amp", "opt"].contains(top)
            || ["optim", "sched", "scaler", "loss", "criterion", "metric"].contains { top.contains($0) }
    }
}
