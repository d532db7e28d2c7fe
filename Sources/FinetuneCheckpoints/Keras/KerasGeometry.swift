// Keras layers and operations that give images a size: Resizing, CenterCrop, and their functions.

internal import FinetuneFiles
internal import FinetuneModels

/// What such layers do, one after the other.
struct KerasGeometry: Equatable {
    /// The size of their result; nil if there are none.
    private(set) var size: ImageSize?
    /// What to know of how it is followed.
    fileprivate(set) var note: String?
    private var fit = InputRecipe.Fit.squash
    private var resizeRatio = 1.0
    private var interpolation = InputRecipe.Interpolation.bilinear
    private var antialias = false
    private var fill: [UInt8] = [0]

    /// Puts the geometry into a recipe.
    func apply(to recipe: inout InputRecipe) {
        guard let size else { return }
        (recipe.height, recipe.width) = (size.height, size.width)
        (recipe.fit, recipe.resizeRatio, recipe.rules) = (fit, resizeRatio, .keras)
        (recipe.interpolation, recipe.antialias, recipe.fill) = (interpolation, antialias, fill)
    }

    /// Resizes images of any size.
    fileprivate mutating func resize(
        to size: ImageSize, _ fit: InputRecipe.Fit, _ interpolation: InputRecipe.Interpolation, antialias: Bool,
        fill: [UInt8]
    ) {
        (self.size, self.fit, self.interpolation, self.antialias) = (size, fit, interpolation, antialias)
        self.fill = fill
    }

    /// Cuts out the middle.
    ///
    /// - Returns: Whether that can be said in a recipe.
    fileprivate mutating func crop(to crop: ImageSize) -> Bool {
        guard let size else {
            (self.size, fit) = (crop, .unscaled)
            return true
        }
        let ratios = (Double(size.height) / Double(crop.height), Double(size.width) / Double(crop.width))
        guard resizeRatio == 1, fit != .unscaled, abs(ratios.0 - ratios.1) < 1e-9, ratios.0 >= 1 else { return false }
        (self.size, resizeRatio) = (crop, ratios.0)
        return true
    }
}

extension KerasGraph {
    private static let interpolations: [String: InputRecipe.Interpolation] = [
        "bilinear": .bilinear, "nearest": .nearest, "bicubic": .bicubic, "lanczos3": .lanczos,
    ]

    /// What a layer makes of the geometry of images.
    func geometry(_ layer: Layer, _ pixels: PixelPreparation) throws -> KerasGeometry {
        var geometry = pixels.geometry
        let config = layer.config
        let sides = (config["size"] ?? layer.call.options["size"])?.arrayValue?.compactMap(\.intValue) ?? []
        guard let height = config["height"]?.intValue ?? sides.first,
            let width = config["width"]?.intValue ?? sides.last,
            (1...8192).contains(height), (1...8192).contains(width)
        else { throw refuse(layer, "has no size") }
        if let format = config["data_format"]?.stringValue, format != "channels_last" {
            throw refuse(layer, "keeps channels first, only channels_last is read")
        }
        let size = ImageSize(height: height, width: width)
        if layer.kind == "CenterCrop" {
            // An input of one size is given images of that size.
            if geometry.size == nil, let inputSize {
                geometry.resize(to: inputSize, .squash, .bilinear, antialias: true, fill: [0])
            }
            guard geometry.crop(to: size) else {
                throw refuse(
                    layer,
                    "crops to another shape than a layer before it has given, or a second time, which is not read")
            }
            return geometry
        }
        guard geometry.size == nil else { throw refuse(layer, "resizes a second time, which is not read") }
        func option(_ key: String) -> JSON? { config[key] ?? layer.call.options[key] }
        if let inputSize, inputSize != size {
            geometry.note =
                "The model's input is \(inputSize.height)×\(inputSize.width) and its layer '\(layer.name)' makes \(height)×\(width) of it; pictures are resized to \(height)×\(width) at once."
        }
        if option("preserve_aspect_ratio")?.boolValue == true {
            throw refuse(layer, "keeps the shape of images, so that each has another size")
        }
        let name = (option("interpolation") ?? option("method"))?.stringValue ?? "bilinear"
        guard let interpolation = Self.interpolations[name.lowercased()] else {
            throw refuse(
                layer, "resizes by '\(name)'; \(Self.interpolations.keys.sorted().joined(separator: ", ")) are read")
        }
        let crops = option("crop_to_aspect_ratio")?.boolValue ?? false
        let pads = option("pad_to_aspect_ratio")?.boolValue ?? false
        guard !crops || !pads else { throw refuse(layer, "is told to crop and to pad, which contradict each other") }
        if pads, let mode = option("fill_mode")?.stringValue, mode != "constant" {
            throw refuse(layer, "pads by '\(mode)', only constant is read")
        }
        let value = pads ? option("fill_value")?.doubleValue ?? 0 : 0
        geometry.resize(
            to: size, pads ? .pad : crops ? .crop : .squash, interpolation,
            antialias: option("antialias")?.boolValue ?? false, fill: try level(of: value, layer, pixels))
        return geometry
    }

    /// The levels of the image that are `value` once the layers before have scaled them.
    private func level(of value: Double, _ layer: Layer, _ pixels: PixelPreparation) throws -> [UInt8] {
        var levels: [UInt8] = Array(repeating: 0, count: pixels.channels.count)
        for channel in pixels.channels where levels.indices.contains(channel.source) {
            let level = ((value - channel.offset) / channel.factor).rounded()
            guard let whole = UInt8(exactly: level) else {
                throw refuse(layer, "pads with \(value), which is no level of a picture")
            }
            levels[channel.source] = whole
        }
        return Set(levels).count == 1 ? [levels[0]] : levels
    }
}
