// What each class of Keras layer computes.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

extension KerasGraph {
    /// The operation of a layer, nil where it changes nothing at inference, and the channels of its output.
    ///
    /// - Parameter source: What its first input gives.
    mutating func operation(_ layer: Layer, _ source: Value, _ table: TensorTable) throws -> (
        FinetuneEngine.Operation?, channels: Int
    ) {
        let config = layer.config
        var channels = source.channels
        if let format = config["data_format"]?.stringValue, format != "channels_last" {
            throw refuse(layer, "keeps channels first, only channels_last is read")
        }
        switch layer.action {
        case "Conv2D":
            guard let filters = config["filters"]?.intValue, filters > 0 else {
                throw refuse(layer, "has no number of filters")
            }
            let groups = config["groups"]?.intValue ?? 1
            guard groups > 0, channels % groups == 0, filters % groups == 0 else {
                throw refuse(layer, "has groups that do not divide its channels")
            }
            return (
                .convolution(
                    Convolution(
                        channels: channels, filters: filters, groups: groups,
                        window: try window(layer, size: "kernel_size", defaultStride: 1),
                        hasBias: try flag(layer, "use_bias", default: true))), filters
            )
        case "BatchNormalization":
            let axis = config["axis"].flatMap(\.allNumbers) ?? [-1]
            guard axis == [source.isRow ? 1 : 3] || axis == [-1] else {
                throw refuse(layer, "normalizes axis \(config["axis"]?.text ?? ""), the last was expected")
            }
            // How many values a flattened image has, the file knows.
            if source.isRow { channels = table.shape("\(layer.name).running_mean")?.first ?? channels }
            let scales = try flag(layer, "scale", default: true)
            let centers = try flag(layer, "center", default: true)
            if !scales || !centers { normalizationsWithout[layer.name] = (channels, !scales, !centers) }
            return (
                .batchNormalization(
                    BatchNormalization(
                        channels: channels, epsilon: try number(layer, "epsilon", default: 1e-3, 0...1),
                        statisticsKept: try number(layer, "momentum", default: 0.99, 0...1),
                        storesUnbiasedVariance: false)), channels
            )
        case "Activation", "ReLU", "Softmax":
            if layer.kind != layer.action || layer.config["trainable"] == nil, layer.action == "Softmax" {
                try checkOptions(of: layer)
            }
            var name = layer.kind == "Activation" ? try activationName(layer) : layer.action.lowercased()
            if layer.kind == "ReLU" {
                guard let rectifier = Self.rectifier(config) else {
                    let key = Self.rectifierOptions.first { (config[$0]?.doubleValue ?? 0) != 0 } ?? ""
                    throw refuse(layer, "has \(key) set, a plain ReLU or one that ends at 6 was expected")
                }
                name = rectifier
            }
            return (try activation(name, layer).map { .activation($0) }, channels)
        case "LeakyReLU", "LeakyRelu":
            // The layer's slope is 0.3 where none is given, the operation's 0.2.
            let slope =
                Self.slope(config) ?? layer.call.options["alpha"]?.doubleValue ?? layer.call.numbers?.first
                ?? (layer.kind == "LeakyReLU" ? 0.3 : 0.2)
            guard Float(slope) == Activation.leakySlope else {
                throw refuse(layer, "has a slope of \(slope), only \(Activation.leakySlope) is read here")
            }
            return (.activation(.leakyReLU), channels)
        case "UnitNormalization":
            let axis = config["axis"]?.intValue ?? config["axis"]?.arrayValue?.first?.intValue ?? -1
            guard axis == -1 || axis == 1 else { throw refuse(layer, "normalizes axis \(axis), the last was expected") }
            return (.rowNormalization, channels)
        case "Add", "Multiply":
            guard layer.inputs.count == 2, layer.call.numbers == nil else {
                throw refuse(layer, "combines something other than two layers")
            }
            guard !source.isRow else { throw refuse(layer, "combines rows of features, which is not read") }
            return (layer.action == "Add" ? .addition : .channelScaling, channels)
        case "Reshape":
            // Before a multiplication a row is given the shape of an image of one pixel.
            let shape = config["target_shape"]?.arrayValue?.compactMap(\.intValue) ?? []
            guard source.isRow, shape == [1, 1, channels] || shape == [channels] || shape == [-1] else {
                throw refuse(layer, "reshapes in a way that is not read")
            }
            return (nil, channels)
        case "MaxPooling2D":
            let window = try window(layer, size: "pool_size", defaultStride: nil)
            let skips = window.height == 1 && window.width == 1
            return (skips ? .subsampling(step: window.stride) : .maxPooling(window), channels)
        case "AveragePooling2D":
            return (
                .averagePooling(try window(layer, size: "pool_size", defaultStride: nil), countsPadding: false),
                channels
            )
        case "GlobalAveragePooling2D":
            // With `keepdims` it is an image of one pixel, which is a row as well.
            return (.globalAveragePooling, channels)
        case "Mean":
            let axes = (config["axis"] ?? layer.call.options["axis"])?.allNumbers ?? []
            guard !source.isRow, [[1, 2], [2, 1], [-3, -2], [-2, -3]].contains(axes) else {
                throw refuse(layer, "averages over other axes than those of an image")
            }
            return (.globalAveragePooling, channels)
        case "HardSigmoid": return (.activation(.hardSigmoid), channels)
        case "HardSilu": return (.activation(.hardSwish), channels)
        case "Gelu":
            try checkOptions(of: layer)
            // Unless they say otherwise, Keras' operation is the approximation, and TensorFlow's function is not.
            let said = layer.call.options["approximate"] ?? config["approximate"]
            let isApproximate = layer.kind == "Gelu" ? said != false : said == true
            return (.activation(isApproximate ? .geluTanh : .gelu), channels)
        case "Relu", "Relu6", "Sigmoid", "Tanh", "Elu", "ELU", "Selu", "Silu":
            try checkOptions(of: layer)
            return (try activation(layer.action.lowercased(), layer).map { .activation($0) }, channels)
        case "ZeroPadding2D":
            let sides = (config["padding"]?.arrayValue ?? []).map { $0.arrayValue?.compactMap(\.intValue) ?? [] }
            guard sides.count == 2, sides.allSatisfy({ $0.count == 2 && $0.allSatisfy { (0...1000).contains($0) } })
            else {
                throw refuse(layer, "has no padding of four sides")
            }
            return (
                .zeroPadding(Edges(top: sides[0][0], left: sides[1][0], bottom: sides[0][1], right: sides[1][1])),
                channels
            )
        case "Flatten": return (source.isRow ? nil : .flatten, channels)
        case "Dense":
            guard let units = config["units"]?.intValue, units > 0 else {
                throw refuse(layer, "has no number of units")
            }
            // How many features arrive depends on the image's size where an image was flattened; the file knows.
            let inputs = table.shape("\(layer.name).weight")?.last ?? channels
            return (.dense(inputs: inputs, outputs: units, hasBias: try flag(layer, "use_bias", default: true)), units)
        case "Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout",
            "ActivityRegularization", "Identity":
            return (nil, channels)
        case "Lambda":
            let advice = ". If it only prepares pixels, build the model without it and say what it does with --recipe"
            throw refuse(layer, "holds Python code, which is never run\(source.isRow ? "" : advice)")
        case _ where layer.preparesPixels:
            throw refuse(
                layer, "prepares pixels after a layer that has changed them, where only the first layers may")
        default:
            throw refuse(
                layer,
                "is of a class that is not read. Known are Conv2D, BatchNormalization, Activation, ReLU, LeakyReLU, ELU, UnitNormalization, Add, Multiply, pooling, ZeroPadding2D, Flatten, Dense, Dropout, Rescaling, Normalization, Resizing and augmentation"
            )
        }
    }

