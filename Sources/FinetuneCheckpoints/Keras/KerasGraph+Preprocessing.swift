// Keras layers and operations that prepare images inside the model: what they do to pixels becomes the preprocessing.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

/// What layers make of an image's pixels before the first one with weights reads them.
struct PixelPreparation: Equatable {
    /// One channel of the result: `value · factor + offset`, of a channel of the image.
    struct Channel: Equatable {
        var source: Int
        var factor = 1.0
        var offset = 0.0
    }

    var channels: [Channel]
    /// The steps that give the image its size.
    var geometry = KerasGeometry()
    /// The layers, for people.
    var layers: [String] = []

    init(_ channels: Int) { self.channels = (0..<channels).map { Channel(source: $0) } }

    /// Scales and moves all channels, by one number or by one for each.
    mutating func append(factor: [Double], offset: [Double]) {
        for (index, place) in channels.indices.enumerated() {
            let scale = factor[factor.count == 1 ? 0 : index]
            channels[place].factor *= scale
            channels[place].offset = channels[place].offset * scale + offset[offset.count == 1 ? 0 : index]
        }
    }

    /// The order in which the channels of the image are read; nil if it is neither.
    var order: InputRecipe.Order? {
        let sources = channels.map(\.source)
        if sources == Array(sources.indices) { return .rgb }
        return sources == [2, 1, 0] ? .bgr : nil
    }

    /// The same in a recipe's words: `(value · scale − mean) / standardDeviation`.
    var pixels: InputRecipe.Pixels {
        let factor = channels.map(\.factor)
        let offset = channels.map(\.offset)
        let isEven = factor.allSatisfy { $0 == factor[0] }
        return InputRecipe.Pixels(
            order: order ?? .rgb, scale: isEven ? factor[0] : 1,
            mean: zip(factor, offset).map { isEven ? 0 - $1 : 0 - $1 / $0 },
            standardDeviation: isEven ? factor.map { _ in 1 } : factor.map { 1 / $0 })
    }
}

extension KerasGraph.Layer {
    /// TensorFlow's functions in Keras 2 models, by the operations of Keras 3.
    private static let functions = [
        "__operators__.getitem": "GetItem", "math.truediv": "Divide", "math.divide": "Divide", "divide": "Divide",
        "truediv": "Divide", "realdiv": "Divide", "math.subtract": "Subtract", "subtract": "Subtract",
        "math.multiply": "Multiply", "multiply": "Multiply", "math.add": "Add", "add": "Add",
        "__operators__.add": "Add", "nn.bias_add": "Add", "math.negative": "Negative", "negative": "Negative",
        "cast": "Cast", "identity": "Cast", "convert_to_tensor": "Cast", "reverse": "Flip", "stack": "Stack",
        "concat": "Concatenate", "image.resize": "Resize", "math.reduce_mean": "Mean", "nn.relu": "Relu",
        "math.sigmoid": "Sigmoid", "nn.sigmoid": "Sigmoid", "sigmoid": "Sigmoid", "nn.softmax": "Softmax",
        "math.tanh": "Tanh", "nn.gelu": "Gelu", "nn.relu6": "Relu6", "nn.elu": "Elu", "nn.selu": "Selu",
        "nn.silu": "Silu", "nn.swish": "Silu", "nn.leaky_relu": "LeakyRelu",
    ]

    /// What an operation computes, by Keras 3's name of it; the class of a layer.
    var action: String {
        switch kind {
        case "TFOpLambda", "SlicingOpLambda": config["function"]?.stringValue.flatMap { Self.functions[$0] } ?? kind
        case "TrueDivide": "Divide"
        default: kind
        }
    }

    /// Whether its class does nothing but prepare images.
    var preparesPixels: Bool {
        [
            "Rescaling", "Normalization", "Resizing", "CenterCrop", "GetItem", "Divide", "Subtract", "Stack", "Flip",
            "Resize", "Cast",
        ]
        .contains(action) || KerasGraph.augmentations.contains(kind)
    }
}

