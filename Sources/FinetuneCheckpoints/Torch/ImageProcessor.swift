// The words in which timm and transformers publish how images become inputs, read into a recipe (timm/data/config.py and
// transforms_factory.py of timm 1.0.31; the image processors of transformers 5.24). What a document leaves out has the
// library's default.

internal import FinetuneFiles
internal import FinetuneModels

/// A published preprocessing.
struct ImageProcessor {
    private typealias Misfit = ConfigurationReader.Misfit

    /// What is not followed, by name.
    private(set) var warnings: [String] = []

    private var size = ImageSize(height: 224, width: 224)
    private var fit = InputRecipe.Fit.crop
    private var resizeRatio = 1.0
    private var rules = InputRecipe.Rules.timm
    private var interpolation = InputRecipe.Interpolation.bicubic
    private var order = InputRecipe.Order.rgb
    private var scale = 1 / 255.0
    /// After scaling, red first; empty for the mean and deviation of ImageNet.
    private var mean: [Double] = InputRecipe.Pixels.torch.mean
    private var deviation: [Double] = InputRecipe.Pixels.torch.standardDeviation
    private var fillsWithMean = false
    private var declaredChannels: Int?

    /// Puts the preprocessing into a recipe, whose channels are those of the network.
    func apply(to recipe: inout InputRecipe) throws {
        let channels = recipe.channels
        func spread(_ values: [Double], _ name: String) throws -> [Double] {
            switch values.count {
            case channels: return values
            case 1: return Array(repeating: values[0], count: channels)
            default:
                // Gray images take the mean of the three.
                guard channels == 1 else {
                    throw Misfit(
                        reason:
                            "the published preprocessing has \(values.count) numbers as \(name), and the network reads \(channels) channels"
                    )
                }
                return [values.reduce(0, +) / Double(values.count)]
            }
        }
        // A network of one channel may have been made of one for colours, whose words it keeps.
        if let declaredChannels, declaredChannels != channels, declaredChannels != 3 || channels != 1 {
            throw Misfit(
                reason:
                    "the published preprocessing is for \(declaredChannels) channels, and the first convolution reads \(channels)"
            )
        }
        (recipe.height, recipe.width) = (size.height, size.width)
        (recipe.fit, recipe.resizeRatio, recipe.rules, recipe.interpolation) = (fit, resizeRatio, rules, interpolation)
        let (means, deviations) = (try spread(mean, "mean"), try spread(deviation, "std"))
        (recipe.order, recipe.scale) = (channels == 1 ? .rgb : order, scale)
        recipe.mean = order == .bgr ? means.reversed() : means
        recipe.standardDeviation = order == .bgr ? deviations.reversed() : deviations
        if fillsWithMean {
            recipe.fill = means.map { UInt8(clamping: Int((255 * $0).rounded(.toNearestOrEven))) }
        }
    }

    private static let plausible = -1e6...1e6
    private static let positive = 1e-6...1e6

    // MARK: timm

    private static let timmIrrelevant: Set = [
        "url", "file", "hf_hub_id", "hf_hub_filename", "source", "architecture", "tag", "custom_load", "state_dict",
        "test_input_size", "min_input_size", "fixed_input_size", "test_crop_pct", "num_classes", "label_offset",
        "label_names", "label_descriptions", "pool_size", "test_pool_size", "first_conv", "classifier", "license",
        "description", "origin_url", "paper_name", "paper_ids", "notes",
    ]

    /// All keys of `pretrained_cfg`.
    static let timmKeys = timmIrrelevant.union(["input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std"])

    /// timm's `pretrained_cfg`: `input_size` (channels first), `interpolation`, `crop_pct`, `crop_mode`, `mean`, `std`.
    init(timm reader: inout ConfigurationReader) throws {
        rules = .timm
        if let value = reader["input_size"] {
            let sizes = value.allNumbers?.compactMap { Int(exactly: $0) } ?? []
            guard sizes.count == 3, sizes.allSatisfy({ (1...8192).contains($0) }) else {
                throw reader.misfit("input_size", value, "channels, height and width")
            }
            (declaredChannels, size) = (sizes[0], ImageSize(height: sizes[1], width: sizes[2]))
        }
        if let name = try reader.text("interpolation") {
            guard let known = InputRecipe.Interpolation(rawValue: name) else {
                throw reader.misfit(
                    "interpolation", .string(name), "nearest, box, bilinear, hamming, bicubic or lanczos")
            }
            interpolation = known
        }
        let crop = try reader.number("crop_pct", in: 0.05...4) ?? 0.875
        resizeRatio = 1 / crop
        switch try reader.text("crop_mode") ?? "center" {
        case "center": fit = .crop
        case "squash": fit = .squash
        case "border": (fit, fillsWithMean) = (.pad, true)
        case let other: throw reader.misfit("crop_mode", .string(other), "center, squash or border")
        }
        mean = try Self.numbers(&reader, "mean", Self.plausible) ?? mean
        deviation = try Self.numbers(&reader, "std", Self.positive) ?? deviation
        reader.ignore(Self.timmIrrelevant)
    }

