// Residual networks (He et al. 2015) of every shape that checkpoints have, built as a Network with torchvision's names.

package import FinetuneEngine

/// A residual network's shape. `network()` builds it; nothing here has weights.
package struct ResNet: Sendable, Equatable {
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

    /// The features that reach the head.
    package var width: Int { stages.last?.last?.filters.last ?? stemFilters }

    package var isBottleneck: Bool { stages.first?.first?.filters.count == 3 }

    /// The architecture in the field's words, such as `ResNet-50 v1.5, width 64`.
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
        return Network(name: name, inputChannels: inputChannels, nodes: builder.nodes)
    }

    private struct Builder {
        let resNet: ResNet
        var nodes: [Node] = []
        var stage = Stage.stem
        /// The node whose output comes next, and its channels.
        var last = Node.image
        var channels: Int

        init(resNet: ResNet) {
            self.resNet = resNet
            channels = resNet.inputChannels
        }

        mutating func build() {
            stem()
            for (index, blocks) in resNet.stages.enumerated() {
                stage = "stage\(index + 1)"
                for (number, block) in blocks.enumerated() {
                    let name = "layer\(index + 1).\(number)"
                    if resNet.isPreactivated { addPreactivated(block, name) } else { add(block, name) }
                }
            }
            if resNet.isPreactivated {
                normalize("post")
                add("post.relu", .activation(resNet.activation))
            }
            stage = Stage.pooled
            add("avgpool", .globalAveragePooling)
            stage = Stage.head
            if let head = resNet.head {
                add(head.name, .dense(inputs: channels, outputs: head.outputs, hasBias: head.hasBias))
            }
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
                    add("conv1.\(3 * index + 2)", .activation(resNet.activation))
                }
                convolve("conv1.\(3 * filters.count)", resNet.stemFilters, .square(3, padding: 1))
            }
            if !resNet.isPreactivated {
                normalize("bn1")
                add("relu", .activation(resNet.activation))
            }
            guard resNet.stemPools else { return }
            if resNet.poolsZeros {
                add("pad", .zeroPadding(.all(1)))
                add("maxpool", .maxPooling(.square(3, stride: 2)))
            } else {
                add("maxpool", .maxPooling(.square(3, stride: 2, padding: 1)))
            }
        }

        private mutating func add(_ block: Block, _ name: String) {
            let (input, inputChannels) = (last, channels)
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
                    add("\(name).relu\(index + 1)", .activation(resNet.innerActivation))
                }
            }
            if let squeeze = block.squeeze { excite("\(name).se", squeeze) }
            let main = last
            (last, channels) = (input, inputChannels)
            shortcut(block, name)
            nodes.append(Node("\(name).add", stage: stage, .addition, inputs: [main, last]))
            (last, channels) = ("\(name).add", block.filters.last ?? channels)
            add("\(name).relu", .activation(resNet.activation))
        }

        /// The block of Keras' V2: its shortcut's convolution reads what the first activation gives, and without one
        /// a stride is taken by skipping pixels.
        private mutating func addPreactivated(_ block: Block, _ name: String) {
            let (input, inputChannels) = (last, channels)
            normalize("\(name).preact")
            add("\(name).preact.relu", .activation(resNet.activation))
            let activated = last
            for (index, filters) in block.filters.enumerated() {
                let isLast = index == block.filters.count - 1
                let isWide = index == 1
                convolve(
                    "\(name).conv\(index + 1)", filters,
                    .square(isWide ? 3 : 1, stride: isWide ? block.stride : 1, padding: isWide ? 1 : 0),
                    hasBias: isLast)
                guard !isLast else { break }
                normalize("\(name).bn\(index + 1)")
                add("\(name).relu\(index + 1)", .activation(resNet.activation))
            }
            let (main, filters) = (last, channels)
            (last, channels) = (block.hasProjection ? activated : input, inputChannels)
            if block.hasProjection {
                convolve("\(name).\(resNet.shortcutName).0", filters, .square(1, stride: block.stride), hasBias: true)
            } else if block.stride > 1 {
                add("\(name).\(resNet.shortcutName).subsample", .subsampling(step: block.stride))
            }
            nodes.append(Node("\(name).add", stage: stage, .addition, inputs: [last, main]))
            (last, channels) = ("\(name).add", filters)
        }

        /// Squeeze-and-excitation: each channel times a factor that the means of all channels decide.
        private mutating func excite(_ name: String, _ squeeze: Int) {
            let image = last
            add("\(name).mean", .globalAveragePooling)
            add("\(name).fc1", .dense(inputs: channels, outputs: squeeze, hasBias: true))
            add("\(name).relu", .activation(.relu))
            add("\(name).fc2", .dense(inputs: squeeze, outputs: channels, hasBias: true))
            add("\(name).gate", .activation(.sigmoid))
            nodes.append(Node(name, stage: stage, .channelScaling, inputs: [image, last]))
            last = name
        }

        private mutating func shortcut(_ block: Block, _ name: String) {
            let prefix = "\(name).\(resNet.shortcutName)"
            let filters = block.filters.last ?? channels
            switch resNet.shortcut {
            case _ where !block.hasProjection: return
            case .projection:
                convolve("\(prefix).0", filters, .square(1, stride: block.stride))
                normalize("\(prefix).1")
            case .pooledProjection:
                if block.stride > 1 {
                    let window = Window(block.stride, block.stride, stride: block.stride, padding: .same)
                    add("\(prefix).0", .averagePooling(window, countsPadding: false))
                }
                convolve("\(prefix).1", filters, .square(1))
                normalize("\(prefix).2")
            case .padding:
                if block.stride > 1 { add("\(prefix).subsample", .subsampling(step: block.stride)) }
                let missing = filters - channels
                if missing > 0 {
                    add("\(prefix).pad", .channelPadding(before: missing / 2, after: missing - missing / 2))
                    channels = filters
                }
            }
        }

        private mutating func convolve(
            _ name: String, _ filters: Int, _ window: Window, groups: Int = 1, hasBias: Bool? = nil
        ) {
            let convolution = Convolution(
                channels: channels, filters: filters, groups: groups, window: window,
                hasBias: hasBias ?? resNet.convolutionsHaveBias)
            add(name, .convolution(convolution))
            channels = filters
        }

        private mutating func normalize(_ name: String) {
            add(
                name,
                .batchNormalization(
                    BatchNormalization(
                        channels: channels, epsilon: resNet.epsilon, statisticsKept: resNet.statisticsKept,
                        storesUnbiasedVariance: resNet.storesUnbiasedVariance)))
        }

        private mutating func add(_ name: String, _ operation: FinetuneEngine.Operation) {
            nodes.append(Node(name, stage: stage, operation, inputs: [last]))
            last = name
        }
    }
}
