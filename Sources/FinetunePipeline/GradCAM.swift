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
    private let head: [RowLayer]

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
        let nodes = network.nodes.filter { $0.stage == Stage.head }
        head = nodes.compactMap { RowLayer($0, model.weights) }
        guard !head.isEmpty, head.count == nodes.count else { return nil }
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
        for layer in head {
            inputs.append(x)
            x = layer.forward(x)
        }
        var dy = x.indices.map { $0 == label ? Float(1) : 0 }
        for (layer, x) in zip(head, inputs).reversed() { dy = layer.backward(x, dy) }
        return dy
    }
}

/// A layer of a head, which makes a row of a row.
private enum RowLayer: Sendable {
    case dense(weight: [Float], bias: [Float])
    case activation(Activation)
    case normalization

    /// - Returns: Nil for an operation that no head on means has.
    init?(_ node: Node, _ weights: Weights) {
        switch node.operation {
        case .dense(_, let outputs, _):
            guard let weight = weights[node.tensorName(.weight)]?.values else { return nil }
            let bias = weights[node.tensorName(.bias)]?.values
            self = .dense(weight: weight, bias: bias ?? [Float](repeating: 0, count: outputs))
        case .activation(let activation): self = .activation(activation)
        case .rowNormalization: self = .normalization
        case .convolution, .batchNormalization, .addition, .channelScaling, .maxPooling, .averagePooling,
            .globalAveragePooling, .zeroPadding, .subsampling, .channelPadding, .flatten:
            return nil
        }
    }

    func forward(_ x: [Float]) -> [Float] {
        switch self {
        case .dense(let weight, let bias):
            return bias.indices.map { row in
                x.indices.reduce(bias[row]) { $0 + weight[row * x.count + $1] * x[$1] }
            }
        case .activation(let activation): return activation.gradient(x, [Float](repeating: 1, count: x.count)).y
        case .normalization:
            let length = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return x.map { $0 / max(length, 1e-12) }
        }
    }

    /// The gradient by the row that it read.
    func backward(_ x: [Float], _ dy: [Float]) -> [Float] {
        switch self {
        case .dense(let weight, _):
            return x.indices.map { column in
                dy.indices.reduce(Float(0)) { $0 + weight[$1 * x.count + column] * dy[$1] }
            }
        case .activation(let activation): return activation.gradient(x, dy).dx
        case .normalization:
            let length = max(x.reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-12)
            let along = zip(x, dy).reduce(0) { $0 + $1.0 * $1.1 } / (length * length)
            return zip(x, dy).map { ($1 - $0 * along) / length }
        }
    }
}
