// What each class of Keras layer computes.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

extension KerasGraph {
    /// The operation of a layer, nil where it changes nothing at inference, and the channels of its output.
    mutating func operation(_ layer: Layer, channels: Int, _ table: TensorTable) throws -> (
        FinetuneEngine.Operation?, Int
    ) {
        let config = layer.config
        if let format = config["data_format"]?.stringValue, format != "channels_last" {
            throw refuse(layer, "keeps channels first, only channels_last is read")
        }
        switch layer.kind {
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
                        hasBias: config["use_bias"]?.boolValue ?? true)), filters
            )
        case "BatchNormalization":
            let axis = config["axis"]?.intValue ?? config["axis"]?.arrayValue?.first?.intValue ?? -1
            guard axis == 3 || axis == -1 else { throw refuse(layer, "normalizes axis \(axis), the last was expected") }
            let (scales, centers) = (config["scale"]?.boolValue ?? true, config["center"]?.boolValue ?? true)
            if !scales || !centers { normalizationsWithout[layer.name] = (channels, !scales, !centers) }
            return (
                .batchNormalization(
                    BatchNormalization(
                        channels: channels, epsilon: config["epsilon"]?.doubleValue ?? 1e-3,
                        statisticsKept: config["momentum"]?.doubleValue ?? 0.99,
                        storesUnbiasedVariance: false)), channels
            )
        case "Activation", "ReLU", "Softmax":
            let name =
                layer.kind == "Activation" ? config["activation"]?.stringValue ?? "linear" : layer.kind.lowercased()
            if layer.kind == "ReLU" {
                for key in ["max_value", "negative_slope", "threshold"] {
                    let isSet = (config[key]?.doubleValue ?? 0) != 0
                    if isSet { throw refuse(layer, "has \(key) set, a plain ReLU was expected") }
                }
            }
            return (try activation(name, layer).map { .activation($0) }, channels)
        case "LeakyReLU":
            let slope = config["negative_slope"]?.doubleValue ?? config["alpha"]?.doubleValue ?? 0.3
            guard Float(slope) == Activation.leakySlope else {
                throw refuse(layer, "has a slope of \(slope), only \(Activation.leakySlope) is read here")
            }
            return (.activation(.leakyReLU), channels)
        case "UnitNormalization":
            let axis = config["axis"]?.intValue ?? config["axis"]?.arrayValue?.first?.intValue ?? -1
            guard axis == -1 || axis == 1 else { throw refuse(layer, "normalizes axis \(axis), the last was expected") }
            return (.rowNormalization, channels)
        case "Add": return (.addition, channels)
        case "Multiply": return (.channelScaling, channels)
        case "Reshape":
            // Before a multiplication a row is given the shape of an image of one pixel.
            guard config["target_shape"]?.arrayValue?.compactMap(\.intValue) == [1, 1, channels] else {
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
            guard config["keepdims"]?.boolValue != true else {
                throw refuse(layer, "keeps dimensions, which is not read")
            }
            return (.globalAveragePooling, channels)
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
        case "Flatten": return (.flatten, channels)
        case "Dense":
            guard let units = config["units"]?.intValue, units > 0 else {
                throw refuse(layer, "has no number of units")
            }
            // How many features arrive depends on the image's size where an image was flattened; the file knows.
            let inputs = table.shape("\(layer.name).weight")?.last ?? channels
            return (.dense(inputs: inputs, outputs: units, hasBias: config["use_bias"]?.boolValue ?? true), units)
        case "Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "ActivityRegularization":
            return (nil, channels)
        case "Lambda":
            throw refuse(layer, "holds Python code, which is never run")
        default:
            throw refuse(
                layer,
                "is of a class that is not read. Known are Conv2D, BatchNormalization, Activation, ReLU, LeakyReLU, UnitNormalization, Add, Multiply, pooling, ZeroPadding2D, Flatten, Dense, Dropout, Rescaling, Normalization, Resizing and augmentation"
            )
        }
    }

    private func window(_ layer: Layer, size key: String, defaultStride: Int?) throws -> Window {
        func pair(_ key: String) -> [Int]? {
            let values =
                layer.config[key]?.arrayValue?.compactMap(\.intValue) ?? layer.config[key]?.intValue.map { [$0, $0] }
            return values?.count == 2 && values?.allSatisfy { (1...1000).contains($0) } == true ? values : nil
        }
        guard let size = pair(key) else { throw refuse(layer, "has no \(key) of two numbers") }
        let strides = pair("strides") ?? defaultStride.map { [$0, $0] } ?? size
        let dilations = pair("dilation_rate") ?? [1, 1]
        guard strides[0] == strides[1], dilations[0] == dilations[1] else {
            throw refuse(layer, "strides or dilates differently in the two directions")
        }
        let padding = layer.config["padding"]?.stringValue ?? "valid"
        guard padding == "valid" || padding == "same" else {
            throw refuse(layer, "pads by '\(padding)', valid or same were expected")
        }
        return Window(
            size[0], size[1], stride: strides[0], dilation: dilations[0],
            padding: padding == "same" ? .same : .edges(.none))
    }

    func inlineActivation(_ layer: Layer) throws -> Activation? {
        guard layer.kind == "Conv2D" || layer.kind == "Dense", let name = layer.config["activation"]?.stringValue else {
            return nil
        }
        return try activation(name, layer)
    }

    /// Nil for the identity, and for the softmax that ends a classifier: the network's outputs are logits.
    private func activation(_ name: String, _ layer: Layer) throws -> Activation? {
        switch name {
        case "linear": nil
        case "relu": .relu
        case "elu", "selu", "gelu", "tanh": Activation(rawValue: name)
        case "sigmoid" where layer.name != output: .sigmoid
        case "softmax" where layer.name == output: nil
        default: throw refuse(layer, "applies '\(name)', which is not read here")
        }
    }
}