    private func window(_ layer: Layer, size key: String, defaultStride: Int?) throws -> Window {
        func pair(_ key: String) throws -> [Int]? {
            guard let value = layer.config[key], value != .null else { return nil }
            let values = value.arrayValue?.compactMap(\.intValue) ?? value.intValue.map { [$0, $0] } ?? []
            guard values.count == 2, values.allSatisfy({ (1...1000).contains($0) }) else {
                throw refuse(
                    layer, "has \(key) \(String(value.text.prefix(40))), two numbers from 1 to 1000 were expected")
            }
            return values
        }
        guard let size = try pair(key) else { throw refuse(layer, "has no \(key)") }
        let strides = try pair("strides") ?? defaultStride.map { [$0, $0] } ?? size
        let dilations = try pair("dilation_rate") ?? [1, 1]
        guard strides[0] == strides[1], dilations[0] == dilations[1] else {
            throw refuse(layer, "strides or dilates differently in the two directions")
        }
        let padding = layer.config["padding"] ?? "valid"
        guard padding == "valid" || padding == "same" else {
            throw refuse(layer, "pads by \(padding.text), valid or same were expected")
        }
        return Window(
            size[0], size[1], stride: strides[0], dilation: dilations[0],
            padding: padding == "same" ? .same : .edges(.none))
    }