    /// One number or several.
    private static func numbers(_ reader: inout ConfigurationReader, _ key: String, _ range: ClosedRange<Double>) throws
        -> [Double]?
    {
        guard let value = reader[key] else { return nil }
        guard let numbers = value.allNumbers, !numbers.isEmpty, numbers.allSatisfy(range.contains) else {
            throw reader.misfit(key, value, "numbers from \(range.lowerBound) to \(range.upperBound)")
        }
        return numbers
    }

    // MARK: transformers

    /// What one of transformers' classes does if its document does not say otherwise.
    private struct Kind {
        enum Resize { case plain, convNext, levit, poolFormer }

        var resize = Resize.plain
        /// A side, or nil if both sides have it.
        var shortestEdge: Int?
        var side = 224
        var isSquare = true
        var crop: Int?
        var crops = false
        var resample = 3
        var mean = [0.5]
        var deviation = [0.5]
        var flips = false
        var neverNormalizes = false
        var includesTop = false
        /// Keys that only this class reads.
        var own: Set<String> = []
    }

    private static let clipMean = [0.48145466, 0.4578275, 0.40821073]
    private static let clipDeviation = [0.26862954, 0.26130258, 0.27577711]

    private static let kinds: [String: Kind] = {
        let torch = InputRecipe.Pixels.torch
        let clip = Kind(
            shortestEdge: 224, isSquare: false, crop: 224, crops: true, mean: clipMean, deviation: clipDeviation)
        var square = clip
        square.own = ["use_square_size"]
        let mobile = Kind(shortestEdge: 256, isSquare: false, crop: 224, crops: true, resample: 2)
        let vit = Kind(resample: 2)
        return [
            "ConvNext": Kind(resize: .convNext, shortestEdge: 384, isSquare: false, own: ["crop_pct"]),
            "ViT": vit, "ViTHybrid": clip, "CLIP": square, "Bit": clip, "ChineseCLIP": clip,
            "DeiT": Kind(side: 256, crop: 224, crops: true), "Beit": Kind(crop: 224),
            "EfficientNet": Kind(
                side: 346, crop: 289, includesTop: true, own: ["rescale_offset", "include_top"]),
            "MobileNetV1": mobile, "MobileNetV2": mobile, "Siglip": Kind(isSquare: false),
            "Levit": Kind(
                resize: .levit, shortestEdge: 224, isSquare: false, crop: 224, crops: true, mean: torch.mean,
                deviation: torch.standardDeviation),
            "PoolFormer": Kind(
                resize: .poolFormer, shortestEdge: 224, isSquare: false, crop: 224, crops: true, mean: torch.mean,
                deviation: torch.standardDeviation, own: ["crop_pct"]),
            "MobileViT": Kind(
                shortestEdge: 224, isSquare: false, crop: 256, crops: true, flips: true, neverNormalizes: true,
                own: ["do_flip_channel_order"]),
            "Pvt": Kind(mean: torch.mean, deviation: torch.standardDeviation),
            "DINOv3ViT": Kind(resample: 2, mean: torch.mean, deviation: torch.standardDeviation),
            "Blip": Kind(side: 384, mean: clipMean, deviation: clipDeviation),
        ]
    }()

    /// Keys that few classes read.
    private static let rare: Set = [
        "crop_pct", "use_square_size", "rescale_offset", "include_top", "do_flip_channel_order",
    ]

    private static let transformersIrrelevant: Set = [
        "do_convert_rgb", "processor_class", "_processor_class", "data_format", "input_data_format", "return_tensors",
        "device", "disable_grouping", "do_reduce_labels", "reduce_labels", "auto_map", "_valid_processor_keys",
        "default_to_square", "image_processor_type", "feature_extractor_type", "transformers_version", "num_channels",
        "image_seq_length",
    ]

