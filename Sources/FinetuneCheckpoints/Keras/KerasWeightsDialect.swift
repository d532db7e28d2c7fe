// Weights of keras.applications' ResNets without their model: the network is told from the layers' names, which have
// changed twice, `res2a_branch2a`, `conv2_block1_1_conv`, and `conv2_block1_preact_bn` for V2.

internal import FinetuneEngine
internal import FinetuneModels

enum KerasWeightsDialect {
    static func read(_ weights: [KerasWeight], path: String) throws -> Model {
        var table = TensorTable()
        var head = ListedHead()
        var fileNames: [String: String] = [:]
        for weight in weights {
            guard let (role, tensor) = weight.canonical else {
                table.strangers.append(weight.fileName)
                continue
            }
            guard let name = KerasNames.module(layer: weight.layer) else {
                head.add(
                    .init(
                        name: "\(weight.layer).\(role)", fileName: weight.fileName, tensor: tensor,
                        problem: weight.problem))
                continue
            }
            fileNames[name] = weight.layer
            table.add("\(name).\(role)", tensor, fileName: weight.fileName, problem: weight.problem)
        }
        table.fileName = { name in
            let module = String(name[..<(name.lastIndex(of: ".") ?? name.endIndex)])
            return fileNames[module] ?? KerasNames.layer(module: module) ?? name
        }
        let era = KerasNames.Era(weights.map(\.layer))
        var resNet = try ResNet(table, era.traits, path: path)
        for stranger in head.strangers(channels: resNet.inputChannels, isInside: { _ in true }) {
            table.strangers.append(stranger.fileName)
        }
        let leftOut = head.complete(&resNet, &table)
        let network = resNet.network()
        let (recipe, source) = InputRecipe.keras(era, size: nil)
        var model = Model(
            network: network, weights: try table.weights(for: network, path: path), recipe: recipe,
            recipeSource: source, dialect: "Keras weights")
        model.leftOutHead = leftOut
        if model.headOutputs == 1 { model.outputMeaning = .unknown }
        return model
    }
}

/// keras.applications' names of layers and torchvision's of modules.
enum KerasNames {
    /// Whose names they are.
    enum Era { case old, new, preactivated }

    /// `conv3_block2_1_bn` is `layer2.1.bn1`; `_0_conv` and `_0_bn` are the shortcut.
    static func module(layer: String) -> String? {
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
    private static func oldModule(layer: String) -> String? {
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

    /// The inverse of `module(layer:)`, in the new names.
    static func layer(module: String) -> String? {
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
}

extension KerasNames.Era {
    /// - Returns: Nil for names of somebody's own.
    static func told(_ layers: some Sequence<String>) -> KerasNames.Era? {
        var found: KerasNames.Era?
        for layer in layers {
            if layer.hasSuffix("_preact_bn") { return .preactivated }
            if layer == "conv2_block1_1_conv" { found = .new }
            if layer == "res2a_branch2a" { found = .old }
        }
        return found
    }

    init(_ layers: some Sequence<String>) { self = Self.told(layers) ?? .new }

    /// What all networks of those names have in common.
    var traits: ResNetTraits {
        ResNetTraits(
            stridePlace: .first, isPreactivated: self == .preactivated, epsilon: self == .old ? 1e-3 : 1.001e-5,
            statisticsKept: 0.99, storesUnbiasedVariance: false, poolsZeros: true)
    }
}

extension InputRecipe {
    /// What keras.applications expects of its ResNets: `load_img` squashes, `preprocess_input` is of the caffe kind for
    /// v1 and of the tf kind for V2.
    static func keras(_ era: KerasNames.Era, size: ImageSize?) -> (InputRecipe, source: String) {
        let size = size ?? ImageSize(height: 224, width: 224)
        let isV2 = era == .preactivated
        return (
            InputRecipe(height: size.height, width: size.width, pixels: isV2 ? .tf : .caffe, fit: .squash),
            "the convention of keras.applications' ResNet \(isV2 ? "V2 (tf)" : "v1 (caffe)")"
        )
    }
}
