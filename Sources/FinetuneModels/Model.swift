// A network that can answer: graph, weights, how it wants its images, and what its outputs mean.

package import FinetuneEngine

/// Everything that prediction needs, and where it came from.
package struct Model: Sendable {
    package var network: Network
    package var weights: Weights
    /// Nil where a file does not say how pixels become numbers.
    package var recipe: InputRecipe?
    /// Where the recipe was learned, in words; nil where there is none.
    package var recipeSource: String?
    /// What a user should know of how the file was read: warnings.
    package var notes: [String] = []
    /// What was found in the file and how it was taken, where that is as it should be.
    package var remarks: [String] = []
    /// The base's own head that was left out of the network, and why; nil if there is none or it was read.
    package var leftOutHead: LeftOutHead?
    /// What the outputs of the network's own head mean.
    package var outputMeaning = OutputMeaning.classes
    /// The size of image that the file asks for, where it says so without a whole recipe.
    package var inputSize: ImageSize?
    /// Names of the outputs in their order; nil where the file has none.
    package var classes: [String]?
    /// The arithmetic that the model was adapted in; nil for a base, which runs in any.
    package var precision: Precision?
    /// At what scales its frozen part becomes integers; nil where nobody measured any.
    package var quantization: QuantizationRecord?
    /// The part that was trained, where that is more than the head.
    package var trainedPart: TrainedPart?
    /// By which logits are divided before they become probabilities (Guo et al. 2017).
    package var temperature: Double
    /// Halves of the content hashes of the images that it was trained on.
    package var trainingImages: Set<UInt64>
    /// What kind of file it was read from, in words.
    package var dialect: String

    package init(
        network: Network, weights: Weights, recipe: InputRecipe?, recipeSource: String? = nil,
        inputSize: ImageSize? = nil,
        classes: [String]? = nil, precision: Precision? = nil, quantization: QuantizationRecord? = nil,
        trainedPart: TrainedPart? = nil,
        temperature: Double = 1, trainingImages: Set<UInt64> = [], dialect: String
    ) {
        self.network = network
        self.weights = weights
        self.recipe = recipe
        self.recipeSource = recipeSource
        self.inputSize = inputSize
        self.classes = classes
        self.precision = precision
        self.quantization = quantization
        self.trainedPart = trainedPart
        self.temperature = temperature
        self.trainingImages = trainingImages
        self.dialect = dialect
    }
}

/// A head that stands in a file and is not part of the network that was read: features need none.
package struct LeftOutHead: Sendable, Equatable {
    /// Its layers by their names in the file.
    package var layers: String
    /// Why its outputs cannot be computed.
    package var reason: String

    package init(layers: String, reason: String) {
        self.layers = layers
        self.reason = reason
    }
}

/// What the numbers that a head gives mean.
package enum OutputMeaning: String, Sendable, Equatable {
    /// A softmax makes them probabilities of classes, of which an image has one.
    case classes
    /// A sigmoid makes each a probability of its own: of the second of two classes, or of a label among several.
    case labels = "sigmoid"
    /// The file does not say.
    case unknown
}

/// The part of a network that learned in a precision of its own.
package struct TrainedPart: Sendable, Equatable {
    /// The node that it reads; `Node.image` where everything learned.
    package var boundary: String
    package var precision: Precision

    package init(boundary: String, precision: Precision) {
        self.boundary = boundary
        self.precision = precision
    }
}

/// Pixels of an image.
package struct ImageSize: Sendable, Equatable {
    package var height: Int
    package var width: Int

    package init(height: Int, width: Int) {
        self.height = height
        self.width = width
    }
}

extension Model {
    /// Gives nodes, and their tensors, other names; nothing happens where two would have the same.
    package mutating func rename(_ pairs: [(from: String, to: String)]) {
        let map = Dictionary(pairs.map { ($0.from, $0.to) }) { first, _ in first }
        let nodes = network.nodes.map { node in
            Node(
                map[node.name] ?? node.name, stage: node.stage, node.operation,
                inputs: node.inputs.map { map[$0] ?? $0 })
        }
        guard Set(nodes.map(\.name) + [Node.image]).count == nodes.count + 1 else { return }
        var renamed: Weights = [:]
        for (name, tensor) in weights {
            let dot = name.lastIndex(of: ".") ?? name.endIndex
            renamed[(map[String(name[..<dot])] ?? String(name[..<dot])) + name[dot...]] = tensor
        }
        weights = renamed
        network.nodes = nodes
        quantization?.rename(map)
    }

    /// The dialect of files that `train` wrote.
    package static let ownDialect = "finetune model"

    /// The dialect of a network that has learned nothing.
    package static let newDialect = "random weights"

    /// The outputs of the network's own head; nil where it has none.
    package var headOutputs: Int? {
        for node in network.nodes.reversed() where node.stage == Stage.head {
            if case .dense(_, let outputs, _) = node.operation { return outputs }
        }
        return nil
    }

    /// The name of the layer that gives the outputs: whoever loads adapted weights expects the head where the base had
    /// it.
    package var headName: String { network.nodes.last { $0.stage == Stage.head }?.name ?? "fc" }

    /// The same network with another head on its pooled features.
    package func adapted(_ head: Head, classes: [String]) -> Model {
        var model = self
        model.network.nodes.removeAll { $0.stage == Stage.head }
        model.weights = model.weights.filter { name, _ in
            model.network.nodes.contains { name.hasPrefix($0.name + ".") }
        }
        model.network.nodes += head.nodes
        model.weights.merge(head.weights) { _, new in new }
        model.classes = classes
        model.leftOutHead = nil
        model.outputMeaning = .classes
        model.trainedPart = nil
        model.temperature = 1
        return model
    }

