// What our own writers put beside the tensors of other formats: preprocessing, classes, names.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

struct Sidecar {
    /// Names of metadata and attributes.
    static let recipe = "finetune_recipe"
    static let classes = "finetune_classes"
    /// Our names of a Keras file's layers.
    static let names = "finetune_names"
    /// The network in the field's words.
    static let architecture = "finetune_architecture"

    private var documents: [String: JSON]

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

    /// Whether our own writers made the file.
    var isOwn: Bool { documents[Self.recipe] != nil }

    /// Puts what our own writers said into the model.
    func applyOwn(to model: inout Model) {
        if let json = own(Self.recipe) {
            do {
                model.recipe = try InputRecipe(json: json)
                model.recipeSource = "saved in the file"
            } catch {
                model.notes.append(
                    "The preprocessing that is saved in the file cannot be read (\(error)) and is not used.")
            }
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
}
