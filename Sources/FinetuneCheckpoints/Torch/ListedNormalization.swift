// A mean and a deviation for each channel that a module before the trunk keeps, such as `normalizer.new_mean` or `0.std`:
// how the network wants its pixels.

internal import FinetuneEngine
internal import FinetuneModels

/// The tensors of a normalization of images, found by their names.
struct ListedNormalization {
    private struct Part {
        var fileName: String
        var values: [Double]
    }

    /// By module: what a file has of each.
    private var modules: [String: (mean: Part?, deviation: Part?)] = [:]

    private static let means: Set = ["mean", "new_mean", "mu", "_mean", "image_mean", "pixel_mean", "img_mean"]
    private static let deviations: Set = ["std", "new_std", "sigma", "_std", "image_std", "pixel_std", "img_std"]
    /// What names of modules, or of the tensors themselves, say of images.
    private static let signs = ["normaliz", "normalis", "preproc", "pixel", "image", "img"]
    /// What they say of everything else, such as the targets of a regression.
    private static let others = [
        "target", "label", "output", "denorm", "loss", "criterion", "head", "fc", "scaler", "y_",
    ]

    /// Takes a tensor that is one of the two.
    ///
    /// - Parameters:
    ///   - name: Without what stands before the network and its neighbours.
    ///   - fileName: For messages.
    /// - Returns: Whether it is.
    mutating func take(_ name: String, _ tensor: Tensor?, fileName: String) -> Bool {
        var parts = name.lowercased().split(separator: ".").map(String.init)
        guard let role = parts.popLast(), Self.means.contains(role) || Self.deviations.contains(role), let tensor,
            tensor.count <= 4, tensor.shape.count(where: { $0 > 1 }) <= 1
        else { return false }
        let module = parts.joined(separator: ".")
        let words = "\(module).\(role)"
        let saysImage = Self.signs.contains { words.contains($0) } || parts.last == "0" || parts.last == "norm"
        // Without a module it is the network's own, if there is a number for each colour.
        guard saysImage || (module.isEmpty && tensor.count == 3), !Self.others.contains(where: words.contains) else {
            return false
        }
        let part = Part(fileName: fileName, values: tensor.values.map { Double($0) })
        if Self.means.contains(role) {
            modules[module, default: (nil, nil)].mean = part
        } else {
            modules[module, default: (nil, nil)].deviation = part
        }
        return true
    }

    /// How pixels become numbers; nil if there is no normalization that makes sense, or more than one.
    ///
    /// - Parameter channels: Those of the network.
    func pixels(channels: Int) -> (pixels: InputRecipe.Pixels, source: String)? {
        guard modules.count == 1, let (mean, deviation) = modules.first?.value, let mean, let deviation,
            mean.values.count == deviation.values.count, [1, channels].contains(mean.values.count),
            deviation.values.allSatisfy({ (1e-6...1e6).contains($0) }), mean.values.allSatisfy({ abs($0) < 1e6 })
        else { return nil }
        func spread(_ values: [Double]) -> [Double] {
            values.count == channels ? values : Array(repeating: values[0], count: channels)
        }
        // Numbers of levels are far above 1, those of levels divided by 255 are not.
        let scale = (mean.values + deviation.values).contains { $0 > 2 } ? 1 : 1 / 255.0
        // The means of ImageNet in the order of Caffe, which tell blue from red.
        let isBlueFirst =
            mean.values.count == 3 && zip(mean.values, [103.5, 116.5, 123.5]).allSatisfy { abs($0 - $1) < 1.5 }
        let pixels = InputRecipe.Pixels(
            order: isBlueFirst ? .bgr : .rgb, scale: scale, mean: spread(mean.values),
            standardDeviation: spread(deviation.values))
        return (pixels, "'\(mean.fileName)' and '\(deviation.fileName)' in the file")
    }

    /// What is not followed, for messages; nil if all is, or if there is nothing.
    func warning(channels: Int) -> String? {
        guard pixels(channels: channels) == nil else { return nil }
        let names = modules.values.compactMap { $0.mean?.fileName ?? $0.deviation?.fileName }.sorted()
        guard !names.isEmpty else { return nil }
        let list = names.prefix(4).map { "'\($0)'" }.joined(separator: ", ")
        return
            "\(list) \(names.count == 1 ? "looks" : "look") like parts of a normalization of images, of which one mean and one deviation for each channel were expected; not used. Say the preprocessing with --recipe if it is one."
    }
}
