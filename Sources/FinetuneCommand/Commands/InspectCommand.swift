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
        abstract: "Shows what a weights file holds: dialect, architecture, stages, preprocessing, tensors.",
        discussion: """
            EXAMPLES
              finetune inspect resnet50.h5
              finetune inspect model.safetensors --tensors
              finetune inspect runs/a/model.h5 --json
              finetune inspect moco.pth.tar --weights-key encoder_k
            """)

    @Argument(help: ArgumentHelp("The network: \(weightsHelp).", valueName: "file")) var file: String
    @OptionGroup var key: WeightsOptions
    @Flag(help: "List every tensor with its statistics.") var tensors = false
    @OptionGroup(title: "Output") var output: OutputOptions

    func run() async throws {
        let console = Console(output)
        let weights = try WeightFile(file, helper: Installation.helper)
        let summaries = TensorSummary.all(weights.arrays)
        // Said before the network is looked for: they are often why none is found.
        let warnings = TensorSummary.warnings(summaries)
        for warning in warnings { console.report(.warning(warning)) }
        if tensors, !output.json { list(summaries, console) }
        let model = try weights.model(weightsKey: key.weightsKey)
        for remark in model.remarks { console.report(.note(remark, [:])) }
        for note in model.notes { console.report(.warning(note)) }
        console.report(.done(json(model, summaries, warnings + model.notes)))
        if !output.json { describe(model, summaries, console) }
    }

    // MARK: For programs

    private func json(_ model: Model, _ summaries: [TensorSummary], _ warnings: [String]) -> JSON {
        [
            "dialect": .string(model.dialect), "architecture": .string(model.network.name),
            "stages": .array(
                stages(model).map {
                    ["name": .string($0), "parameters": .integer(model.network.parameterCount(stage: $0))]
                }),
            "parameters": .integer(model.network.parameterCount), "input": input(model),
            "classes": model.classes.map { JSON($0) } ?? model.headOutputs.map { .integer($0) } ?? .null,
            "tensors": .array(
                summaries.map {
                    [
                        "name": .string($0.name), "shape": JSON($0.shape), "type": .string($0.type),
                        "minimum": .number($0.minimum), "maximum": .number($0.maximum), "mean": .number($0.mean),
                        "std": .number($0.standardDeviation), "nan": .integer($0.notANumber),
                        "infinite": .integer($0.infinite),
                    ]
                }),
            "warnings": JSON(warnings), "remarks": JSON(model.remarks),
            "outputs": model.headOutputs == nil ? .null : .string(model.outputMeaning.rawValue),
            "left_out_head": model.leftOutHead.map {
                ["layers": .string($0.layers), "reason": .string($0.reason)]
            } ?? .null,
        ]
    }

    private func input(_ model: Model) -> JSON {
        guard let recipe = model.recipe else {
            return [
                "height": model.inputSize.map { .integer($0.height) } ?? .null,
                "width": model.inputSize.map { .integer($0.width) } ?? .null,
                "channels": .integer(model.network.inputChannels), "order": .null, "mean": .null, "std": .null,
                "source": .null,
            ]
        }
        let members: JSON = [
            "height": .integer(recipe.height), "width": .integer(recipe.width), "channels": .integer(recipe.channels),
            "order": .string(recipe.order.rawValue), "mean": JSON(recipe.mean), "std": JSON(recipe.standardDeviation),
            "scale": .number(recipe.scale), "fit": .string(recipe.fit.rawValue),
            "interpolation": .string(recipe.interpolation.rawValue), "crop": .number(1 / recipe.resizeRatio),
            "source": model.recipeSource.map { .string($0) } ?? .null,
        ]
        return .object((members.members ?? []) + recipe.rareMembers)
    }

    private func stages(_ model: Model) -> [String] {
        model.network.stages.map(\.name).filter { $0 != Stage.pooled }
    }

    // MARK: For people

    private func list(_ summaries: [TensorSummary], _ console: Console) {
        let width = min(48, summaries.map(\.name.count).max() ?? 0)
        func pad(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.count))
        }
        console.writeOut("\(pad("tensor", width))  \(pad("type", 8))  \(pad("shape", 20))  min … max, mean ± std")
        for tensor in summaries {
            let range = "\(tensor.minimum.rounded(toPlaces: 4)) … \(tensor.maximum.rounded(toPlaces: 4))"
            let middle = "\(tensor.mean.rounded(toPlaces: 4)) ± \(tensor.standardDeviation.rounded(toPlaces: 4))"
            let shape = tensor.shape.isEmpty ? "scalar" : tensor.shape.map { String($0) }.joined(separator: "×")
            console.writeOut(
                "\(pad(tensor.name.printable(), width))  \(pad(tensor.type, 8))  \(pad(shape, 20))  \(range), \(middle)"
            )
        }
        console.writeOut("")
    }

    private func describe(_ model: Model, _ summaries: [TensorSummary], _ console: Console) {
        let types = Dictionary(grouping: summaries, by: \.type).mapValues(\.count).sorted { $0.value > $1.value }
        console.writeOut("dialect        \(model.dialect)")
        console.writeOut("architecture   \(model.network.name)")
        console.writeOut(
            "parameters     \(model.network.parameterCount); the file has \(summaries.count) tensors (\(types.map { "\($0.value) \($0.key)" }.joined(separator: ", ")))"
        )
        for stage in stages(model) {
            console.writeOut(
                "  \(stage)\(String(repeating: " ", count: max(1, 13 - stage.count)))\(model.network.parameterCount(stage: stage))"
            )
        }
        if let recipe = model.recipe {
            let order = recipe.channels == 1 ? "gray" : recipe.order.rawValue
            console.writeOut(
                "input          \(recipe.height)×\(recipe.width), \(order), \(recipe.fit.rawValue)\(margin(recipe)), \(recipe.interpolation.rawValue)\(rare(recipe))"
            )
            func text(_ numbers: [Double]) -> String {
                "[" + numbers.map { "\(($0 * 1e6).rounded() / 1e6)" }.joined(separator: ", ") + "]"
            }
            console.writeOut(
                "               (pixel × \(recipe.scale.rounded(toPlaces: 6)) − mean \(text(recipe.mean))) / std \(text(recipe.standardDeviation))"
            )
            console.writeOut("               from \(model.recipeSource ?? "the file")")
        } else if !model.readsPictures {
            console.writeOut(
                "input          \(model.network.inputChannels) channels: no pictures, but 'inputs' of an .npz, which are ready for the network"
            )
        } else {
            console.writeOut(
                "input          the file does not say which preprocessing it needs; a training finds it by your images, or --recipe"
            )
        }
        console.writeOut("classes        \(classes(model))")
    }

    /// What the input is cut out of, if that is larger.
    private func margin(_ recipe: InputRecipe) -> String {
        guard recipe.resizeRatio != 1, recipe.fit != .unscaled, recipe.fit == .crop || recipe.rules != .standard else {
            return ""
        }
        let side = Int(recipe.resizeRatio * Double(min(recipe.height, recipe.width)) + 1e-6)
        return recipe.fit == .crop ? " from a short side of \(side)" : " from \(side)"
    }

    /// The settings of a recipe that most recipes have the default of.
    private func rare(_ recipe: InputRecipe) -> String {
        var text = recipe.antialias ? "" : ", no antialiasing"
        if recipe.rules != .standard { text += ", computed as \(recipe.rules.rawValue) does" }
        if recipe.depth != InputRecipe.fullDepth { text += ", \(recipe.depth) bits of 16-bit images" }
        if recipe.fill != [0] { text += ", border \(recipe.fill.count == 1 ? "\(recipe.fill[0])" : "\(recipe.fill)")" }
        return text
    }

    /// How many classes there are, and the names of as many as fit into a line.
    private func classes(_ model: Model) -> String {
        if let head = model.leftOutHead { return "head left out (\(head.layers)): \(head.reason)" }
        let meaning =
            switch model.outputMeaning {
            case .classes: ""
            case .labels: ", each with a sigmoid"
            case .unknown: ", whose meaning the file does not say"
            }
        guard let names = model.classes else {
            return model.headOutputs.map { "\($0)\(meaning.isEmpty ? ", unnamed" : meaning)" } ?? "no head"
        }
        var text = "\(names.count): "
        for (index, name) in names.enumerated() {
            let more = (index == 0 ? "" : ", ") + name.printable()
            guard index == 0 || text.count + more.count <= 60 else { return text + " …" }
            text += more
        }
        return text
    }
}
