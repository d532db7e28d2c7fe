// Where a network looked: gradient-weighted class activation maps (Selvaraju et al. 2017).

package import FinetuneDatasets
package import FinetuneEngine
internal import FinetuneFiles
package import FinetuneModels

/// How much each region of an image influenced the prediction of a class.
package struct HeatMap: Sendable {
    package let height: Int
    package let width: Int
    /// Shape `[height, width]`, 0…1; the largest is 1 unless all are 0.
    package let values: [Float]

    package init(height: Int, width: Int, values: [Float]) {
        self.height = height
        self.width = width
        self.values = values
    }
}

/// Grad-CAM of the last stage of a network whose head reads that stage's means.
///
/// The gradient of a logit by each value of a channel is the head's gradient by the channel's mean, divided by the number
/// of values. For a linear head that is its weight, and the map is that of Zhou et al. 2016.
package struct GradCAM: Sendable {
    private let extractor: FeatureExtractor
    private let head: [Node]
    private let weights: Weights

    /// - Parameters:
    ///   - inputShape: As `FeatureExtractor` wants it.
    /// - Returns: Nil where the head does not read the means of a stage's channels.
    /// - Throws: `EngineError`, `PipelineError`.
    package init?(_ model: Model, inputShape: [Int]? = nil, precision: Precision, imageCount: Int, thread: EngineThread)
        async throws
    {
        let network = model.network
        guard let pooling = network.nodes.first(where: { $0.name == network.featureNode }),
            pooling.operation == .globalAveragePooling, let stage = pooling.inputs.first, stage != Node.image
        else { return nil }
        head = network.nodes.filter { $0.stage == Stage.head }
        guard !head.isEmpty, head.allSatisfy(\.isUnderstood) else { return nil }
        weights = model.weights.filter { name, _ in
            model.network.nodes.contains { $0.stage == Stage.head && name.hasPrefix($0.name + ".") }
        }
        extractor = try await FeatureExtractor(
            model, node: stage, inputShape: inputShape, precision: precision, imageCount: imageCount, thread: thread)
        guard extractor.outputShape.count == 3 else { return nil }
    }

    /// The maps of some images, each for a class; nil for an image that cannot be read.
    ///
    /// - Parameters:
    ///   - items: Indices into the data set's items.
    ///   - classes: Of each the class that is asked about.
    package func maps(of items: [Int], in dataset: ImageDataset, classes: [Int]) async throws -> [HeatMap?] {
        let chunk = try await extractor.values(of: items, in: dataset)
        let size = extractor.outputShape.reduce(1, *)
        let values = chunk.values.values
        return zip(items, classes).map { item, label in
            guard let row = chunk.items.firstIndex(of: item) else { return nil }
            return map(Array(values[row * size..<(row + 1) * size]), label)
        }
    }

    /// - Parameter stage: Shape `[channels, height, width]`.
    private func map(_ stage: [Float], _ label: Int) -> HeatMap {
        let shape = extractor.outputShape
        let pixels = shape[1] * shape[2]
        let means = (0..<shape[0]).map { channel in
            stage[channel * pixels..<(channel + 1) * pixels].reduce(0, +) / Float(pixels)
        }
        let gradient = gradient(at: means, label)
        var heat = [Float](repeating: 0, count: pixels)
        for channel in 0..<shape[0] {
            for pixel in 0..<pixels { heat[pixel] += gradient[channel] * stage[channel * pixels + pixel] }
        }
        let most = max(heat.max() ?? 0, 0)
        return HeatMap(
            height: shape[1], width: shape[2], values: heat.map { most > 0 ? max($0, 0) / most : 0 })
    }

    /// The gradient of a class's logit by the features, layer by layer from the end.
    private func gradient(at features: [Float], _ label: Int) -> [Float] {
        var inputs: [[Float]] = []
        var x = features
        for node in head {
            inputs.append(x)
            x = node.forward(x, weights)
        }
        var dy = x.indices.map { $0 == label ? Float(1) : 0 }
        for (node, x) in zip(head, inputs).reversed() { dy = node.backward(x, dy, weights) }
        return dy
    }
}

extension Node {
    /// Whether `forward` and `backward` know the operation.
    fileprivate var isUnderstood: Bool {
        switch operation {
        case .dense, .activation, .rowNormalization: true
        default: false
        }
    }

    /// What the node makes of one row.
    fileprivate func forward(_ x: [Float], _ weights: Weights) -> [Float] {
        switch operation {
        case .dense(_, let outputs, _):
            let bias = weights["\(name).bias"]?.values ?? [Float](repeating: 0, count: outputs)
            guard let weight = weights["\(name).weight"]?.values else { return bias }
            return bias.indices.map { row in
                x.indices.reduce(bias[row]) { $0 + weight[row * x.count + $1] * x[$1] }
            }
        case .activation(let activation): return activation.gradient(x, [Float](repeating: 1, count: x.count)).y
        case .rowNormalization:
            let length = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return x.map { $0 / max(length, 1e-12) }
        default: return x
        }
    }

    /// The gradient by the row that it read.
    fileprivate func backward(_ x: [Float], _ dy: [Float], _ weights: Weights) -> [Float] {
        switch operation {
        case .dense:
            guard let weight = weights["\(name).weight"]?.values else { return x.map { _ in 0 } }
            return x.indices.map { column in
                dy.indices.reduce(Float(0)) { $0 + weight[$1 * x.count + column] * dy[$1] }
            }
        case .activation(let activation): return activation.gradient(x, dy).dx
        case .rowNormalization:
            let length = max(x.reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-12)
            let along = zip(x, dy).reduce(0) { $0 + $1.0 * $1.1 } / (length * length)
            return zip(x, dy).map { ($1 - $0 * along) / length }
        default: return dy
        }
    }
}