    /// A truth value of a layer's configuration, which has a default.
    private func flag(_ layer: Layer, _ key: String, default usual: Bool) throws -> Bool {
        guard let value = layer.config[key], value != .null else { return usual }
        if let flag = value.boolValue ?? value.intValue.flatMap({ [0: false, 1: true][$0] }) { return flag }
        throw refuse(layer, "has \(key) \(String(value.text.prefix(40))), true or false was expected")
    }

    /// A number of a layer's configuration, which has a default.
    private func number(_ layer: Layer, _ key: String, default usual: Double, _ range: ClosedRange<Double>) throws
        -> Double
    {
        guard let value = layer.config[key] else { return usual }
        guard let number = value.doubleValue, range.contains(number) else {
            throw refuse(
                layer,
                "has \(key) \(String(value.text.prefix(40))), a number from \(range.lowerBound) to \(range.upperBound) was expected"
            )
        }
        return number
    }

    mutating func inlineActivation(_ layer: Layer) throws -> Activation? {
        guard layer.kind == "Conv2D" || layer.kind == "Dense" else { return nil }
        return try activation(try activationName(layer), layer)
    }

    /// The name of the function that a layer applies, which the file gives as text or as an object.
    private func activationName(_ layer: Layer) throws -> String {
        guard let value = layer.config["activation"], value != .null else { return "linear" }
        if let name = value.stringValue { return name }
        let kind = value["class_name"]?.stringValue ?? value.text
        let config = value["config"] ?? .null
        switch kind {
        case "ReLU":
            if let name = Self.rectifier(config) { return name }
        case "LeakyReLU" where Float(Self.slope(config) ?? 0.3) == Activation.leakySlope: return Self.plainLeakyReLU
        case "ELU" where (config["alpha"]?.doubleValue ?? 1) == 1: return "elu"
        case "Softmax": return "softmax"
        case "Activation":
            if let name = config["activation"]?.stringValue { return name }
        default: break
        }
        let options = config.members == nil ? "" : " with \(String(config.text.prefix(80)))"
        throw refuse(layer, "applies a '\(kind)'\(options), which is not read here")
    }

    /// A leaky ReLU with the slope that is read; the one that Keras knows by name has 0.2.
    private static let plainLeakyReLU = "leaky_relu of slope 0.01"

    /// Refuses an operation with options other than the usual ones.
    private func checkOptions(of layer: Layer) throws {
        func value(_ key: String) -> JSON? { layer.call.options[key] ?? layer.config[key] }
        let axes = value("axis")?.allNumbers ?? [-1]
        guard layer.call.numbers == nil, ["alpha", "beta"].allSatisfy({ (value($0)?.doubleValue ?? 1) == 1 }),
            axes == [-1] || axes == [1]
        else {
            throw refuse(layer, "computes \(layer.action.lowercased()) with options that are not read")
        }
    }

    private static let rectifierOptions = ["max_value", "negative_slope", "threshold"]

    /// The function of a ReLU layer; nil for one that is not read.
    private static func rectifier(_ config: JSON) -> String? {
        let options = rectifierOptions.map { config[$0]?.doubleValue ?? 0 }
        return options == [0, 0, 0] ? "relu" : options == [6, 0, 0] ? "relu6" : nil
    }

    private static func slope(_ config: JSON) -> Double? {
        config["negative_slope"]?.doubleValue ?? config["alpha"]?.doubleValue
    }

    /// Nil for the identity, and for the softmax or the sigmoid that ends a classifier: the network's outputs are
    /// logits.
    private mutating func activation(_ name: String, _ layer: Layer) throws -> Activation? {
        switch name {
        case "linear": return nil
        case "relu": return .relu
        case Self.plainLeakyReLU: return .leakyReLU
        case "elu", "selu", "gelu", "tanh", "relu6", "silu": return Activation(rawValue: name)
        case "swish": return .silu
        case "hard_silu", "hard_swish": return .hardSwish
        case "hard_sigmoid":
            throw refuse(
                layer,
                "applies 'hard_sigmoid', which is min(max(x / 6 + 0.5, 0), 1) in Keras 3 and min(max(x / 5 + 0.5, 0), 1) in Keras 2. Write keras.ops.hard_sigmoid, which says which"
            )
        case "leaky_relu":
            throw refuse(layer, "applies 'leaky_relu', whose slope is 0.2, only \(Activation.leakySlope) is read here")
        case "sigmoid" where !outputs.contains(layer.name): return .sigmoid
        case "sigmoid":
            outputMeaning = .labels
            return nil
        case "softmax" where outputs.contains(layer.name):
            endsInSoftmax = true
            return nil
        default: throw refuse(layer, "applies '\(name)', which is not read here")
        }
    }
}
