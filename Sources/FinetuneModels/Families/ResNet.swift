// Residual networks (He et al. 2015) of every shape that checkpoints have, built as a Network with torchvision's names.

package import FinetuneEngine

/// A residual network's shape. `network()` builds it; nothing here has weights.
package struct ResNet: NetworkDesign, Equatable {
    package enum Stem: Sendable, Equatable {
        /// One convolution with stride 2 and a pooling: ImageNet.
        case pooled(kernel: Int)
        /// One 3×3 convolution that keeps the size: CIFAR.
        case small
        /// Three 3×3 convolutions, the first with stride 2, and a pooling (He et al. 2018, timm's `d` and `t`).
        case deep([Int])
    }

    package enum Shortcut: Sendable, Equatable {
        /// A 1×1 convolution with batch norm where the shape changes.
        case projection
        /// The same after an average pooling that takes the stride (He et al. 2018, ResNet-D).
        case pooledProjection
        /// Subsampled pixels and channels of zeros (He et al. 2015, option A).
        case padding
    }

    /// Which convolution of a bottleneck block takes the stride.
    package enum StridePlace: Sendable, Equatable {
        /// The first 1×1: the paper and Keras, "v1".
        case first
        /// The 3×3: torchvision, "v1.5".
        case middle
    }

    /// One block: the filters of its two (basic) or three (bottleneck) convolutions.
    package struct Block: Sendable, Equatable {
        package var filters: [Int]
        package var groups: Int
        package var stride: Int
        /// Filters between the two dense layers of a squeeze-and-excitation (Hu et al. 2018); nil without one.
        package var squeeze: Int?
        /// Whether its shortcut has a convolution (or pads) although the shape need not change.
        package var hasProjection: Bool

        package init(filters: [Int], groups: Int = 1, stride: Int, squeeze: Int? = nil, hasProjection: Bool) {
            self.filters = filters
            self.groups = groups
            self.stride = stride
            self.squeeze = squeeze
            self.hasProjection = hasProjection
        }
    }

    package var stem: Stem
    package var stemFilters: Int
    package var stages: [[Block]]
    package var shortcut: Shortcut
    package var stridePlace: StridePlace
    /// Whether batch norm and activation come before the convolutions (He et al. 2016), as in Keras' V2: a plain
    /// convolution is the stem, projections have no batch norm, and a last batch norm precedes the pooling.
    package var isPreactivated: Bool
    package var convolutionsHaveBias: Bool
    package var stemHasBias: Bool
    /// Whether a max pooling follows the stem's convolution.
    package var stemPools: Bool
    package var epsilon: Double
    package var statisticsKept: Double
    package var storesUnbiasedVariance: Bool
    /// Whether the stem's pooling pads with zeros, as Keras does, rather than with nothing.
    package var poolsZeros: Bool
    /// Of the stem and of each block's result; a squeeze-and-excitation has a ReLU of its own.
    package var activation: Activation
    /// Between the convolutions of a block.
    package var innerActivation: Activation
    package var inputChannels: Int
    /// The head's name and outputs; nil without one.
    package var head: (name: String, outputs: Int, hasBias: Bool)?
    /// What the shortcut's modules are called: `downsample` in torchvision, `shortcut` elsewhere.
    package var shortcutName: String

    package init(
        stem: Stem, stemFilters: Int, stages: [[Block]], shortcut: Shortcut, stridePlace: StridePlace,
        isPreactivated: Bool = false, convolutionsHaveBias: Bool = false, stemHasBias: Bool? = nil,
        stemPools: Bool? = nil, epsilon: Double = 1e-5,
        statisticsKept: Double = 0.9, storesUnbiasedVariance: Bool = true,
        poolsZeros: Bool = false, activation: Activation = .relu, innerActivation: Activation? = nil,
        inputChannels: Int = 3, head: (name: String, outputs: Int, hasBias: Bool)? = nil,
        shortcutName: String = "downsample"
    ) {
        self.stem = stem
        self.stemFilters = stemFilters
        self.stages = stages
        self.shortcut = shortcut
        self.stridePlace = stridePlace
        self.isPreactivated = isPreactivated
        self.convolutionsHaveBias = convolutionsHaveBias
        self.stemHasBias = stemHasBias ?? convolutionsHaveBias
        self.stemPools = stemPools ?? (stem != .small)
        self.epsilon = epsilon
        self.statisticsKept = statisticsKept
        self.storesUnbiasedVariance = storesUnbiasedVariance
        self.poolsZeros = poolsZeros
        self.activation = activation
        self.innerActivation = innerActivation ?? activation
        self.inputChannels = inputChannels
        self.head = head
        self.shortcutName = shortcutName
    }

    package static func == (a: ResNet, b: ResNet) -> Bool { a.network() == b.network() }

    package var featureCount: Int { stages.last?.last?.filters.last ?? stemFilters }

    package var isBottleneck: Bool { stages.first?.first?.filters.count == 3 }

    package var name: String {
        let depth = stages.reduce(0) { $0 + $1.reduce(0) { $0 + $1.filters.count } } + 2
        let block = stages.first?.first
        let inner = block?.filters.first ?? stemFilters
        let planes = isBottleneck ? (block?.filters.last ?? 4 * inner) / 4 : inner
        let groups = block?.groups ?? 1
        var words = groups > 1 ? "ResNeXt-\(depth)" : "ResNet-\(depth)"
        if block?.squeeze != nil { words = "SE-" + words }
        let isWide = isBottleneck && groups == 1 && planes > 0 && inner > planes && inner % planes == 0
        if isWide { words = "Wide \(words)-\(inner / planes)" }
        if groups > 1 { words += " \(groups)x\(inner / groups)d" }
        if case .deep = stem { words += shortcut == .pooledProjection ? "-D" : " with a deep stem" }
        if isPreactivated {
            words += " V2"
        } else if isBottleneck {
            words += stridePlace == .first ? " v1" : " v1.5"
        }
        if stem == .small { words += shortcut == .padding ? " (CIFAR)" : " (small images)" }
        return "\(words), width \(isWide ? planes : groups > 1 ? planes : inner)"
    }

    // MARK: Building

    package func network() -> Network {
        var builder = Builder(resNet: self)
        builder.build()
        return Network(name: name, inputChannels: inputChannels, nodes: builder.list.nodes)
    }

    private struct Builder {
        let resNet: ResNet
        var list: NodeList

        init(resNet: ResNet) {
            self.resNet = resNet
            list = NodeList(inputChannels: resNet.inputChannels)
        }

        mutating func build() {
            stem()
            for (index, blocks) in resNet.stages.enumerated() {
                list.stage = "stage\(index + 1)"
                for (number, block) in blocks.enumerated() {
                    let name = "layer\(index + 1).\(number)"
                    if resNet.isPreactivated { addPreactivated(block, name) } else { add(block, name) }
                }
            }
            if resNet.isPreactivated {
                normalize("post")
                list.add("post.relu", .activation(resNet.activation))
            }
            list.stage = Stage.pooled
            list.add("avgpool", .globalAveragePooling)
            list.add(head: resNet.head)
        }

        private mutating func stem() {
            switch resNet.stem {
            case .pooled(let kernel):
                convolve(
                    "conv1", resNet.stemFilters, .square(kernel, stride: 2, padding: kernel / 2),
                    hasBias: resNet.stemHasBias)
            case .small:
                convolve("conv1", resNet.stemFilters, .square(3, padding: 1), hasBias: resNet.stemHasBias)
            case .deep(let filters):
                for (index, count) in filters.enumerated() {
                    convolve("conv1.\(3 * index)", count, .square(3, stride: index == 0 ? 2 : 1, padding: 1))
                    normalize("conv1.\(3 * index + 1)")
                    list.add("conv1.\(3 * index + 2)", .activation(resNet.activation))
                }
                convolve("conv1.\(3 * filters.count)", resNet.stemFilters, .square(3, padding: 1))
            }
            if !resNet.isPreactivated {
                normalize("bn1")
                list.add("relu", .activation(resNet.activation))
            }
            guard resNet.stemPools else { return }
            if resNet.poolsZeros {
                list.add("pad", .zeroPadding(.all(1)))
                list.add("maxpool", .maxPooling(.square(3, stride: 2)))
            } else {
                list.add("maxpool", .maxPooling(.square(3, stride: 2, padding: 1)))
            }
        }

        private mutating func add(_ block: Block, _ name: String) {
            let (input, inputChannels) = (list.last, list.channels)
            let strided = block.filters.count == 2 || resNet.stridePlace == .first ? 0 : 1
            for (index, filters) in block.filters.enumerated() {
                let isWide = block.filters.count == 2 || index == 1
                let stride = index == strided ? block.stride : 1
                convolve(
                    "\(name).conv\(index + 1)", filters,
                    .square(isWide ? 3 : 1, stride: stride, padding: isWide ? 1 : 0),
                    groups: index == 1 ? block.groups : 1)
                normalize("\(name).bn\(index + 1)")
                if index < block.filters.count - 1 {
                    list.add("\(name).relu\(index + 1)", .activation(resNet.innerActivation))
                }
            }
            if let squeeze = block.squeeze { excite("\(name).se", squeeze) }
            let main = list.last
            (list.last, list.channels) = (input, inputChannels)
            shortcut(block, name)
            list.add("\(name).add", .addition, from: [main, list.last])
            list.channels = block.filters.last ?? list.channels
            list.add("\(name).relu", .activation(resNet.activation))
        }

        /// The block of Keras' V2: its shortcut's convolution reads what the first activation gives, and without one
        /// a stride is taken by skipping pixels.
        private mutating func addPreactivated(_ block: Block, _ name: String) {
            let (input, inputChannels) = (list.last, list.channels)
            normalize("\(name).preact")
            list.add("\(name).preact.relu", .activation(resNet.activation))
            let activated = list.last
            for (index, filters) in block.filters.enumerated() {
                let isLast = index == block.filters.count - 1
                let isWide = index == 1
                convolve(
                    "\(name).conv\(index + 1)", filters,
                    .square(isWide ? 3 : 1, stride: isWide ? block.stride : 1, padding: isWide ? 1 : 0),
                    hasBias: isLast)
                guard !isLast else { break }
                normalize("\(name).bn\(index + 1)")
                list.add("\(name).relu\(index + 1)", .activation(resNet.activation))
            }
            let (main, filters) = (list.last, list.channels)
            (list.last, list.channels) = (block.hasProjection ? activated : input, inputChannels)
            if block.hasProjection {
                convolve("\(name).\(resNet.shortcutName).0", filters, .square(1, stride: block.stride), hasBias: true)
            } else if block.stride > 1 {
                list.add("\(name).\(resNet.shortcutName).subsample", .subsampling(step: block.stride))
            }
            list.add("\(name).add", .addition, from: [list.last, main])
            list.channels = filters
        }

        /// Squeeze-and-excitation: each channel times a factor that the means of all channels decide.
        private mutating func excite(_ name: String, _ squeeze: Int) {
            let image = list.last
            list.add("\(name).mean", .globalAveragePooling)
            list.add("\(name).fc1", .dense(inputs: list.channels, outputs: squeeze, hasBias: true))
            list.add("\(name).relu", .activation(.relu))
            list.add("\(name).fc2", .dense(inputs: squeeze, outputs: list.channels, hasBias: true))
            list.add("\(name).gate", .activation(.sigmoid))
            list.add(name, .channelScaling, from: [image, list.last])
        }

        private mutating func shortcut(_ block: Block, _ name: String) {
            let prefix = "\(name).\(resNet.shortcutName)"
            let filters = block.filters.last ?? list.channels
            switch resNet.shortcut {
            case _ where !block.hasProjection: return
            case .projection:
                convolve("\(prefix).0", filters, .square(1, stride: block.stride))
                normalize("\(prefix).1")
            case .pooledProjection:
                if block.stride > 1 {
                    let window = Window(block.stride, block.stride, stride: block.stride, padding: .same)
                    list.add("\(prefix).0", .averagePooling(window, countsPadding: false))
                }
                convolve("\(prefix).1", filters, .square(1))
                normalize("\(prefix).2")
            case .padding:
                if block.stride > 1 { list.add("\(prefix).subsample", .subsampling(step: block.stride)) }
                let missing = filters - list.channels
                if missing > 0 {
                    list.add("\(prefix).pad", .channelPadding(before: missing / 2, after: missing - missing / 2))
                    list.channels = filters
                }
            }
        }

        private mutating func convolve(
            _ name: String, _ filters: Int, _ window: Window, groups: Int = 1, hasBias: Bool? = nil
        ) {
            list.convolve(
                name, filters, window, groups: groups, hasBias: hasBias ?? resNet.convolutionsHaveBias)
        }

        private mutating func normalize(_ name: String) {
            list.add(
                name,
                .batchNormalization(
                    BatchNormalization(
                        channels: list.channels, epsilon: resNet.epsilon, statisticsKept: resNet.statisticsKept,
                        storesUnbiasedVariance: resNet.storesUnbiasedVariance)))
        }
    }

    // MARK: By name

    /// torchvision's: blocks a stage, and whether they are bottlenecks.
    private static let large: [Int: (blocks: [Int], isBottleneck: Bool)] = [
        18: ([2, 2, 2, 2], false), 34: ([3, 4, 6, 3], false), 50: ([3, 4, 6, 3], true), 101: ([3, 4, 23, 3], true),
        152: ([3, 8, 36, 3], true),
    ]
    /// Those for small images (He et al. 2015): depths `6n + 2` of networks with three stages of basic blocks.
    private static let small = [20, 32, 44, 56, 110]

    package static var architectures: [String] { (large.keys.sorted() + small).map { "resnet\($0)" } }

    package static func architecture(_ name: String, changes: ArchitectureChanges, outputs: Int) -> (
        ResNet, imageSize: Int
    )? {
        guard architectures.contains(name), let depth = Int(name.dropFirst("resnet".count)),
            [nil, 3, 7].contains(changes.stem)
        else { return nil }
        let isSmall = small.contains(depth)
        let width = changes.width ?? (isSmall ? 16 : 64)
        let hasSmallStem = changes.stem.map { $0 == 3 } ?? isSmall
        let (blocks, isBottleneck) = large[depth] ?? (Array(repeating: (depth - 2) / 6, count: 3), false)
        var stages: [[Block]] = []
        var channels = width
        for (index, count) in blocks.enumerated() {
            let planes = width << index
            stages.append(
                (0..<count).map { number in
                    let filters = isBottleneck ? [planes, planes, 4 * planes] : [planes, planes]
                    let stride = number == 0 && index > 0 ? 2 : 1
                    defer { channels = filters.last ?? channels }
                    return Block(
                        filters: filters, stride: stride, hasProjection: stride > 1 || channels != filters.last)
                })
        }
        let resNet = ResNet(
            stem: hasSmallStem ? .small : .pooled(kernel: 7), stemFilters: width, stages: stages,
            shortcut: isSmall ? .padding : .projection, stridePlace: .middle, head: ("fc", outputs, true))
        return (resNet, imageSize: isSmall ? 32 : hasSmallStem ? 64 : 224)
    }
}
