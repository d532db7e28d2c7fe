// The names of PyTorch ResNets, brought to torchvision's: what wraps a network stands before every name, and some
// libraries call the same layers otherwise.

/// Names of a state dict as its file has them, and as torchvision would.
struct TorchNames {
    /// What stands before every name of the network, such as `module.` or `state_dict.`.
    let prefix: String
    let isTransformers: Bool

    private static let anchors = ["layer1.0.", "encoder.stages.0.layers.0."]

    /// - Parameter names: All names of the file, dots between their parts.
    /// - Returns: Nil where none looks like a ResNet's.
    init?(_ names: some Sequence<String>) {
        var votes: [String: Int] = [:]
        var transformers = 0
        for name in names {
            if let range = name.firstRange(of: Self.anchors[0]) {
                votes[String(name[..<range.lowerBound]), default: 0] += 1
            } else if let range = name.firstRange(of: Self.anchors[1]) {
                votes[String(name[..<range.lowerBound]), default: 0] += 1
                transformers += 1
            }
        }
        // A checkpoint may hold an averaged copy beside the network; the shorter name is the network's own.
        guard let winner = votes.max(by: { ($0.value, $1.key) < ($1.value, $0.key) }) else { return nil }
        isTransformers = transformers > 0
        // transformers' classifier stands beside `resnet.`, not inside it.
        prefix = isTransformers && winner.key.hasSuffix("resnet.") ? String(winner.key.dropLast(7)) : winner.key
    }

    /// Nothing of the network: what an optimizer, a schedule or an average of the weights keeps.
    static func isBeside(_ name: String) -> Bool {
        let top = name.prefix { $0 != "." }.lowercased()
        return ["optim", "sched", "ema", "scaler", "amp", "loss", "criterion"].contains { top.contains($0) }
    }

    /// torchvision's name for a name of the file without its prefix.
    func canonical(_ name: String) -> String { isTransformers ? Self.fromTransformers(name) : Self.fromTimm(name) }

    /// Older libraries call the squeeze-and-excitation `se_module`.
    private static func fromTimm(_ name: String) -> String {
        name.hasPrefix("layer")
            ? name.split(separator: ".").map { $0 == "se_module" ? "se" : $0 }.joined(separator: ".") : name
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
}
