// What stands beside a state dict in words: timm's and transformers' `config.json` and `preprocessor_config.json`, and
// the metadata that we write ourselves.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

struct Sidecar {
    /// Names of documents in `NamedArrays`.
    static let config = "config.json"
    static let preprocessor = "preprocessor_config.json"
    /// What our own writers say in metadata and attributes.
    static let recipe = "finetune_recipe"
    static let classes = "finetune_classes"
    /// Our names of a Keras file's layers.
    static let names = "finetune_names"
    /// The network in the field's words.
    static let architecture = "finetune_architecture"

    private var documents: [String: JSON]
    private var config: JSON? { documents[Self.config] }

    init(_ arrays: NamedArrays) {
        documents = arrays.documents
        for name in [Self.recipe, Self.classes, Self.names, Self.architecture] {
            if let text = arrays.text(name, of: "") { documents[name] = .string(text) }
        }
    }

    /// What our writers put into metadata and attributes.
    static func texts(for model: Model) -> [(String, String)] {
        var texts: [(String, String)] = []
        if let recipe = model.recipe { texts.append((Self.recipe, recipe.json.text)) }
        if let classes = model.classes { texts.append((Self.classes, JSON(classes).text)) }
        return texts
    }

    // MARK: The graph, as far as transformers' configuration tells it

    /// Whether the stride is taken by the first convolution of a bottleneck.
    var stridesFirst: Bool { config?["downsample_in_bottleneck"]?.boolValue ?? false }

    var firstStride: Int { config?["downsample_in_first_stage"]?.boolValue == true ? 2 : 1 }

    /// What the configuration asks for and is not read.
    var obstacle: String? {
        guard let activation = config?["hidden_act"]?.stringValue, activation != "relu" else { return nil }
        return "asks for the activation '\(activation)', only relu is read here"
    }

    // MARK: The images

    /// Puts what the documents say of images and classes into the model.
    func apply(to model: inout Model, convention: InputRecipe) {
        if let (recipe, source) = published(convention) {
            if let classes = config?["num_classes"]?.intValue, let outputs = model.headOutputs, classes != outputs {
                model.notes.append(
                    "config.json beside the file is for \(classes) classes, the file's head has \(outputs); its preprocessing is used all the same."
                )
            }
            model.recipe = recipe
            model.recipeSource = source
        }
        if let classes = classNames, classes.count == model.headOutputs { model.classes = classes }
        applyOwn(to: &model)
    }

    /// Puts what our own writers said into the model.
    func applyOwn(to model: inout Model) {
        if let json = own(Self.recipe), let recipe = try? InputRecipe(json: json) {
            model.recipe = recipe
            model.recipeSource = "saved in the file"
        }
        if let classes = own(Self.classes)?.arrayValue?.compactMap(\.stringValue), classes.count == model.headOutputs {
            model.classes = classes
        }
        if let text = documents[Self.architecture]?.stringValue, text.utf8.count < 200 { model.network.name = text }
        if let names = own(Self.names)?.members {
            model.rename(names.compactMap { member in member.value.stringValue.map { (member.key, $0) } })
        }
    }

    /// What our own writers said under a name, which metadata and attributes hold as text.
    private func own(_ name: String) -> JSON? {
        documents[name]?.stringValue.flatMap { try? JSON(parsing: $0) }
    }

    private var classNames: [String]? {
        if let names = config?["label_names"]?.arrayValue { return names.compactMap(\.stringValue) }
        guard let members = config?["id2label"]?.members else { return nil }
        let names = members.compactMap { member in
            Int(member.key).flatMap { index in member.value.stringValue.map { (index, $0) } }
        }.sorted { $0.0 < $1.0 }
        guard names.map(\.0) == Array(names.indices) else { return nil }
        return names.allSatisfy { $0.1 == "LABEL_\($0.0)" } ? nil : names.map(\.1)
    }

    private func published(_ convention: InputRecipe) -> (InputRecipe, source: String)? {
        if let timm = config?["pretrained_cfg"], let recipe = Self.timm(timm, convention) {
            return (recipe, "pretrained_cfg in config.json")
        }
        if let json = documents[Self.preprocessor], let recipe = Self.transformers(json, convention) {
            return (recipe, Self.preprocessor)
        }
        return nil
    }

    /// timm's `pretrained_cfg`: `mean`, `std`, `input_size` (channels first), `crop_pct`, `interpolation`, `crop_mode`.
    private static func timm(_ json: JSON, _ convention: InputRecipe) -> InputRecipe? {
        var recipe = convention
        guard recipe.read(json["mean"], json["std"]) else { return nil }
        if let size = json["input_size"]?.arrayValue?.compactMap(\.intValue), size.count == 3,
            size.allSatisfy({ (1...8192).contains($0) })
        {
            (recipe.height, recipe.width) = (size[1], size[2])
        }
        if let crop = json["crop_pct"]?.doubleValue, crop > 0.05, crop <= 1 { recipe.resizeRatio = 1 / crop }
        if let name = json["interpolation"]?.stringValue, let interpolation = InputRecipe.Interpolation(rawValue: name)
        {
            recipe.interpolation = interpolation
        }
        switch json["crop_mode"]?.stringValue {
        case "squash": recipe.fit = .squash
        case "border": recipe.fit = .pad
        default: break
        }
        return recipe
    }

    /// transformers' ConvNextImageProcessor: up to 384 pixels the middle of a larger image, from there on the whole.
    private static func transformers(_ json: JSON, _ convention: InputRecipe) -> InputRecipe? {
        var recipe = convention
        guard recipe.read(json["image_mean"], json["image_std"]) else { return nil }
        if json["do_rescale"]?.boolValue == false { recipe.scale = 1 }
        if json["do_normalize"]?.boolValue == false {
            recipe.mean = recipe.mean.map { _ in 0 }
            recipe.standardDeviation = recipe.mean.map { _ in 1 }
        }
        let size = json["size"]
        if let side = size?["shortest_edge"]?.intValue ?? size?.intValue, (1...8192).contains(side) {
            (recipe.height, recipe.width) = (side, side)
            recipe.fit = side < 384 ? .crop : .squash
        }
        if let crop = json["crop_pct"]?.doubleValue, crop > 0.05, crop <= 1 { recipe.resizeRatio = 1 / crop }
        // Pillow's numbers of its filters.
        if let filter = json["resample"]?.intValue {
            recipe.interpolation = filter == 0 ? .nearest : filter == 3 ? .bicubic : .bilinear
        }
        return recipe
    }
}

extension InputRecipe {
    /// Takes over a mean and a deviation of pixels in 0…1; false where they are none.
    fileprivate mutating func read(_ mean: JSON?, _ deviation: JSON?) -> Bool {
        let means = mean?.arrayValue?.compactMap(\.doubleValue) ?? []
        let deviations = deviation?.arrayValue?.compactMap(\.doubleValue) ?? []
        guard means.count == channels, deviations.count == channels, means.allSatisfy(\.isFinite),
            deviations.allSatisfy({ $0.isFinite && $0 > 0 })
        else { return false }
        (order, scale, self.mean, standardDeviation) = (.rgb, 1 / 255, means, deviations)
        return true
    }
}