    /// transformers' `preprocessor_config.json` of an image processor.
    init(transformers reader: inout ConfigurationReader) throws {
        rules = .transformers
        // A ResNet's own processor is ConvNeXT's.
        let type =
            try reader.text("image_processor_type") ?? reader.text("feature_extractor_type") ?? "ConvNextImageProcessor"
        let name = ["Fast", "Pil", "ImageProcessor", "FeatureExtractor"].reduce(type) {
            $0.hasSuffix($1) ? String($0.dropLast($1.count)) : $0
        }
        let known = Self.kinds[name]
        if known == nil {
            warnings.append(
                "The image processor '\(type)' of \(reader.source) is not known here; its keys are followed as in transformers' other processors."
            )
        }
        var kind = known ?? Kind(resample: 2)
        // What only other classes read changes nothing; of a class that is not known, all is read.
        if known == nil { kind.own = Self.rare }
        reader.ignore(Self.rare)
        if let isSquare = try reader.flag("default_to_square") { kind.isSquare = isSquare }
        try readGeometry(&reader, kind)
        try readPixels(&reader, kind)
        if let resample = reader["resample"] {
            let names: [Int: InputRecipe.Interpolation] = [
                0: .nearest, 1: .lanczos, 2: .bilinear, 3: .bicubic, 4: .box, 5: .hamming,
            ]
            guard
                let filter = resample.intValue.flatMap({ names[$0] })
                    ?? resample.stringValue.flatMap({ .init(rawValue: $0.lowercased()) })
            else { throw reader.misfit("resample", resample, "a filter of Pillow, 0 to 5") }
            interpolation = filter
        } else {
            interpolation = kind.resample == 2 ? .bilinear : .bicubic
        }
        reader.ignore(Self.transformersIrrelevant)
    }

    private enum Size: Equatable {
        case shortestEdge(Int)
        case sides(Int, Int)
    }

    private mutating func readGeometry(_ reader: inout ConfigurationReader, _ kind: Kind) throws {
        var wanted: Size = kind.shortestEdge.map { .shortestEdge($0) } ?? .sides(kind.side, kind.side)
        if let value = reader["size"] {
            if let size = try Self.size(value, "size", kind.isSquare, reader) {
                wanted = size
            } else {
                if let edge = value["shortest_edge"]?.intValue, (1...8192).contains(edge) {
                    self.size = ImageSize(height: edge, width: edge)
                }
                warnings.append(
                    "\(reader.source) has size \(value.text), by which each image has another size; images are cut to \(self.size.height)×\(self.size.width) here. --size and --fit change that."
                )
                wanted = .shortestEdge(size.height)
            }
        }
        if kind.own.contains("use_square_size"), try reader.flag("use_square_size") == true,
            case .shortestEdge(let side) = wanted
        {
            wanted = .sides(side, side)
        }
        var crop: (height: Int, width: Int)?
        if try reader.flag("do_center_crop") ?? kind.crops {
            crop = kind.crop.map { ($0, $0) }
            if let value = reader["crop_size"] {
                guard case .sides(let height, let width)? = try Self.size(value, "crop_size", true, reader) else {
                    throw reader.misfit("crop_size", value, "height and width")
                }
                crop = (height, width)
            }
        } else {
            reader.ignore(["crop_size"])
        }
        if try reader.flag("do_pad") == true {
            warnings.append("\(reader.source) has do_pad, which is not followed.")
        }
        reader.ignore(["pad_size"])
        let percentage = kind.own.contains("crop_pct") ? try reader.number("crop_pct", in: 0.05...4) : nil
        guard try reader.flag("do_resize") ?? true else {
            fit = .unscaled
            if let crop {
                size = ImageSize(height: crop.height, width: crop.width)
            } else {
                switch wanted {
                case .shortestEdge(let side): size = ImageSize(height: side, width: side)
                case .sides(let height, let width): size = ImageSize(height: height, width: width)
                }
                warnings.append(
                    "\(reader.source) has do_resize false, by which each image keeps its size; the middle of \(size.height)×\(size.width) pixels is cut out here. --size changes that."
                )
            }
            return
        }
        try resize(to: wanted, crop, percentage, kind, reader)
    }

