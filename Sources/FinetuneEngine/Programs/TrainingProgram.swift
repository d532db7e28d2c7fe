// A network, or the part of it after the freeze boundary, compiled for training on oneDNN.

package import FinetuneRanks

/// Computes losses, gradients and steps for one network at one batch size and one image size.
///
/// Forward and backward run in `precision`; values, gradients of parameters and the optimizer's memory are fp32. The
/// same inputs in the same order, on the same kind of processor with the same number of threads, give the same bits.
///
/// Where a run has several ranks, each has a program for its images of a batch. Gradients, losses and the statistics of
/// live batch norms are those of the whole batch, so that all ranks take the same step.
package actor TrainingProgram {
    /// What one batch gave.
    package struct Result: Sendable {
        /// The mean over the batch's images, those of all ranks, of the cross-entropy, in nats.
        package let loss: Double
        /// Images, those of all ranks, whose most probable class is the wanted one.
        package let hits: Int
        /// Of this rank's images, shape `[images, classes]`.
        package let logits: Tensor
    }

    /// What a training has reached, whole: restored into a program of the same network, it goes on to the same bits.
    package struct State: Sendable {
        /// What learns, and the statistics of batch norms that move.
        package var weights: Weights
        /// What the optimizer remembers of what learns: `Optimizer.memories` numbers of each weight.
        package var memories: [Weights]
        /// Steps that each tensor has taken.
        package var steps: [String: Int]
        /// The moving average of what learns and of the statistics that move, where one is kept.
        package var average: Weights?

        package init(weights: Weights, memories: [Weights], steps: [String: Int], average: Weights?) {
            self.weights = weights
            self.memories = memories
            self.steps = steps
            self.average = average
        }
    }

    /// Rectified units of one layer: whether the last batch moved each.
    package struct Units: Sendable {
        package let layer: String
        package let fired: [Bool]

        package init(layer: String, fired: [Bool]) {
            self.layer = layer
            self.fired = fired
        }
    }

    /// Images a step, of this rank.
    package nonisolated let batch: Int
    /// The shape of a full batch of images in the order that the program wants them.
    package nonisolated let inputShape: [Int]
    private let thread: EngineThread
    private let ranks: Ranks
    private let rules: [String: ParameterRule]
    private let live: Set<String>
    private let parameters: ParameterMemory
    private let statistics: ParameterMemory
    private let optimizer: Optimizer
    private let memories: [ParameterBlock]
    private var steps: [String: Int] = [:]
    private let anchor: ParameterBlock?
    /// Moving averages of `parameters` and `statistics`.
    private let average: ParameterBlock?
    private let averageStatistics: ParameterBlock?
    private var training: CompiledTraining?

    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Compiles a network that ends in a dense layer.
    ///
    /// - Parameters:
    ///   - rules: What may happen to each parameter, by its tensor's name; what is not named is frozen.
    ///   - live: Names of the batch norms that normalize by each batch's own statistics and move the stored ones; the
    ///     others use the stored ones and leave them alone.
    ///   - optimizer: How gradients become steps.
    ///   - dropout: How inputs of dense layers are dropped in training, by the layers' names.
    ///   - classWeights: The factor of each class's part of the loss; empty for none.
    ///   - averages: Whether a moving average of the weights is kept, and of the statistics of live batch norms, which
    ///     belong to the weights that made them.
    ///   - batch: Images a step, of this rank; the same for all where batch norms are live.
    ///   - ranks: Those that share each batch; they begin with the first one's weights. Collective.
    /// - Throws: `EngineError` for a tensor that is missing or does not fit, or an image that is too small.
    package init(
        _ network: Network, _ weights: Weights, rules: [String: ParameterRule], optimizer: Optimizer = .sgd,
        live: Set<String> = [], dropout: [String: Dropout] = [:], classWeights: [Float] = [], averages: Bool = false,
        batch: Int, height: Int, width: Int, order: ImageOrder = .channelsLast, precision: Precision,
        ranks: Ranks = .alone, thread: EngineThread
    ) async throws {
        precondition(precision.learns, "\(precision.rawValue) has no gradients")
        self.batch = batch
        self.thread = thread
        self.ranks = ranks
        self.rules = rules
        self.optimizer = optimizer
        self.live = live
        inputShape = order.shape(batch: batch, channels: network.inputChannels, height: height, width: width)
        var tensors: [ParameterMemory.Initial] = []
        var moments: [ParameterMemory.Initial] = []
        for node in network.nodes {
            for (name, spec) in node.tensors {
                guard let tensor = weights[name] else { continue }
                if spec.learns {
                    tensors.append((name, node.name, tensor, rules[name]?.learns ?? false))
                } else {
                    moments.append((name, node.name, tensor, live.contains(node.name)))
                }
            }
        }
        parameters = ParameterMemory(tensors)
        statistics = ParameterMemory(moments)
        for memory in [parameters, statistics] {
            ranks.spread(UnsafeMutableBufferPointer(start: memory.values, count: memory.count))
        }
        let parameters = parameters
        memories = (0..<optimizer.memories).map { _ in parameters.block() }
        anchor = rules.values.contains { $0.pull > 0 } ? parameters.block() : nil
        average = averages ? parameters.block() : nil
        averageStatistics = averages ? statistics.block() : nil
        for block in [anchor, average] { block?.values.update(from: parameters.values, count: parameters.count) }
        averageStatistics?.values.update(from: statistics.values, count: statistics.count)
        training = nil
        let lowering = try Lowering(
            network, weights, output: network.nodes.last?.name ?? Node.image, for: .training(live: live))
        training = try CompiledTraining(
            network, lowering, parameters: parameters, statistics: statistics, live: live, dropout: dropout,
            classWeights: classWeights,
            input: ImageBatchShape(
                batch: batch, channels: network.inputChannels, height: height, width: width, order: order),
            precision: precision, ranks: ranks)
        thread.report(unknownKernels: training?.builder.library.unknownKernels ?? [])
    }

    /// The kernel of each compiled primitive, in order.
    package var kernels: [ChosenKernel] { training?.builder.kernels ?? [] }

    // MARK: Steps

    /// Computes the loss of some images and its gradients: the mean over the images, whose targets' parts the classes'
    /// weights scale.
    ///
    /// - Parameters:
    ///   - images: Shape `inputShape` with at most `batch` images. Where they are fewer, the rest of the batch is
    ///     zeros without weight, which no batch norm may be live for.
    ///   - targets: Probabilities, shape `[images, classes]`.
    ///   - dropoutKey: Another key drops others.
    ///   - rows: Which of the whole batch these images are, and how many that has; nil where they are all. Collective.
    package func evaluate(
        _ images: Tensor, targets: Tensor, dropoutKey: UInt64 = 0, rows: (first: Int, of: Int)? = nil
    ) throws -> Result {
        guard let training else { preconditionFailure("a program is used before it is compiled") }
        let (count, classes) = (images.shape[0], training.classes)
        precondition(
            images.shape.dropFirst() == inputShape.dropFirst() && (count == batch || (count < batch && live.isEmpty)),
            "a program for \(inputShape) got images of \(images.shape)")
        precondition(targets.shape == [count, classes], "\(count) images of \(classes) classes got \(targets.shape)")
        let feed = training.feed
        targets.withUnsafeBufferPointer { values in
            for index in values.indices { feed.targets[index] = values[index] }
        }
        let whole = Float(rows?.of ?? count)
        for image in 0..<batch { feed.imageWeights[image] = image < count ? 1 / whole : 0 }
        feed.dropoutKey = dropoutKey
        feed.firstRow = rows?.first ?? 0
        let full = count == batch ? images : images.padded(toRows: batch)
        try full.withUnsafeBufferPointer { values in
            guard let address = values.baseAddress else { return }
            try training.run(address)
        }
        let sums = ranks.sum([feed.loss, Double(feed.hits)])
        return Result(
            loss: sums[0], hits: Int(sums[1]),
            logits: Tensor(shape: [count, classes], values: Array(feed.logits.prefix(count * classes))))
    }

    /// Takes a step along the gradients that `evaluate` computed.
    ///
    /// - Parameters:
    ///   - rate: The learning rate, which each tensor's rule scales.
    ///   - clip: The longest that the gradient of all tensors together may be; a longer one is shortened
    ///     (`torch.nn.utils.clip_grad_norm_`). Penalties come on top. Nil leaves it as it is.
    ///   - averageKept: The fraction of the moving average that this step keeps.
    ///   - measures: Whether the lengths of gradients, values and updates are wanted.
    /// - Returns: Lengths by tensor; empty where none are wanted.
    @discardableResult
    package func update(
        rate: Double, clip: Double? = nil, averageKept: Double = 0, measures: Bool = false
    ) -> [String: StepNorms] {
        guard let gradients = training?.gradients else { return [:] }
        let factor = clip.map { min(1, $0 / (gradientLength(gradients) + 1e-6)) } ?? 1
        var norms: [String: StepNorms] = [:]
        for entry in parameters.entries where entry.learns {
            guard let rule = rules[entry.name] else { continue }
            steps[entry.name, default: 0] += 1
            var kernel = OptimizerKernel(
                optimizer: optimizer, rate: rate * rule.rateFactor, rule: rule, step: steps[entry.name] ?? 1,
                gradientFactor: Float(factor))
            let w = parameters.values + entry.offset
            let g = gradients.values + entry.offset
            let operands = OptimizerKernel.Operands(
                values: w.lanes, gradients: UnsafePointer(g.lanes),
                memories: memories.map { ($0.values + entry.offset).lanes },
                anchor: rule.pull > 0 ? anchor.map { UnsafePointer(($0.values + entry.offset).lanes) } : nil)
            let mean = average.map { $0.values + entry.offset }
            let width = OptimizerKernel.Lanes.scalarCount
            // Chunks are added up in their order, whichever thread has them.
            let (lanes, grain) = ((entry.count + width - 1) / width, 2048)
            if optimizer.needsLengths { kernel.trustRatio = trustRatio(kernel, operands, lanes: lanes, grain: grain) }
            var lengths = [StepNorms](repeating: StepNorms(), count: measures ? (lanes + grain - 1) / grain : 0)
            lengths.withUnsafeMutableBufferPointer { [kernel] lengths in
                ParallelLoop.run(lanes, grain: grain) { range in
                    let first = range.lowerBound * width
                    let count = min(range.count * width, entry.count - first)
                    var old = measures ? Array(UnsafeBufferPointer(start: w + first, count: count)) : []
                    kernel.run(operands.dropping(range.lowerBound), count: range.count)
                    if let mean {
                        RowKernels.mix(mean + first, Float(averageKept), w + first, Float(1 - averageKept), count)
                    }
                    if measures {
                        let value = RowKernels.dot(old, old, count)
                        for index in old.indices { old[index] -= w[first + index] }
                        lengths[range.lowerBound / grain] = StepNorms(
                            gradient: RowKernels.dot(g + first, g + first, count), value: value,
                            update: RowKernels.dot(old, old, count))
                    }
                }
            }
            if measures { norms[entry.name] = lengths.reduce(StepNorms(), +) }
        }
        if let averageStatistics {
            let (kept, new) = (Float(averageKept), Float(1 - averageKept))
            RowKernels.mix(averageStatistics.values, kept, statistics.values, new, statistics.count)
        }
        return norms
    }

    /// The length of the gradient of everything that learns.
    private func gradientLength(_ gradients: ParameterBlock) -> Double {
        let grain = 1 << 14
        var sum = 0.0
        for entry in parameters.entries where entry.learns {
            let g = gradients.values + entry.offset
            // Parts are added up in their order, whichever thread has them.
            var parts = [Double](repeating: 0, count: (entry.count + grain - 1) / grain)
            parts.withUnsafeMutableBufferPointer { parts in
                ParallelLoop.run(entry.count, grain: grain) { range in
                    parts[range.lowerBound / grain] = RowKernels.dot(
                        g + range.lowerBound, g + range.lowerBound, range.count)
                }
            }
            sum += parts.reduce(0, +)
        }
        return sum.squareRoot()
    }

    /// The length of a tensor over that of its direction; 1 if either is zero.
    private func trustRatio(
        _ kernel: OptimizerKernel, _ operands: OptimizerKernel.Operands, lanes: Int, grain: Int
    ) -> Double {
        var sums = [(value: Double, direction: Double)](repeating: (0, 0), count: (lanes + grain - 1) / grain)
        sums.withUnsafeMutableBufferPointer { sums in
            ParallelLoop.run(lanes, grain: grain) { range in
                sums[range.lowerBound / grain] = kernel.prepare(
                    operands.dropping(range.lowerBound), count: range.count)
            }
        }
        let (value, direction) = sums.reduce((0, 0)) { ($0.0 + $1.value, $0.1 + $1.direction) }
        return value > 0 && direction > 0 ? (value / direction).squareRoot() : 1
    }

    // MARK: What was reached

    /// The gradients that `evaluate` computed last, of everything that learns.
    package var gradients: Weights {
        training.map { parameters.tensors(of: $0.gradients.values, where: \.learns) } ?? [:]
    }

    /// What learns, and the statistics of live batch norms.
    ///
    /// - Parameter averaged: Whether moving averages are wanted of both.
    package func weights(averaged: Bool = false) -> Weights {
        func tensors(_ memory: ParameterMemory, _ average: ParameterBlock?) -> Weights {
            memory.tensors(of: averaged ? average.map { UnsafePointer($0.values) } : nil, where: \.learns)
        }
        return tensors(parameters, average).merging(tensors(statistics, averageStatistics)) { own, _ in own }
    }

    package var state: State {
        State(
            weights: weights(), memories: memories.map { parameters.tensors(of: $0.values, where: \.learns) },
            steps: steps, average: average.map { _ in weights(averaged: true) })
    }

    package func restore(_ state: State) {
        for (name, tensor) in state.weights {
            parameters.set(name, to: tensor)
            statistics.set(name, to: tensor)
        }
        for (memory, tensors) in zip(memories, state.memories) { memory.set(tensors, in: parameters) }
        steps = state.steps
        if let tensors = state.average {
            average?.set(tensors, in: parameters)
            averageStatistics?.set(tensors, in: statistics)
        }
    }

    /// The rectified units of every layer that learns, and whether the last batch moved each: one whose bias has a
    /// gradient of exactly zero fired for no pixel of no image.
    package var units: [Units] {
        (training?.units ?? []).reversed().map { units in
            Units(layer: units.name, fired: (0..<units.count).map { units.biasGradient[$0] != 0 })
        }
    }
}

/// The memory order of a program's images.
package enum ImageOrder: Sendable {
    /// `[batch, height, width, channels]`: pictures.
    case channelsLast
    /// `[batch, channels, height, width]`: what an `InferenceProgram` gives of a node inside a network.
    case channelsFirst

    package func shape(batch: Int, channels: Int, height: Int, width: Int) -> [Int] {
        switch self {
        case .channelsLast: [batch, height, width, channels]
        case .channelsFirst: [batch, channels, height, width]
        }
    }
}
