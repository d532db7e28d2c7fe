// finetune inspect: what a weights file holds.

internal import ArgumentParser
internal import FinetuneCheckpoints
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetuneTraining

struct InspectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Says what a weights file holds: dialect, architecture, stages, preprocessing, tensors.",
        discussion: """
            EXAMPLES
              finetune inspect resnet50.h5
              finetune inspect runs/a/model.h5 --json
            """)

    @Argument(help: "A weights file.") var file: String
    @Flag(help: "List every tensor.") var tensors = false
    @OptionGroup(title: "Output") var output: OutputOptions

    func run() async throws {
        let console = Console(output)
        let weights = try WeightFile(file, helper: Installation.helper)
        if tensors, !output.json {
            for tensor in weights.tensors { console.writeOut("\(tensor.name)  \(tensor.type)  \(tensor.shape)") }
        }
        let model = try weights.model()
        let stages = model.network.stages.filter { $0.name != Stage.pooled }
        let input: JSON =
            model.recipe.map { recipe in
                [
                    "height": .integer(recipe.height), "width": .integer(recipe.width),
                    "channels": .integer(recipe.channels),
                    "order": .string(recipe.order.rawValue), "mean": JSON(recipe.mean),
                    "std": JSON(recipe.standardDeviation),
                    "scale": .number(recipe.scale),
                ]
            } ?? [
                "height": model.inputSize.map { .integer($0.height) } ?? .null,
                "width": model.inputSize.map { .integer($0.width) } ?? .null,
                "channels": .integer(model.network.inputChannels), "order": .null, "mean": .null, "std": .null,
            ]
        console.report(
            .done([
                "dialect": .string(model.dialect), "architecture": .string(model.network.name),
                "stages": .array(
                    stages.map {
                        [
                            "name": .string($0.name),
                            "parameters": .integer(model.network.parameterCount(stage: $0.name)),
                        ]
                    }),
                "parameters": .integer(model.network.parameterCount), "input": input,
                "classes": model.classes.map { JSON($0) } ?? model.headOutputs.map { .integer($0) } ?? .null,
                "tensors": .array(
                    weights.tensors.map {
                        ["name": .string($0.name), "shape": JSON($0.shape), "type": .string($0.type)]
                    }),
            ]))
        if !output.json { describe(model, stages.map(\.name), weights.tensors.count, console) }
    }

    private func describe(_ model: Model, _ stages: [String], _ tensorCount: Int, _ console: Console) {
        console.writeOut("dialect        \(model.dialect)")
        console.writeOut("architecture   \(model.network.name)")
        console.writeOut("parameters     \(model.network.parameterCount) in \(tensorCount) tensors")
        for stage in stages {
            console.writeOut(
                "  \(stage)\(String(repeating: " ", count: max(1, 13 - stage.count)))\(model.network.parameterCount(stage: stage))"
            )
        }
        if let recipe = model.recipe {
            console.writeOut(
                "input          \(recipe.height)×\(recipe.width), \(recipe.order.rawValue), \(recipe.fit.rawValue), \(recipe.interpolation.rawValue)"
            )
            console.writeOut(
                "               value · \(recipe.scale.rounded(toPlaces: 6)) − \(recipe.mean), / \(recipe.standardDeviation)"
            )
        } else {
            console.writeOut("input          the file does not say how pixels become numbers: use --recipe")
        }
        console.writeOut(
            "classes        \(model.classes.map { $0.joined(separator: ", ") } ?? model.headOutputs.map { "\($0), unnamed" } ?? "no head")"
        )
    }
}
