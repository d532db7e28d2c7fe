// Keras layers that prepare images inside the model: what they do to pixels becomes part of the recipe.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

/// What happens to the pixels of each channel: `value · factor + offset`.
struct PixelMap: Equatable {
    var factor: [Double]
    var offset: [Double]

    init(_ channels: Int) {
        factor = Array(repeating: 1, count: channels)
        offset = Array(repeating: 0, count: channels)
    }

    /// Scales and moves what the map gives, one number a channel.
    mutating func append(factor next: [Double], offset move: [Double]) {
        for channel in factor.indices {
            factor[channel] *= next[channel]
            offset[channel] = offset[channel] * next[channel] + move[channel]
        }
    }

    /// The same in a recipe's words: `(value · scale − mean) / standardDeviation`.
    var pixels: InputRecipe.Pixels {
        let isEven = factor.allSatisfy { $0 == factor[0] }
        return InputRecipe.Pixels(
            order: .rgb, scale: isEven ? factor[0] : 1,
            mean: zip(factor, offset).map { isEven ? 0 - $1 : 0 - $1 / $0 },
            standardDeviation: isEven ? factor.map { _ in 1 } : factor.map { 1 / $0 })
    }
}

extension KerasGraph {
    /// What a layer makes of pixels that no other layer has touched; nil where it is none of preprocessing.
    mutating func preprocessing(_ layer: Layer, _ map: PixelMap) throws -> PixelMap? {
        var map = map
        let channels = map.factor.count
        switch layer.kind {
        case "Rescaling":
            guard let scale = numbers(layer.config["scale"], channels),
                let offset = numbers(layer.config["offset"] ?? 0, channels), !scale.contains(0)
            else { throw refuse(layer, "scales by something other than numbers") }
            map.append(factor: scale, offset: offset)
        case "Normalization":
            guard layer.config["invert"]?.boolValue != true else { throw refuse(layer, "inverts, which is not read") }
            guard let mean = numbers(layer.config["mean"], channels) ?? stored("mean", layer, channels),
                let variance = numbers(layer.config["variance"], channels) ?? stored("variance", layer, channels)
            else { throw refuse(layer, "has no mean and variance of \(channels) channels") }
            // The smallest deviation is Keras' epsilon.
            let factor = variance.map { 1 / max($0.squareRoot(), 1e-7) }
            map.append(factor: factor, offset: zip(mean, factor).map { -$0 * $1 })
        case "Resizing":
            guard let height = layer.config["height"]?.intValue, let width = layer.config["width"]?.intValue,
                (1...8192).contains(height), (1...8192).contains(width)
            else { throw refuse(layer, "has no size") }
            inputSize = ImageSize(height: height, width: width)
            return map
        case "RandomFlip", "RandomRotation", "RandomZoom", "RandomContrast", "RandomBrightness", "RandomTranslation",
            "RandomHue", "RandomSaturation", "RandomColorJitter", "RandomErasing", "RandomShear", "RandomSharpness":
            return map  // Augmentation happens in training only.
        default: return nil
        }
        guard (map.factor + map.offset).allSatisfy(\.isFinite) else {
            throw refuse(layer, "scales by numbers that are not finite")
        }
        preprocessingLayers.append("\(layer.kind) '\(layer.name)'")
        return map
    }

    private func stored(_ role: String, _ layer: Layer, _ channels: Int) -> [Double]? {
        statistics["\(layer.name).\(role)"].flatMap { spread($0, channels) }
    }

    /// One number for each channel, from a number or a list, which Keras nests at will.
    private func numbers(_ json: JSON?, _ channels: Int) -> [Double]? {
        guard var value = json else { return nil }
        if let inner = value["config"]?["value"] { value = inner }
        while let list = value.arrayValue, list.count == 1 { value = list[0] }
        return spread(value.doubleValue.map { [$0] } ?? value.arrayValue?.compactMap(\.doubleValue) ?? [], channels)
    }

    private func spread(_ values: [Double], _ channels: Int) -> [Double]? {
        values.count == channels ? values : values.count == 1 ? Array(repeating: values[0], count: channels) : nil
    }
}