    private mutating func resize(
        to wanted: Size, _ crop: (height: Int, width: Int)?, _ percentage: Double?, _ kind: Kind,
        _ reader: ConfigurationReader
    ) throws {
        switch wanted {
        case .shortestEdge(var side):
            switch kind.resize {
            case .convNext where side >= 384 && crop == nil:
                (fit, size) = (.squash, ImageSize(height: side, width: side))
                return
            case .convNext where crop == nil:
                fit = .crop
                size = ImageSize(height: side, width: side)
                resizeRatio = Double(Int(Double(side) / (percentage ?? 224.0 / 256))) / Double(side)
                return
            case .convNext where side < 384: side = Int(Double(side) / (percentage ?? 224.0 / 256))
            case .poolFormer: side = Int(Double(side) / (percentage ?? 0.9))
            case .levit: side = Int(256.0 / 224 * Double(side))
            default: break
            }
            fit = .crop
            if let crop {
                size = ImageSize(height: crop.height, width: crop.width)
                resizeRatio = Double(side) / Double(min(crop.height, crop.width))
            } else {
                size = ImageSize(height: side, width: side)
                warnings.append(
                    "\(reader.source) resizes the short side to \(side) and crops nothing, by which each image has another shape; the middle square is cut out here. --fit changes that."
                )
            }
        case .sides(let height, let width):
            guard kind.resize != .convNext else {
                throw reader.misfit(
                    "size", ["height": .integer(height), "width": .integer(width)],
                    "a shortest_edge of a ConvNextImageProcessor")
            }
            fit = .squash
            guard let crop else {
                size = ImageSize(height: height, width: width)
                return
            }
            let ratios = (Double(height) / Double(crop.height), Double(width) / Double(crop.width))
            guard abs(ratios.0 - ratios.1) < 1e-9 else {
                throw Misfit(
                    reason:
                        "\(reader.source) resizes to \(height)×\(width) and cuts out \(crop.height)×\(crop.width), which have other shapes; that is not read"
                )
            }
            size = ImageSize(height: crop.height, width: crop.width)
            resizeRatio = ratios.0
        }
    }

    /// A size in one of its spellings; nil for those that depend on the image.
    private static func size(_ value: JSON, _ key: String, _ isSquare: Bool, _ reader: ConfigurationReader) throws
        -> Size?
    {
        let range = 1...8192
        if let side = value.intValue, range.contains(side) {
            return isSquare ? .sides(side, side) : .shortestEdge(side)
        }
        if let list = value.arrayValue?.compactMap(\.intValue), list.count == value.arrayValue?.count,
            list.allSatisfy(range.contains)
        {
            if list.count == 1 { return isSquare ? .sides(list[0], list[0]) : .shortestEdge(list[0]) }
            if list.count == 2 { return .sides(list[0], list[1]) }
        }
        func side(_ name: String) -> Int? { value[name]?.intValue.flatMap { range.contains($0) ? $0 : nil } }
        if let height = side("height"), let width = side("width") { return .sides(height, width) }
        if let edge = side("shortest_edge"), value["longest_edge"] ?? .null == .null { return .shortestEdge(edge) }
        if ["longest_edge", "max_height", "max_width"].contains(where: { side($0) != nil }) { return nil }
        throw reader.misfit(key, value, "a number, height and width, or shortest_edge, each from 1 to 8192")
    }

    private mutating func readPixels(_ reader: inout ConfigurationReader, _ kind: Kind) throws {
        let rescales = try reader.flag("do_rescale") ?? true
        let factor = try reader.number("rescale_factor", in: Self.positive) ?? 1 / 255.0
        let hasOffset = try kind.own.contains("rescale_offset") && reader.flag("rescale_offset") ?? false
        scale = rescales ? factor : 1
        let offset = rescales && hasOffset ? 1.0 : 0
        let normalizes = try reader.flag("do_normalize") ?? true && !kind.neverNormalizes
        let means = try Self.numbers(&reader, "image_mean", Self.plausible) ?? kind.mean
        let deviations = try Self.numbers(&reader, "image_std", Self.positive) ?? kind.deviation
        mean = normalizes ? means.map { $0 + offset } : [offset]
        deviation = normalizes ? deviations : [1]
        // EfficientNet's processor divides once more for classification.
        if kind.own.contains("include_top"), try reader.flag("include_top") ?? kind.includesTop {
            deviation = deviations.enumerated().map { $1 * (normalizes ? $1 : 1) }
        }
        if kind.own.contains("do_flip_channel_order"), try reader.flag("do_flip_channel_order") ?? kind.flips {
            order = .bgr
        }
    }
}
