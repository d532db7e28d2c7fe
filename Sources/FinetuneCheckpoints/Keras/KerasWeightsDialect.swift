// Weights of keras.applications' networks without their model: the network is told from the layers' names.

internal import FinetuneEngine
internal import FinetuneModels

enum KerasWeightsDialect {
    static func read(_ weights: [KerasWeight], path: String) throws -> Model {
        guard let names = Families.kerasNames(of: weights.map(\.layer), areComplete: false) else {
            throw CheckpointError.cannotLoad(
                path,
                "it holds weights without their network, and its layers are not named like those of a family that is read (\(Families.list) of keras.applications). Save the whole model, whose layers are read one by one."
            )
        }
        var table = TensorTable()
        var head = ListedHead()
        var fileNames: [String: String] = [:]
        for weight in weights {
            guard let (role, tensor) = weight.canonical else {
                table.strangers.append(weight.fileName)
                continue
            }
            guard let name = names.module(layer: weight.layer) else {
                head.add(
                    .init(
                        name: "\(weight.layer).\(role)", fileName: weight.fileName, tensor: tensor,
                        problem: weight.problem))
                continue
            }
            fileNames[name] = weight.layer
            table.add("\(name).\(role)", tensor, fileName: weight.fileName, problem: weight.problem)
        }
        table.fileName = { name in
            let module = String(name[..<(name.lastIndex(of: ".") ?? name.endIndex)])
            return fileNames[module] ?? names.layer(module: module) ?? name
        }
        var design = try names.network(&table, &head, path: path)
        for stranger in head.strangers(channels: design.inputChannels, isInside: { _ in true }) {
            table.strangers.append(stranger.fileName)
        }
        let leftOut = head.complete(&design, &table)
        let network = design.network()
        var (recipe, source) = names.recipe(size: design.imageSize.map { ImageSize(height: $0, width: $0) })
        if design.inputChannels != recipe.channels {
            recipe = InputRecipe(
                height: recipe.height, width: recipe.width, channels: design.inputChannels,
                pixels: recipe.pixels.spread(over: design.inputChannels), fit: recipe.fit)
        }
        var model = Model(
            network: network, weights: try table.weights(for: network, path: path), recipe: recipe,
            recipeSource: source, dialect: "Keras weights")
        model.leftOutHead = leftOut
        if model.headOutputs == 1 { model.outputMeaning = .unknown }
        return model
    }
}
