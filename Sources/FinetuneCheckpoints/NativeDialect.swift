// Our own file, model.h5: the network as data, its tensors by canonical name, and everything that prediction needs.
//
//   /                 attribute finetune_format = "1"
//   /model            JSON as bytes: network, recipe, classes, precision, hashes of training images
//   /weights/<name>   float32, one dataset a tensor

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

enum NativeDialect {
    static let marker = "finetune_format"
    static let version = "1"
    static let document = "model"

    static func read(_ arrays: NamedArrays, path: String) throws -> Model {
        func fail(_ reason: String) -> CheckpointError { .cannotLoad(path, reason) }
        guard arrays.text(marker, of: "") == version else {
            throw fail("it is of a newer format than this program knows. Install a newer finetune.")
        }
        guard let bytes = arrays.arrays[document]?.tensor.values.map({ UInt8(exactly: $0) ?? 0 }) else {
            throw fail("its description of the model is missing.")
        }
        let text: JSON
        do {
            text = try JSON(parsing: bytes)
        } catch {
            throw fail("its description of the model is \(error).")
        }
        let network: Network
        do {
            network = try Network(json: text["network"] ?? .null)
        } catch let error as JSONDecodingError {
            throw fail("its description of the network is damaged: \(error.description).")
        }
        let recipe: InputRecipe?
        do {
            recipe = try text["recipe"].flatMap { $0 == .null ? nil : try InputRecipe(json: $0) }
        } catch let error as JSONDecodingError {
            throw fail("its description of the input is damaged: \(error.description).")
        }
        var table = TensorTable()
        let prefix = "weights/"
        for (name, entry) in arrays.arrays where name.hasPrefix(prefix) {
            table.add(String(name.dropFirst(prefix.count)), entry.tensor, fileName: name)
        }
        for (name, problem) in arrays.problems where name.hasPrefix(prefix) {
            table.add(String(name.dropFirst(prefix.count)), nil, fileName: name, problem: problem)
        }
        let classes = text["classes"]?.arrayValue?.compactMap(\.stringValue)
        let model = Model(
            network: network, weights: try table.weights(for: network, path: path),
            recipe: recipe, recipeSource: text["recipe_source"]?.stringValue, classes: classes,
            precision: text["precision"]?.stringValue.flatMap(Precision.init),
            trainingImages: Set(text["training_images"]?.arrayValue?.compactMap(\.stringValue) ?? []),
            dialect: Model.ownDialect)
        guard classes == nil || classes?.count == model.headOutputs else {
            throw fail("its classes do not match its head.")
        }
        return model
    }

    static func write(_ model: Model, to path: String) throws -> Int {
        let document: JSON = [
            "network": model.network.json,
            "recipe": model.recipe.map(\.json) ?? .null,
            "recipe_source": model.recipeSource.map { .string($0) } ?? .null,
            "classes": model.classes.map { JSON($0) } ?? .null,
            "precision": model.precision.map { .string($0.rawValue) } ?? .null,
            "training_images": JSON(model.trainingImages.sorted()),
        ]
        try AtomicFile.write(to: path) { temporary in
            let file = try HDF5Writer(temporary, shownAs: path)
            try file.setText(NativeDialect.marker, NativeDialect.version)
            try file.write(bytes: Array(document.text.utf8), as: NativeDialect.document)
            try file.makeGroup("weights")
            for (name, tensor) in model.weights.sorted(by: { $0.key < $1.key }) {
                try file.write(tensor, as: "weights/\(name)")
            }
            try file.finish()
        }
        return model.weights.count
    }
}