    /// Whether the network reads pictures: gray ones or coloured ones. Others get inputs that are ready.
    package var readsPictures: Bool { network.inputChannels == 1 || network.inputChannels == 3 }

    /// Takes the head away, whose outputs cannot be computed.
    package mutating func leaveOutHead(_ reason: String) {
        let layers = network.nodes.filter { $0.stage == Stage.head && $0.operation.parameterCount > 0 }.map(\.name)
        leftOutHead = LeftOutHead(
            layers: layers.isEmpty ? network.nodes.last?.name ?? "" : layers.joined(separator: ", "), reason: reason)
        network.nodes.removeAll { $0.stage == Stage.head }
        weights = weights.filter { name, _ in network.nodes.contains { name.hasPrefix($0.name + ".") } }
        (classes, outputMeaning) = (nil, .classes)
    }

    /// The model as a classifier, whose outputs a softmax makes probabilities of classes. One output of a sigmoid
    /// becomes two: softmax over (0, z) is (1 − sigmoid(z), sigmoid(z)).
    ///
    /// - Throws: `ModelError` if its outputs are no classes, or if it has no head.
    package func asClassifier() throws -> Model {
        guard let outputs = headOutputs else {
            if let head = leftOutHead {
                throw ModelError(
                    description:
                        "its head (\(head.layers)) is not read: \(head.reason). Train a new one with: finetune --base … --data …"
                )
            }
            throw ModelError(description: "it has no head. Train one with: finetune --base … --data …")
        }
        switch outputMeaning {
        case .classes where outputs > 1 || dialect == Self.ownDialect: return self
        case .labels where outputs == 1: break
        case .labels:
            throw ModelError(
                description:
                    "its head gives \(outputs) independent labels an image (a sigmoid each), and classes of which an image has one were expected. Its features can be used: --base with train or extract"
            )
        case _ where outputs == 1:
            throw ModelError(
                description:
                    "its head has one output, and the file does not say whether it is the input of a sigmoid or a measurement. Its features can be used: --base with train or extract"
            )
        case .classes, .unknown:
            throw ModelError(
                description:
                    "its head gives \(outputs) numbers that are no classes, such as a projection or measurements. Its features can be used: --base with train or extract"
            )
        }
        guard let last = network.nodes.last, case .dense(let inputs, _, let hasBias) = last.operation,
            let weight = weights["\(last.name).weight"]
        else { throw ModelError(description: "its head does not end in a dense layer") }
        var model = self
        model.network.nodes[network.nodes.count - 1].operation = .dense(inputs: inputs, outputs: 2, hasBias: hasBias)
        model.weights["\(last.name).weight"] = Tensor(
            shape: [2, inputs], values: Array(repeating: 0, count: inputs) + weight.values)
        if let bias = weights["\(last.name).bias"] {
            model.weights["\(last.name).bias"] = Tensor(shape: [2], values: [0] + bias.values)
        }
        model.outputMeaning = .classes
        return model
    }

    /// The same probabilities without a temperature: it is folded into the layer that gives the logits.
    package var withoutTemperature: Model {
        guard temperature != 1, let last = network.nodes.last, case .dense = last.operation else { return self }
        var model = self
        for (name, _) in last.tensors {
            guard let tensor = weights[name] else { continue }
            model.weights[name] = tensor.divided(by: temperature)
        }
        model.temperature = 1
        return model
    }
}

extension Tensor {
    /// Every value divided by a number, in double precision.
    package func divided(by number: Double) -> Tensor {
        Tensor(shape: shape, values: values.map { Float(Double($0) / number) })
    }
}

/// Names of stages that every network has.
package enum Stage {
    package static let stem = "stem"
    /// What turns the last stage's images into one row of features.
    package static let pooled = "pooled"
    package static let head = "head"
}

extension Network {
    /// The stages in the order data takes them, each with its nodes.
    package var stages: [(name: String, nodes: [Node])] {
        var stages: [(name: String, nodes: [Node])] = []
        for node in nodes {
            if let index = stages.firstIndex(where: { $0.name == node.stage }) {
                stages[index].nodes.append(node)
            } else {
                stages.append((node.stage, [node]))
            }
        }
        return stages
    }

    /// The node whose output feeds the head: the last one before it.
    package var featureNode: String { nodes.last { $0.stage != Stage.head }?.name ?? Node.image }

    /// The node that `--layer` names: a stage's output, `pooled`, or `logits`; nil where there is none.
    package func node(forLayer layer: String) -> String? {
        switch layer {
        case Stage.pooled: featureNode
        case "logits": nodes.last { $0.stage == Stage.head }?.name
        default: nodes.last { $0.stage == layer }?.name
        }
    }

    /// The layers that `node(forLayer:)` knows.
    package var layers: [String] {
        stages.map(\.name).filter { $0 != Stage.head && $0 != Stage.pooled } + [Stage.pooled]
            + (nodes.contains { $0.stage == Stage.head } ? ["logits"] : [])
    }

    /// The number of values in the tensors of each stage that a gradient would change.
    package func parameterCount(stage: String) -> Int {
        nodes.filter { $0.stage == stage }.reduce(0) { $0 + $1.operation.parameterCount }
    }

    package var parameterCount: Int { nodes.reduce(0) { $0 + $1.operation.parameterCount } }
}

/// Why a model cannot do what is asked of it.
package struct ModelError: Error, Sendable, CustomStringConvertible {
    package let description: String
}
