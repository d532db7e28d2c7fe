// VGG networks (Simonyan and Zisserman 2015), with batch norm or without, under torchvision's names.

package import FinetuneEngine

/// A VGG's shape: blocks of 3×3 convolutions with a pooling after each, then layers that read all its pixels at once.
///
/// Those layers are convolutions here, as in timm: of a picture of the size that they are made for they give one row, and
/// of a larger one a row for each place, whose mean is the features.
package struct VGG: NetworkDesign, Equatable {
    /// The layers between the last pooling and the head, each followed by the activation.
    package struct Hidden: Sendable, Equatable {
        /// Pixels of a side that the first of them reads.
        package var side: Int
        package var widths: [Int]

        package init(side: Int, widths: [Int]) {
            self.side = side
            self.widths = widths
        }
    }

    /// Filters of each block's convolutions.
    package var blocks: [[Int]]
    package var hasNormalization: Bool
    package var convolutionsHaveBias: Bool
    package var activation: Activation
    /// Nil where the head reads the means of the last pooling's channels.
    package var hidden: Hidden?
    package var inputChannels: Int
    package var head: (name: String, outputs: Int, hasBias: Bool)?

    package init(
        blocks: [[Int]], hasNormalization: Bool, convolutionsHaveBias: Bool = true,
        activation: Activation = .relu, hidden: Hidden?,
        inputChannels: Int = 3, head: (name: String, outputs: Int, hasBias: Bool)? = nil
    ) {
        self.blocks = blocks
        self.hasNormalization = hasNormalization
        self.convolutionsHaveBias = convolutionsHaveBias
        self.activation = activation
        self.hidden = hidden
        self.inputChannels = inputChannels
        self.head = head
    }

    package static func == (a: VGG, b: VGG) -> Bool { a.network() == b.network() }

    /// torchvision's names of the layers between the last pooling and the head, and of the head.
    package static let hiddenNames = ["classifier.0", "classifier.3"]
    package static let headName = "classifier.6"

    package var featureCount: Int { hidden?.widths.last ?? blocks.last?.last ?? inputChannels }

    /// Pixels of a side of the images that it is made for: those that its hidden layers read, doubled by each pooling.
    package var imageSize: Int? { hidden.map { $0.side << blocks.count } }

    /// Such as `VGG-16 with batch norm, width 64`. The number is the paper's, which counts two hidden layers and the head;
    /// those for small images are called so without them.
    package var name: String {
        let depth = blocks.reduce(0) { $0 + $1.count } + 3
        return "VGG-\(depth)\(hasNormalization ? " with batch norm" : ""), width \(blocks.first?.first ?? 0)"
    }

    package func network() -> Network {
        var list = NodeList(inputChannels: inputChannels)
        var place = 0
        func next() -> String {
            defer { place += 1 }
            return "features.\(place)"
        }
        // Stages begin as in any graph that is read: the stem is the first convolution, and each pooling begins a stage.
        // So block 5 is stage5 of a VGG-16, and stage4 of a VGG-11, whose first block has no convolution after the stem.
        var stage = 0
        for (index, block) in blocks.enumerated() {
            for (number, filters) in block.enumerated() {
                if number == 1, stage == 0 { stage = 1 }
                list.stage = stage == 0 ? Stage.stem : "stage\(stage)"
                list.convolve(next(), filters, .square(3, padding: 1), hasBias: convolutionsHaveBias)
                if hasNormalization { list.add(next(), .batchNormalization(Self.normalization(filters))) }
                list.add(next(), .activation(activation))
            }
            if index < blocks.count - 1 || hidden != nil { stage += 1 }
            list.stage = "stage\(stage)"
            list.add(next(), .maxPooling(.square(2, stride: 2)))
        }
        if let hidden {
            for (index, width) in hidden.widths.enumerated() {
                list.convolve(Self.hiddenNames[index], width, .square(index == 0 ? hidden.side : 1), hasBias: true)
                list.add("\(Self.hiddenNames[index]).relu", .activation(activation))
            }
        }
        list.stage = Stage.pooled
        list.add("avgpool", .globalAveragePooling)
        list.add(head: head)
        return Network(name: name, inputChannels: inputChannels, nodes: list.nodes)
    }

    /// As torchvision makes it.
    private static func normalization(_ channels: Int) -> BatchNormalization {
        BatchNormalization(channels: channels, epsilon: 1e-5, statisticsKept: 0.9, storesUnbiasedVariance: true)
    }

    // MARK: By name

    /// Convolutions in each block (the paper's table 1, columns A, B, D and E).
    private static let depths: [Int: [Int]] = [
        11: [1, 1, 2, 2, 2], 13: [2, 2, 2, 2, 2], 16: [2, 2, 3, 3, 3], 19: [2, 2, 4, 4, 4],
    ]

    /// Whether a network of the paper has so many convolutions in its blocks.
    package static func isKnown(_ counts: [Int]) -> Bool { depths.values.contains(counts) }

    package static var architectures: [String] {
        depths.keys.sorted().flatMap { ["vgg\($0)", "vgg\($0)_bn"] }
    }

    package static func architecture(_ name: String, changes: ArchitectureChanges, outputs: Int) -> (
        VGG, imageSize: Int
    )? {
        guard architectures.contains(name), changes.stem == nil, let depth = Int(name.dropFirst(3).prefix(2)),
            let counts = depths[depth]
        else { return nil }
        let width = changes.width ?? 64
        let blocks = counts.enumerated().map { Array(repeating: width << min($0, 3), count: $1) }
        let vgg = VGG(
            blocks: blocks, hasNormalization: name.hasSuffix("_bn"),
            hidden: Hidden(side: 7, widths: Array(repeating: min(64 * width, 4096), count: 2)),
            head: (headName, outputs, true))
        return (vgg, imageSize: 224)
    }
}