extension KerasCall {
    /// The numbers among its arguments; nil if there are none.
    var numbers: [Double]? {
        for case .value(let value) in arguments { if let numbers = value.allNumbers { return numbers } }
        return nil
    }

    /// Whether the numbers come before the layer, as in `1 − x`.
    fileprivate var beginsWithNumbers: Bool { if case .value? = arguments.first { true } else { false } }
}

extension KerasGraph {
    /// Layers that change images in training only.
    static let augmentations: Set = [
        "RandomFlip", "RandomRotation", "RandomZoom", "RandomContrast", "RandomBrightness", "RandomTranslation",
        "RandomHue", "RandomSaturation", "RandomColorJitter", "RandomErasing", "RandomShear", "RandomSharpness",
        "RandomPerspective", "RandomGaussianBlur", "RandomElasticTransform", "RandomInvert", "RandomPosterization",
        "RandomGrayscale", "RandomColorDegeneration", "RandAugment", "AugMix", "MixUp", "CutMix", "Equalization",
        "Solarization",
    ]

    /// What a layer makes of pixels that no other kind of layer has touched; nil if it is none of preprocessing.
    mutating func prepared(_ layer: Layer, _ values: [String: Value]) throws -> PixelPreparation? {
        let given = layer.inputs.compactMap { values[$0]?.pixels }
        guard var pixels = given.first ?? values[""]?.pixels else { return nil }
        let count = pixels.channels.count
        func numbers() throws -> [Double] {
            guard let numbers = layer.call.numbers, numbers.count == 1 || numbers.count == count,
                numbers.allSatisfy(\.isFinite)
            else {
                throw refuse(layer, "computes with something other than a number, or one for each of \(count) channels")
            }
            return numbers
        }
        let isFirst = !layer.call.beginsWithNumbers
        switch layer.action {
        case "Rescaling":
            guard let scale = spread(layer.config["scale"], count),
                let offset = spread(layer.config["offset"] ?? 0, count)
            else { throw refuse(layer, "scales by something other than numbers") }
            pixels.append(factor: scale, offset: offset)
        case "Normalization":
            guard layer.config["invert"]?.boolValue != true else { throw refuse(layer, "inverts, which is not read") }
            guard let mean = spread(layer.config["mean"], count) ?? stored("mean", layer, count),
                let variance = spread(layer.config["variance"], count) ?? stored("variance", layer, count)
            else { throw refuse(layer, "has no mean and variance of \(count) channels") }
            // The smallest deviation is Keras' epsilon.
            let factor = variance.map { 1 / max($0.squareRoot(), 1e-7) }
            pixels.append(factor: factor, offset: zip(mean, factor).map { -$0 * $1 })
        case "Add" where layer.inputs.count == 1:
            pixels.append(factor: [1], offset: try numbers())
        case "Subtract":
            let numbers = try numbers()
            pixels.append(factor: [isFirst ? 1 : -1], offset: numbers.map { isFirst ? -$0 : $0 })
        case "Multiply" where layer.inputs.count == 1:
            pixels.append(factor: try numbers(), offset: [0])
        case "Divide":
            let numbers = try numbers()
            guard isFirst, !numbers.contains(0) else {
                throw refuse(layer, "divides by pixels or by 0, which is not read")
            }
            pixels.append(factor: numbers.map { 1 / $0 }, offset: [0])
        case "Negative": pixels.append(factor: [-1], offset: [0])
        case "Cast":
            let type = layer.call.options["dtype"]?.stringValue ?? layer.config["dtype"]?.stringValue ?? "float32"
            guard type.hasPrefix("float") || type.hasPrefix("bfloat") else {
                throw refuse(layer, "makes \(type) of pixels, which rounds them")
            }
            return pixels
        case "GetItem": pixels.channels = try selected(layer, pixels.channels)
        case "Flip":
            let axis = layer.config["axis"] ?? layer.call.options["axis"]
            guard let axis = axis?.allNumbers, axis == [-1] || axis == [3] else {
                throw refuse(layer, "turns images over, which is not read")
            }
            pixels.channels.reverse()
        case "Stack", "Concatenate":
            let axis =
                (layer.config["axis"] ?? layer.call.options["axis"])?.intValue ?? (layer.action == "Stack" ? 0 : -1)
            guard axis == -1 || axis == 3, given.count == layer.inputs.count,
                given.allSatisfy({ $0.geometry == pixels.geometry })
            else { throw refuse(layer, "puts together something other than the channels of an image") }
            pixels.channels = given.flatMap(\.channels)
            pixels.layers = given.flatMap(\.layers).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
        case "Resizing", "Resize", "CenterCrop":
            pixels.geometry = try geometry(layer, pixels)
        case let name where Self.augmentations.contains(name): return pixels
        case "TFOpLambda", "SlicingOpLambda":
            throw refuse(
                layer,
                "computes '\(layer.config["function"]?.stringValue ?? "")' on pixels, which is not read. Save the model from the layer after it, and say what it does with --recipe"
            )
        default: return nil
        }
        guard pixels.channels.allSatisfy({ $0.factor.isFinite && $0.offset.isFinite && $0.factor != 0 }) else {
            throw refuse(layer, "scales by numbers that are not finite, or by 0")
        }
        // Operations have names that their authors did not give.
        let isLayer = ["Rescaling", "Normalization", "Resizing", "CenterCrop"].contains(layer.kind)
        let words = isLayer ? "\(layer.kind) '\(layer.name)'" : "operations on pixels"
        if !pixels.layers.contains(words) { pixels.layers.append(words) }
        return pixels
    }

