// ResNets by their names: what of their files the reader has to know beside the tensors.

internal import FinetuneEngine
internal import FinetuneModels

enum ResNetFamily: Family {
    static let name = "ResNet"

    static func stateDictNames(in names: [String]) -> [String: any StateDictNames] {
        ResNetStateDict.networks(in: names)
    }

    static let modelTypes: Set = ["resnet"]
    static let convolutionsHaveBias = false
    static let headModule = "fc"

    static func obstacleToPyTorch(_ network: Network) -> String? {
        let isV2 = network.nodes.contains { $0.name.hasSuffix(".preact") || $0.name.hasSuffix("_preact_bn") }
        return isV2 ? "its blocks normalize before they convolve (V2)" : nil
    }

    // MARK: Keras

    static func kerasNames(of layers: [String], areComplete: Bool) -> (any KerasNames)? {
        ResNetKerasNames(layers, areComplete: areComplete)
    }

    /// keras.applications' convolutions have biases, torchvision's have none.
    static func kerasNames(writing model: Model) -> (any KerasNames)? {
        let isOurs = model.network.nodes.contains { $0.name == "layer1.0.conv1" }
        return isOurs && model.weights["conv1.bias"] != nil ? ResNetKerasNames.new : nil
    }

    static func kerasLayers(ofConvolutions convolutions: [NamelessConvolution], normalizations: Int) -> (
        convolutions: [String], normalizations: [String]
    )? {
        ResNetKerasNames.layers(ofConvolutions: convolutions, normalizations: normalizations)
    }

    // MARK: Architectures

    static func verdict(onArchitecture name: String) -> ArchitectureVerdict {
        if isPlain(name) { return .plain }
        if name.contains("blur") || name.contains("netaa") || name.contains("nextaa") {
            return .refused(
                reason: "it filters against aliasing, which leaves no tensors and is not computed here")
        }
        if ["deeplab", "fcn_", "pspnet", "lraspp"].contains(where: name.contains) {
            return .refused(reason: "its last stages are dilated, which leaves no trace in the tensors")
        }
        let others = [
            "_gn", "netrs", "netv2", "nextv2", "_clip", "ecares", "skres", "cbam", "ibn", "res2ne", "resnest", "gem",
        ]
        if others.contains(where: name.contains) || name.hasSuffix("ts") {
            return .refused(reason: "of its relatives, ResNets, ResNeXts, Wide ResNets and SE-ResNets are read")
        }
        return name.contains("res") ? .unknown : .other
    }

    /// timm's and torchvision's names of ResNets whose graph follows from their tensors.
    private static func isPlain(_ name: String) -> Bool {
        var rest = Substring(name.prefix { $0 != "." })
        for prefix in ["tv_", "gluon_", "ssl_", "swsl_", "ig_", "wide_", "se"] where rest.hasPrefix(prefix) {
            rest = rest.dropFirst(prefix.count)
        }
        if ["net154", "test_resnet", "resnet"].contains(rest) { return true }
        guard let family = ["resnet", "resnext"].first(where: rest.hasPrefix) else { return false }
        rest = rest.dropFirst(family.count)
        let depth = rest.prefix { $0.isNumber }
        rest = rest.dropFirst(depth.count)
        if depth.isEmpty { return false }
        if let variant = rest.first, "bcdst".contains(variant) { rest = rest.dropFirst() }
        // Widths and groups, such as `_2` and `_32x4d`.
        return rest.isEmpty
            || (rest.first == "_" && rest.dropFirst().first?.isNumber == true
                && rest.dropFirst().allSatisfy { $0.isNumber || $0 == "x" || $0 == "d" })
    }
}
