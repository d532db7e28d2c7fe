// Networks and recipes as JSON: what model.h5 stores. Reading checks everything; a file may come from anywhere.

internal import FinetuneEngine
package import FinetuneFiles
package import FinetuneModels

/// What does not fit in a description read from a file.
struct JSONDecodingError: Error, CustomStringConvertible {
    let description: String
}

extension JSON {
    fileprivate func text(_ key: String) throws -> String {
        guard let value = self[key]?.stringValue else { throw JSONDecodingError(description: "'\(key)' is no text") }
        return value
    }

    fileprivate func whole(_ key: String, in range: ClosedRange<Int> = 1...1_000_000) throws -> Int {
        guard let value = self[key]?.intValue, range.contains(value) else {
            throw JSONDecodingError(
                description: "'\(key)' is no number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    fileprivate func number(_ key: String) throws -> Double {
        guard let value = self[key]?.doubleValue, value.isFinite else {
            throw JSONDecodingError(description: "'\(key)' is no number")
        }
        return value
    }

    fileprivate func flag(_ key: String) throws -> Bool {
        guard let value = self[key]?.boolValue else {
            throw JSONDecodingError(description: "'\(key)' is neither true nor false")
        }
        return value
    }

    fileprivate func choice<Value: RawRepresentable>(_ key: String) throws -> Value where Value.RawValue == String {
        guard let value = Value(rawValue: try text(key)) else {
            throw JSONDecodingError(description: "'\(key)' has an unknown value")
        }
        return value
    }
}

// MARK: - Networks

extension Network {
    package var json: JSON {
        [
            "name": .string(name), "input_channels": .integer(inputChannels),
            "nodes": .array(
                nodes.map { node in
                    var members: [JSON.Member] = [
                        .init("name", .string(node.name)), .init("stage", .string(node.stage)),
                        .init("inputs", JSON(node.inputs)),
                    ]
                    members += node.operation.members
                    return .object(members)
                }),
        ]
    }

    init(json: JSON) throws {
        var known: Set<String> = [Node.image]
        var nodes: [Node] = []
        for value in json["nodes"]?.arrayValue ?? [] {
            let inputs = (value["inputs"]?.arrayValue ?? []).compactMap(\.stringValue)
            let node = Node(
                try value.text("name"), stage: try value.text("stage"), try Operation(json: value), inputs: inputs)
            guard !inputs.isEmpty, inputs.allSatisfy(known.contains), known.insert(node.name).inserted else {
                throw JSONDecodingError(
                    description: "the node '\(node.name)' reads what does not come before it, or is there twice")
            }
            nodes.append(node)
        }
        guard !nodes.isEmpty else { throw JSONDecodingError(description: "there are no nodes") }
        self.init(name: try json.text("name"), inputChannels: try json.whole("input_channels"), nodes: nodes)
    }
}

extension FinetuneEngine.Operation {
    fileprivate var members: [JSON.Member] {
        switch self {
        case .convolution(let c):
            [
                .init("operation", "convolution"), .init("channels", .integer(c.channels)),
                .init("filters", .integer(c.filters)), .init("groups", .integer(c.groups)),
                .init("bias", .bool(c.hasBias)), .init("window", c.window.json),
            ]
        case .batchNormalization(let normalization):
            [
                .init("operation", "batch_normalization"), .init("channels", .integer(normalization.channels)),
                .init("epsilon", .number(normalization.epsilon)),
                .init("statistics_kept", .number(normalization.statisticsKept)),
                .init("unbiased_variance", .bool(normalization.storesUnbiasedVariance)),
            ]
        case .activation(let activation):
            [.init("operation", "activation"), .init("function", .string(activation.rawValue))]
        case .addition: [.init("operation", "addition")]
        case .channelScaling: [.init("operation", "channel_scaling")]
        case .maxPooling(let window): [.init("operation", "max_pooling"), .init("window", window.json)]
        case .averagePooling(let window, let countsPadding):
            [
                .init("operation", "average_pooling"), .init("window", window.json),
                .init("counts_padding", .bool(countsPadding)),
            ]
        case .globalAveragePooling: [.init("operation", "global_average_pooling")]
        case .zeroPadding(let edges): [.init("operation", "zero_padding"), .init("edges", edges.json)]
        case .subsampling(let step): [.init("operation", "subsampling"), .init("step", .integer(step))]
        case .channelPadding(let before, let after):
            [.init("operation", "channel_padding"), .init("before", .integer(before)), .init("after", .integer(after))]
        case .flatten: [.init("operation", "flatten")]
        case .rowNormalization: [.init("operation", "row_normalization")]
        case .dense(let inputs, let outputs, let hasBias):
            [
                .init("operation", "dense"), .init("channels", .integer(inputs)), .init("outputs", .integer(outputs)),
                .init("bias", .bool(hasBias)),
            ]
        }
    }

    fileprivate init(json: JSON) throws {
        func window() throws -> Window { try Window(json: json["window"] ?? .null) }
        switch try json.text("operation") {
        case "convolution":
            let convolution = Convolution(
                channels: try json.whole("channels"), filters: try json.whole("filters"),
                groups: try json.whole("groups"), window: try window(), hasBias: try json.flag("bias"))
            guard convolution.channels % convolution.groups == 0, convolution.filters % convolution.groups == 0 else {
                throw JSONDecodingError(description: "the groups do not divide the channels")
            }
            self = .convolution(convolution)
        case "batch_normalization":
            self = .batchNormalization(
                BatchNormalization(
                    channels: try json.whole("channels"), epsilon: try json.number("epsilon"),
                    statisticsKept: try json.number("statistics_kept"),
                    storesUnbiasedVariance: json["unbiased_variance"]?.boolValue ?? true))
        case "activation": self = .activation(try json.choice("function"))
        case "addition": self = .addition
        case "channel_scaling": self = .channelScaling
        case "max_pooling": self = .maxPooling(try window())
        case "average_pooling": self = .averagePooling(try window(), countsPadding: try json.flag("counts_padding"))
        case "global_average_pooling": self = .globalAveragePooling
        case "zero_padding": self = .zeroPadding(try Edges(json: json["edges"] ?? .null))
        case "subsampling": self = .subsampling(step: try json.whole("step"))
        case "channel_padding":
            self = .channelPadding(
                before: try json.whole("before", in: 0...1_000_000), after: try json.whole("after", in: 0...1_000_000))
        case "flatten": self = .flatten
        case "row_normalization": self = .rowNormalization
        case "dense":
            self = .dense(
                inputs: try json.whole("channels", in: 1...100_000_000), outputs: try json.whole("outputs"),
                hasBias: try json.flag("bias"))
        case let other: throw JSONDecodingError(description: "the operation '\(other)' is unknown")
        }
    }
}

extension Window {
    fileprivate var json: JSON {
        [
            "height": .integer(height), "width": .integer(width), "stride": .integer(stride),
            "dilation": .integer(dilation),
            "padding": {
                switch padding {
                case .same: return "same"
                case .edges(let edges): return edges.json
                }
            }(),
        ]
    }

    fileprivate init(json: JSON) throws {
        let side = 1...10_000
        self.init(
            try json.whole("height", in: side), try json.whole("width", in: side),
            stride: try json.whole("stride", in: side), dilation: try json.whole("dilation", in: side),
            padding: json["padding"] == "same" ? .same : .edges(try Edges(json: json["padding"] ?? .null)))
    }
}

extension Edges {
    fileprivate var json: JSON { JSON([top, left, bottom, right]) }

    fileprivate init(json: JSON) throws {
        let values = json.arrayValue?.compactMap(\.intValue).filter { (0...10_000).contains($0) } ?? []
        guard values.count == 4 else { throw JSONDecodingError(description: "a padding is no list of four numbers") }
        self.init(top: values[0], left: values[1], bottom: values[2], right: values[3])
    }
}

// MARK: - Recipes

extension InputRecipe {
    package var json: JSON {
        let members: JSON = [
            "size": JSON([height, width]), "channels": .integer(channels), "order": .string(order.rawValue),
            "scale": .number(scale), "mean": JSON(mean), "std": JSON(standardDeviation),
            "interpolation": .string(interpolation.rawValue), "fit": .string(fit.rawValue),
            "crop": .number(1 / resizeRatio), "exif": .string(exif.rawValue),
        ]
        return .object((members.members ?? []) + rareMembers)
    }

    /// What most recipes have the default of, which is not written.
    package var rareMembers: [JSON.Member] {
        let levels = fill.map { Int($0) }
        return [
            antialias ? nil : JSON.Member("antialias", .bool(false)),
            rules == .standard ? nil : JSON.Member("rules", .string(rules.rawValue)),
            depth == InputRecipe.fullDepth ? nil : JSON.Member("depth", .integer(depth)),
            fill == [0] ? nil : JSON.Member("fill", levels.count == 1 ? .integer(levels[0]) : JSON(levels)),
        ].compactMap { $0 }
    }

    /// Reads a recipe; what a hand-written one leaves out is taken from `base`, or from the simplest there is.
    ///
    /// - Throws: An error that names the key which does not fit.
    package init(json: JSON, base: InputRecipe? = nil) throws {
        guard json.members != nil else { throw JSONDecodingError(description: "a recipe is a JSON object") }
        let known: Set = [
            "size", "channels", "order", "scale", "mean", "std", "interpolation", "fit", "crop", "exif", "antialias",
            "rules", "fill", "depth",
        ]
        for member in json.members ?? [] where !known.contains(member.key) {
            throw JSONDecodingError(
                description: "'\(member.key)' is no key of a recipe; they are \(known.sorted().joined(separator: ", "))"
            )
        }
        var recipe = base ?? InputRecipe(height: 224, width: 224, pixels: .unit)
        if json["channels"] != nil { recipe.channels = try json.whole("channels", in: 1...3) }
        guard recipe.channels != 2 else { throw JSONDecodingError(description: "'channels' is 1 or 3") }
        if let size = json["size"] {
            let sides = size.arrayValue?.compactMap(\.intValue) ?? size.intValue.map { [$0, $0] } ?? []
            guard sides.count == 2, sides.allSatisfy({ (1...8192).contains($0) }) else {
                throw JSONDecodingError(description: "'size' is a number of pixels or [height, width]")
            }
            (recipe.height, recipe.width) = (sides[0], sides[1])
        }
        if json["order"] != nil { recipe.order = try json.choice("order") }
        // What is larger, or nearer to zero, leaves the range of the network's own floats.
        let magnitudes = 1e-6...1e6
        if json["scale"] != nil { recipe.scale = try json.number("scale") }
        guard magnitudes.contains(abs(recipe.scale)) else {
            throw JSONDecodingError(
                description: "'scale' is \(recipe.scale), a number from 0.000001 to 1000000 was expected")
        }
        func channels(_ key: String, _ old: [Double]) throws -> [Double] {
            guard let value = json[key] else {
                return old.count == recipe.channels ? old : Array(repeating: old.first ?? 0, count: recipe.channels)
            }
            let values =
                value.arrayValue?.compactMap(\.doubleValue) ?? value.doubleValue.map {
                    Array(repeating: $0, count: recipe.channels)
                } ?? []
            guard values.count == recipe.channels,
                values.allSatisfy({ magnitudes.contains(abs($0)) || (key == "mean" && abs($0) <= 1e6) })
            else {
                throw JSONDecodingError(
                    description: "'\(key)' is no list of \(recipe.channels) numbers of a size that makes sense")
            }
            return values
        }
        recipe.mean = try channels("mean", recipe.mean)
        recipe.standardDeviation = try channels("std", recipe.standardDeviation)
        if json["interpolation"] != nil { recipe.interpolation = try json.choice("interpolation") }
        if json["fit"] != nil { recipe.fit = try json.choice("fit") }
        if json["crop"] != nil {
            let crop = try json.number("crop")
            guard crop > 0.05, crop <= 4 else {
                throw JSONDecodingError(
                    description:
                        "'crop' is \(crop), the input as a fraction of the resized image was expected, 0.05 to 4")
            }
            recipe.resizeRatio = 1 / crop
        }
        if json["exif"] != nil { recipe.exif = try json.choice("exif") }
        if let antialias = json["antialias"] {
            guard let value = antialias.boolValue else {
                throw JSONDecodingError(description: "'antialias' is true or false")
            }
            recipe.antialias = value
        }
        if json["depth"] != nil { recipe.depth = try json.whole("depth", in: 1...InputRecipe.fullDepth) }
        if json["rules"] != nil { recipe.rules = try json.choice("rules") }
        if let fill = json["fill"] {
            let values = fill.arrayValue ?? [fill]
            let levels = values.compactMap { value in value.intValue.flatMap { UInt8(exactly: $0) } }
            guard levels.count == values.count, levels.count == 1 || levels.count == recipe.channels else {
                throw JSONDecodingError(
                    description: "'fill' is a level from 0 to 255, or a list of one for each channel, red first")
            }
            recipe.fill = levels
        } else if recipe.fill.count != recipe.channels {
            recipe.fill = [recipe.fill[0]]
        }
        self = recipe
    }
}