    /// The channels that `[..., index]` or `[..., start:stop:step]` takes.
    private func selected(_ layer: Layer, _ channels: [PixelPreparation.Channel]) throws -> [PixelPreparation.Channel] {
        var spec: [JSON] = layer.call.options["slice_spec"]?.arrayValue ?? []
        for case .value(let value) in layer.call.arguments { spec = value.arrayValue ?? [value] }
        func isWhole(_ part: JSON) -> Bool {
            if part["class_name"] == "__ellipsis__" { return true }
            let slice = part["config"] ?? part
            return slice.members != nil && slice["start"] ?? .null == .null && slice["stop"] ?? .null == .null
                && [nil, .null, 1].contains(slice["step"])
        }
        let hasAll = spec.count == 4 || spec.contains { $0["class_name"] == "__ellipsis__" }
        guard let last = spec.last, hasAll, spec.dropLast().allSatisfy(isWhole) else {
            throw refuse(layer, "takes a part of images, where only channels may be chosen")
        }
        if isWhole(last) { return channels }
        func place(_ number: Int) -> Int { number < 0 ? number + channels.count : number }
        if let number = last.intValue {
            guard channels.indices.contains(place(number)) else {
                throw refuse(layer, "takes channel \(number), which is not there")
            }
            return [channels[place(number)]]
        }
        let slice = last["config"] ?? last
        let step = slice["step"]?.intValue ?? 1
        guard step == 1 || step == -1 else { throw refuse(layer, "takes every \(step)th channel, which is not read") }
        let start = slice["start"]?.intValue.map(place) ?? (step > 0 ? 0 : channels.count - 1)
        let stop = slice["stop"]?.intValue.map(place) ?? (step > 0 ? channels.count : -1)
        let places = Array(stride(from: start, to: min(stop, channels.count), by: step))
        guard !places.isEmpty, places.allSatisfy(channels.indices.contains) else {
            throw refuse(layer, "takes channels that are not there")
        }
        return places.map { channels[$0] }
    }

    private func stored(_ role: String, _ layer: Layer, _ channels: Int) -> [Double]? {
        statistics["\(layer.name).\(role)"].flatMap { spread($0, channels) }
    }

    /// One number for each channel, from a number or a list, which Keras nests at will.
    private func spread(_ json: JSON?, _ channels: Int) -> [Double]? {
        json.flatMap(\.allNumbers).flatMap { spread($0, channels) }
    }

    private func spread(_ values: [Double], _ channels: Int) -> [Double]? {
        values.count == channels ? values : values.count == 1 ? Array(repeating: values[0], count: channels) : nil
    }
}
