// Which ResNet a table of tensors is, told from names and shapes alone: nothing is guessed that the file says.

internal import FinetuneEngine
internal import FinetuneModels

/// What a dialect knows of all its networks and shapes cannot tell.
struct ResNetTraits {
    var stridePlace: ResNet.StridePlace
    /// The stride of the first stage.
    var firstStride = 1
    var isPreactivated = false
    var epsilon: Double
    var statisticsKept: Double
    var storesUnbiasedVariance = true
    var poolsZeros = false
    var activation = Activation.relu
    /// Between the convolutions of a block, if that is another one.
    var innerActivation: Activation?
    /// Whether a pooling follows the stem; nil to tell it from the stem's filters.
    var stemPools: Bool?
}

extension ResNet {
    /// - Parameter table: Tensors under torchvision's names, filters `[out, in, h, w]`.
    /// - Throws: `CheckpointError` where the names show no ResNet at all. Single tensors that are missing or do not
    ///   fit are left for `TensorTable.weights` to name.
    init(_ table: TensorTable, _ traits: ResNetTraits, path: String) throws {
        let names = table.entries.keys
        guard let stages = BlockNames(names), !stages.blocks.isEmpty else {
            throw CheckpointError.cannotLoad(
                path,
                "it holds no ResNet: no tensor is named like one of its blocks. Try: finetune inspect --tensors '\(path)'"
            )
        }
        func filters(_ convolution: String, _ normalization: String) -> Int? {
            table.shape("\(convolution).weight")?.first ?? table.shape("\(normalization).weight")?.first
                ?? table.shape("\(normalization).bias")?.first
        }
        let (stem, stemFilters, inputChannels) = try Self.stem(table, path)
        if !traits.isPreactivated, Self.normalizesFirst(table) {
            throw CheckpointError.cannotLoad(
                path,
                "its blocks normalize before they convolve (a pre-activation ResNet), which is read of Keras' V2 only.")
        }
        let isBottleneck = names.contains { $0.hasPrefix("layer") && $0.hasSuffix(".conv3.weight") }
        let shortcutName = names.contains { $0.contains(".shortcut.") } ? "shortcut" : "downsample"
        let hasProjections = names.contains { $0.contains(".\(shortcutName).") }
        let isPooled =
            hasProjections
            && !names.contains { $0.hasPrefix("layer") && $0.hasSuffix(".\(shortcutName).0.weight") }
        var channels = stemFilters
        var blocks: [[Block]] = []
        for (stage, count) in stages.blocks.enumerated() {
            var row: [Block] = []
            for number in 0..<count {
                let name = "layer\(stage + 1).\(number)"
                var widths: [Int] = []
                for index in 1...(isBottleneck ? 3 : 2) {
                    widths.append(filters("\(name).conv\(index)", "\(name).bn\(index)") ?? widths.last ?? channels)
                }
                // Keras' V2 takes a stage's stride in its last block, and none in the last stage.
                let isLast = number == count - 1 && stage < stages.blocks.count - 1
                let stride =
                    traits.isPreactivated ? (isLast ? 2 : 1) : number > 0 ? 1 : stage > 0 ? 2 : traits.firstStride
                let output = widths[widths.count - 1]
                var groups = 1
                if isBottleneck, let shape = table.shape("\(name).conv2.weight"), shape.count == 4, shape[1] > 0,
                    widths[0] % shape[1] == 0, widths[1] % (widths[0] / shape[1]) == 0
                {
                    groups = widths[0] / shape[1]
                }
                let changes = channels != output || (stride > 1 && !traits.isPreactivated)
                let declares = names.contains { $0.hasPrefix("\(name).\(shortcutName).") }
                let squeeze = table.shape("\(name).se.fc1.weight")?.first ?? table.shape("\(name).se.fc1.bias")?.first
                row.append(
                    Block(
                        filters: widths, groups: groups, stride: stride, squeeze: squeeze,
                        hasProjection: changes || declares))
                channels = output
            }
            blocks.append(row)
        }
        self.init(
            stem: stem, stemFilters: stemFilters, stages: blocks,
            shortcut: hasProjections ? (isPooled ? .pooledProjection : .projection) : .padding,
            stridePlace: traits.stridePlace,
            isPreactivated: traits.isPreactivated,
            convolutionsHaveBias: names.contains("\(traits.isPreactivated ? "conv1" : "layer1.0.conv1").bias"),
            stemHasBias: names.contains("conv1.bias"), stemPools: traits.stemPools,
            epsilon: traits.epsilon,
            statisticsKept: traits.statisticsKept, storesUnbiasedVariance: traits.storesUnbiasedVariance,
            poolsZeros: traits.poolsZeros, activation: traits.activation,
            innerActivation: traits.innerActivation, inputChannels: inputChannels,
            shortcutName: shortcutName)
    }

    /// Whether the first block's first batch norm fits the block's input and not its first convolution's output.
    private static func normalizesFirst(_ table: TensorTable) -> Bool {
        guard let filters = table.shape("layer2.0.conv1.weight"), filters.count == 4,
            let normalized = table.shape("layer2.0.bn1.weight")?.first
        else { return false }
        return normalized == filters[1] && filters[0] != filters[1] && table.entries["bn1.weight"] == nil
    }

    private static func stem(_ table: TensorTable, _ path: String) throws -> (Stem, filters: Int, channels: Int) {
        let normalized = table.shape("bn1.weight")?.first
        if let shape = table.shape("conv1.weight"), shape.count == 4 {
            let filters = normalized ?? shape[0]
            switch shape[2] {
            case 7, 5: return (.pooled(kernel: shape[2]), filters, shape[1])
            case 3: return (.small, filters, shape[1])
            default:
                throw CheckpointError.cannotLoad(
                    path, "its first convolution is \(shape[2])×\(shape[3]), a ResNet's is 7×7 or 3×3")
            }
        }
        if let first = table.shape("conv1.0.weight"), let second = table.shape("conv1.3.weight"), first.count == 4 {
            let filters = normalized ?? table.shape("conv1.6.weight")?.first ?? first[0]
            return (.deep([first[0], second[0]]), filters, first[1])
        }
        // The tensor is missing; the loader will say so by name.
        return (.pooled(kernel: 7), normalized ?? 64, 3)
    }
}

/// How many blocks each stage has, from names like `layer3.10.conv2.weight`.
private struct BlockNames {
    var blocks: [Int] = []

    init?(_ names: some Sequence<String>) {
        for name in names where name.hasPrefix("layer") {
            let parts = name.dropFirst("layer".count).split(separator: ".")
            guard parts.count >= 3, let stage = Int(parts[0]), let block = Int(parts[1]), (1...8).contains(stage),
                (0..<1000).contains(block)
            else { return nil }
            while blocks.count < stage { blocks.append(0) }
            blocks[stage - 1] = max(blocks[stage - 1], block + 1)
        }
        guard !blocks.contains(0) else { return nil }
    }
}
