// Our own file, model.h5: the network as data, its tensors by canonical name, and everything that prediction needs.
//
//   /                 attribute finetune_format = "2"; "1" has no checksums
//   /model            JSON as bytes: network, recipe, classes, precision, quantization, temperature
//   /training_images  half of each training image's hash, 8 bytes, the lowest first
//   /weights/<name>   float32, one dataset a tensor
//   /checksums        see `TensorFile`

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

enum NativeDialect {
    static let marker = "finetune_format"
    static let version = "2"
    /// What earlier releases wrote, and this one reads.
    private static let olderVersion = "1"
    static let document = "model"
    private static let trainingImages = "training_images"

    /// Whether a file is of ours. Either sign will do: a damaged one may have lost the other.
    static func matches(_ arrays: NamedArrays) -> Bool {
        arrays.attribute(marker, of: "") != nil || TensorFile.hasChecksums(arrays)
    }

    static func read(_ arrays: NamedArrays, path: String) throws -> Model {
        func fail(_ reason: String) -> CheckpointError { .cannotLoad(path, reason) }
        let areVerified: Bool
        switch arrays.text(marker, of: "") {
        case version:
            try TensorFile.verify(arrays, path: path)
            areVerified = true
        case olderVersion: areVerified = false
        default:
            guard arrays.attribute(TensorFile.checkpointMarker, of: "") == nil else {
                throw fail(
                    "it is the checkpoint of a training, not a model. Use the model.h5 beside it, or finish the run with --resume."
                )
            }
            throw fail(
                "it is of a newer format than this program knows, or damaged. Install a newer finetune, or copy it again."
            )
        }
        let text = try TensorFile.document(document, in: arrays, path: path)
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
        let temperature = text["temperature"] ?? 1
        guard let temperature = temperature.doubleValue, temperature.isFinite, temperature > 0 else {
            throw fail("its temperature is \(temperature.text), a positive number was expected.")
        }
        let classes = text["classes"]?.arrayValue?.compactMap(\.stringValue)
        var model = Model(
            network: network, weights: try table.weights(for: network, path: path, areVerified: areVerified),
            recipe: recipe, recipeSource: text["recipe_source"]?.stringValue, classes: classes,
            precision: text["precision"]?.stringValue.flatMap(Precision.init),
            quantization: text["quantization"].flatMap(QuantizationRecord.init),
            trainedPart: text["trained_part"].flatMap { TrainedPart(json: $0, network) },
            temperature: temperature,
            trainingImages: numbers(TensorFile.bytes(trainingImages, in: arrays) ?? []),
            dialect: Model.ownDialect)
        if let meaning = text["outputs"]?.stringValue {
            guard let known = OutputMeaning(rawValue: meaning) else {
                throw fail("its outputs mean '\(meaning)', which is not known.")
            }
            model.outputMeaning = known
        }
        guard classes == nil || classes?.count == model.headOutputs else {
            throw fail("its classes do not match its head.")
        }
        return model
    }

    private static func numbers(_ bytes: [UInt8]) -> Set<UInt64> {
        var reader = ByteReader(bytes)
        var numbers: Set<UInt64> = []
        while let number = reader.number(UInt64.self) { numbers.insert(number) }
        return numbers
    }

    static func write(_ model: Model, to path: String) throws -> Int {
        let meaning: [JSON.Member] =
            model.outputMeaning == .classes ? [] : [.init("outputs", .string(model.outputMeaning.rawValue))]
        let members: JSON = [
            "network": model.network.json,
            "recipe": model.recipe.map(\.json) ?? .null,
            "recipe_source": model.recipeSource.map { .string($0) } ?? .null,
            "classes": model.classes.map { JSON($0) } ?? .null,
            "precision": model.precision.map { .string($0.rawValue) } ?? .null,
            "quantization": model.quantization.map(\.json) ?? .null,
            "trained_part": model.trainedPart.map(\.json) ?? .null, "temperature": .number(model.temperature),
        ]
        let document = JSON.object((members.members ?? []) + meaning)
        var file = TensorFile(
            marker: (marker, version), documentName: Self.document, document: document,
            groups: ["weights": model.weights])
        file.bytes[trainingImages] = model.trainingImages.sorted().flatMap(\.littleEndianBytes)
        try file.write(to: path)
        return model.weights.count
    }
}

extension TrainedPart {
    fileprivate init?(json: JSON, _ network: Network) {
        guard let boundary = json["boundary"]?.stringValue,
            let precision = json["precision"]?.stringValue.flatMap(Precision.init),
            boundary == Node.image || network.nodes.contains(where: { $0.name == boundary })
        else { return nil }
        self.init(boundary: boundary, precision: precision)
    }

    fileprivate var json: JSON { ["boundary": .string(boundary), "precision": .string(precision.rawValue)] }
}
