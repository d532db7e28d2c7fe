// ResNets in Keras. keras.applications has changed its names twice: `res2a_branch2a`, `conv2_block1_1_conv`, and
// `conv2_block1_preact_bn` for V2.

internal import FinetuneEngine
internal import FinetuneModels

/// Whose names of layers they are.
enum ResNetKerasNames: KerasNames {
    case old, new, preactivated

    /// Nil where no layer has such a name. The first block decides, which all networks have.
    init?(_ layers: [String], areComplete: Bool) {
        var found: ResNetKerasNames?
        for layer in layers {
            if layer.hasSuffix("_preact_bn") {
                self = .preactivated
                return
            }
            if layer == "conv2_block1_1_conv" { found = .new }
            if layer == "res2a_branch2a" { found = .old }
        }
        if !areComplete, found == nil, layers.contains(where: { Self.new.module(layer: $0)?.contains(".") == true }) {
            found = .new
        }
        guard let found else { return nil }
        self = found
    }

    /// `conv3_block2_1_bn` is `layer2.1.bn1`; `_0_conv` and `_0_bn` are the shortcut.
    func module(layer: String) -> String? {
        switch layer {
        case "conv1_conv", "conv1": return "conv1"
        case "conv1_bn", "bn_conv1": return "bn1"
        case "post_bn": return "post"
        default: break
        }
        if let name = oldModule(layer: layer) { return name }
        let parts = layer.split(separator: "_")
        guard parts.count == 4, parts[0].hasPrefix("conv"), let stage = Int(parts[0].dropFirst(4)), stage >= 2,
            parts[1].hasPrefix("block"), let block = Int(parts[1].dropFirst(5)), block >= 1
        else { return nil }
        let prefix = "layer\(stage - 1).\(block - 1)"
        if parts[2] == "preact", parts[3] == "bn" { return "\(prefix).preact" }
        guard let index = Int(parts[2]), parts[3] == "conv" || parts[3] == "bn" else { return nil }
        return index == 0 ? "\(prefix).downsample.\(parts[3] == "conv" ? 0 : 1)" : "\(prefix).\(parts[3])\(index)"
    }

    /// `res4b_branch2a` and `res4b1_branch2a` are `layer3.1.conv1`, `bn2a_branch1` is `layer1.0.downsample.1`.
    private func oldModule(layer: String) -> String? {
        let parts = layer.split(separator: "_")
        guard parts.count == 2, parts[1].hasPrefix("branch") else { return nil }
        let isConvolution = parts[0].hasPrefix("res")
        guard isConvolution || parts[0].hasPrefix("bn") else { return nil }
        let place = parts[0].dropFirst(isConvolution ? 3 : 2)
        guard let stage = place.first?.wholeNumberValue, stage >= 2, let letter = place.dropFirst().first?.asciiValue,
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(letter)
        else { return nil }
        let number = place.dropFirst(2)
        guard number.isEmpty || (letter == UInt8(ascii: "b") && Int(number) != nil) else { return nil }
        let block = number.isEmpty ? Int(letter - UInt8(ascii: "a")) : Int(number) ?? 0
        let prefix = "layer\(stage - 1).\(block)"
        switch parts[1] {
        case "branch1": return "\(prefix).downsample.\(isConvolution ? 0 : 1)"
        case "branch2a": return "\(prefix).\(isConvolution ? "conv" : "bn")1"
        case "branch2b": return "\(prefix).\(isConvolution ? "conv" : "bn")2"
        case "branch2c": return "\(prefix).\(isConvolution ? "conv" : "bn")3"
        default: return nil
        }
    }

    /// In the new names.
    func layer(module: String) -> String? {
        switch module {
        case "conv1": return "conv1_conv"
        case "bn1": return "conv1_bn"
        case "post": return "post_bn"
        default: break
        }
        let parts = module.split(separator: ".")
        guard parts.count >= 3, parts[0].hasPrefix("layer"), let stage = Int(parts[0].dropFirst(5)),
            let block = Int(parts[1])
        else { return nil }
        let prefix = "conv\(stage + 1)_block\(block + 1)"
        switch parts[2...].joined(separator: ".") {
        case "preact": return "\(prefix)_preact_bn"
        case "downsample.0": return "\(prefix)_0_conv"
        case "downsample.1": return "\(prefix)_0_bn"
        case let rest:
            let kind = rest.dropLast()
            guard kind == "conv" || kind == "bn", let index = rest.last?.wholeNumberValue, index > 0 else { return nil }
            return "\(prefix)_\(index)_\(kind)"
        }
    }

    func network(_ table: inout TensorTable, _ head: inout ListedHead, path: String) throws -> any NetworkDesign {
        try ResNet(
            table,
            ResNetTraits(
                stridePlace: .first, isPreactivated: self == .preactivated, epsilon: self == .old ? 1e-3 : 1.001e-5,
                statisticsKept: 0.99, storesUnbiasedVariance: false, poolsZeros: true), path: path)
    }

    /// `load_img` squashes, `preprocess_input` is of the caffe kind for v1 and of the tf kind for V2.
    func recipe(size: ImageSize?) -> (InputRecipe, source: String) {
        let size = size ?? ImageSize(height: 224, width: 224)
        let isV2 = self == .preactivated
        return (
            InputRecipe(height: size.height, width: size.width, pixels: isV2 ? .tf : .caffe, fit: .squash),
            "the convention of keras.applications' ResNet \(isV2 ? "V2 (tf)" : "v1 (caffe)")"
        )
    }

    // MARK: Layers without names

    /// Names for the layers of a ResNet by their order alone.
    ///
    /// After the stem, every 3×3 convolution is the second of a block; between two of them stand the block's third,
    /// the next block's first and, before both, the projection where a stage begins.
    static func layers(ofConvolutions layers: [NamelessConvolution], normalizations: Int) -> (
        convolutions: [String], normalizations: [String]
    )? {
        guard layers.count > 3, layers[0].side != 3 else { return nil }
        let isV2 = !layers[1].hasBias
        var names = Array(repeating: "", count: layers.count)
        names[0] = "conv1_conv"
        var (stage, block) = (1, 0)
        var norms = isV2 ? [] : ["conv1_bn"]
        let wide = layers.indices.dropFirst().filter { layers[$0].side == 3 }
        guard wide.first == 2 else { return nil }
        for (place, index) in wide.enumerated() {
            let next = place + 1 < wide.count ? wide[place + 1] - 1 : layers.count
            let run = (index + 1)..<max(next, index + 1)
            guard run.count == 1 || run.count == 2 else { return nil }
            let projects = run.count == 2
            (stage, block) = projects ? (stage + 1, 1) : (stage, block + 1)
            let prefix = "conv\(stage)_block\(block)"
            names[index - 1] = "\(prefix)_1_conv"
            names[index] = "\(prefix)_2_conv"
            if projects { names[run.lowerBound] = "\(prefix)_0_conv" }
            names[run.upperBound - 1] = "\(prefix)_3_conv"
            norms +=
                isV2
                ? ["\(prefix)_preact_bn", "\(prefix)_1_bn", "\(prefix)_2_bn"]
                : ["\(prefix)_1_bn", "\(prefix)_2_bn"] + (projects ? ["\(prefix)_0_bn"] : []) + ["\(prefix)_3_bn"]
        }
        if isV2 { norms.append("post_bn") }
        return norms.count == normalizations ? (names, norms) : nil
    }
}
