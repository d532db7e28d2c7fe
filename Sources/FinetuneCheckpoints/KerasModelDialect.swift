// Keras whole models (`model.save('m.h5')`, `model.save('m.keras')`): the graph comes from the configuration, as data;
// nothing in it is ever executed. Keras 2 and Keras 3 write the same layers with different words for their connections.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

enum KerasModelDialect {
    static func read(_ config: JSON, _ weights: [KerasWeight], _ arrays: NamedArrays, path: String) throws -> Model {
        var graph = KerasGraph(path: path)
        try graph.read(config)
        var table = TensorTable()
        for weight in weights {
            if graph.isNormalization(weight.layer) {
                graph.statistics["\(weight.layer).\(weight.role)"] = weight.tensor?.values.map { Double($0) }
            } else if let (role, tensor) = weight.canonical {
                table.add("\(weight.layer).\(role)", tensor, fileName: weight.fileName, problem: weight.problem)
            } else {
                table.strangers.append(weight.fileName)
            }
        }
        let network = try graph.network(table)
        for (layer, channels) in graph.normalizationsWithout {
            // A batch norm may leave out its factor (`scale: false`) or its offset (`center: false`).
            if channels.scale {
                table.add("\(layer).weight", Tensor(shape: [channels.count], repeating: 1), fileName: "(none)")
            }
            if channels.center {
                table.add("\(layer).bias", Tensor(shape: [channels.count], repeating: 0), fileName: "(none)")
            }
        }
        var model = Model(
            network: network, weights: try table.weights(for: network, path: path), recipe: nil,
            inputSize: graph.inputSize, dialect: "Keras whole model")
        if let pixels = graph.pixels {
            let size = graph.inputSize ?? ImageSize(height: 224, width: 224)
            model.recipe = InputRecipe(
                height: size.height, width: size.width, channels: network.inputChannels, pixels: pixels, fit: .squash)
            model.recipeSource = "the model's own \(graph.preprocessingLayers.joined(separator: ", "))"
        } else if let era = KerasNames.Era.told(network.nodes.map(\.name)) {
            let (recipe, source) = InputRecipe.keras(era, size: graph.inputSize)
            (model.recipe, model.recipeSource) = (recipe, source)
        }
        Sidecar(arrays).applyOwn(to: &model)
        return model
    }
}
