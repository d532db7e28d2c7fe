// A lowered network compiled for training: forward, loss and backward as one list of instructions.
//
// The walk goes over the steps once. Each operation adds its forward instructions and puts what adds its backward ones
// on a tape, which is then played in reverse (files `CompiledTraining+….swift` have both side by side). Activations are
// kept in the layouts that the convolutions chose; a gradient has the layout of its value; what nothing below learns
// from has no gradient, so backward ends at the deepest operation that learns.

internal import CFinetuneDNNL
internal import FinetuneRanks
internal import Glibc

/// What `TrainingProgram` runs. Lives on the engine's thread.
final class CompiledTraining {
    /// A value between two operations.
    struct Value {
        enum Form {
            case image(Layout, channels: Int, height: Int, width: Int)
            /// Floats, one row an image.
            case rows(Int)
        }
        let form: Form
        let operand: ProgramBuilder.Operand
        /// Whether something that learns comes before it.
        let needsGradient: Bool
        var gradient: Gradient?
    }

    /// The gradient of the loss by a value, in the value's layout.
    struct Gradient {
        var operand: ProgramBuilder.Operand
        /// Whether another value's gradient is the same memory, which then must not be changed.
        var isShared: Bool
    }

    /// A layer of rectified units, for which dead ones are counted.
    struct Units {
        let name: String
        let count: Int
        /// The gradient of the loss by each unit's bias, which is exactly zero for a unit that never fired.
        let biasGradient: UnsafePointer<Float>
    }

    let builder: ProgramBuilder
    let precision: Precision
    let parameters: ParameterMemory
    let gradients: ParameterBlock
    /// Means and variances of batch norms.
    let statistics: ParameterMemory
    let live: Set<String>
    let dropout: [String: Dropout]
    let ranks: Ranks
    var values: [Value]
    var tape: [() throws -> Void] = []
    /// Where gradients lie that are whole, and whose sum over ranks has not begun.
    var readyGradients: [Range<Int>] = []
    private var copies: [Int: [(layout: Layout, operand: ProgramBuilder.Operand)]] = [:]
    private(set) var units: [Units] = []
    private(set) var classes = 0
    private var program: BoundProgram?

    /// What a step is given and gives back, at fixed places.
    let feed: TrainingFeed

    /// - Parameters:
    ///   - live: Names of batch norms that normalize by the batch's own statistics.
    ///   - dropout: How inputs of dense layers are dropped, by the layers' names.
    ///   - classWeights: The factor of each class's part of the loss; empty for none.
    ///   - ranks: Those over which gradients are added up.
    init(
        _ network: Network, _ lowering: Lowering, parameters: ParameterMemory, statistics: ParameterMemory,
        live: Set<String>, dropout: [String: Dropout], classWeights: [Float], input: ImageBatchShape,
        precision: Precision, ranks: Ranks
    ) throws {
        self.precision = precision
        self.ranks = ranks
        self.parameters = parameters
        self.statistics = statistics
        self.live = live
        self.dropout = dropout
        gradients = parameters.block()
        let layout = try input.layout()
        builder = try ProgramBuilder(batch: input.batch, input: layout)
        let form = Value.Form.image(layout, channels: input.channels, height: input.height, width: input.width)
        values = [Value(form: form, operand: .input, needsGradient: false)]
        let outputs = lowering.steps.last.flatMap { step -> Int? in
            if case .dense(let weight, _) = step.kind { weight.shape[0] } else { nil }
        }
        guard let outputs, lowering.result == lowering.steps.last?.output else {
            throw EngineError.unsupported(network.name, "a network that learns ends in a dense layer")
        }
        classes = outputs
        precondition(
            classWeights.isEmpty || classWeights.count == outputs, "\(classWeights.count) weights of \(outputs) classes"
        )
        feed = TrainingFeed(
            batch: input.batch,
            classWeights: classWeights.isEmpty ? [Float](repeating: 1, count: outputs) : classWeights)
        for step in lowering.steps {
            values.append(try compile(step))
        }
        try compileLoss(lowering.result)
        while let backward = tape.popLast() {
            try backward()
            addSums(isLast: tape.isEmpty)
        }
        program = try builder.bind()
    }

    var batch: Int { builder.batch }
    var library: OneDNN { builder.library }

    /// Computes loss and gradients for `batch` images; what else it needs is in `feed`.
    func run(_ images: UnsafePointer<Float>) throws {
        try program?.run(images)
        dnnl_stream_wait(library.stream)
    }

    private func compile(_ step: Step) throws -> Value {
        switch step.kind {
        case .convolution(let convolution, let residual, let activation):
            try compile(convolution, residual: residual, activation, step)
        case .batchNormalization(let normalization, let name, let activation):
            try compile(normalization, name, activation, step)
        case .maxPooling(let window):
            try compile(pooling: window, dnnl_pooling_max, step)
        case .averagePooling(let window, let countsPadding):
            try compile(
                pooling: window,
                countsPadding ? dnnl_pooling_avg_include_padding : dnnl_pooling_avg_exclude_padding, step)
        case .activation(let activation): try compile(activation, step)
        case .addition(let other, let activation): try compile(sumWith: other, activation, step)
        case .channelScaling(let other): try compile(scalingBy: other, step)
        case .globalAverage: try compileGlobalAverage(step)
        case .flatten: try compileFlatten(step)
        case .rowNormalization: try compileRowNormalization(step)
        case .dense: try compileDense(step)
        }
    }

    // MARK: Values

    func image(_ value: Int, _ step: Step) throws -> (Layout, channels: Int, height: Int, width: Int) {
        guard case .image(let layout, let channels, let height, let width) = values[value].form else {
            throw EngineError.unsupported(step.name, "it reads rows where an image is expected")
        }
        return (layout, channels, height, width)
    }

    func rows(_ value: Int, _ step: Step) throws -> Int {
        guard case .rows(let count) = values[value].form else {
            throw EngineError.unsupported(step.name, "it reads an image where rows are expected")
        }
        return count
    }

    /// The value in another layout; itself where it has that layout. Two that want it in the same one share it.
    func reordered(_ value: Int, to layout: Layout, _ step: Step) throws -> ProgramBuilder.Operand {
        if let copy = copies[value]?.first(where: { $0.layout.equals(layout) }) { return copy.operand }
        let operand = try builder.reordered(step.name, values[value].operand, image(value, step).0, to: layout)
        copies[value, default: []].append((layout, operand))
        return operand
    }

    func channelsLast(_ value: Int, _ step: Step) throws -> Layout {
        let (_, channels, height, width) = try image(value, step)
        return try Layout([batch, channels, height, width], dnnl_f32, .channelsLast)
    }

    // MARK: Gradients

    /// The whole gradient of a value once everything that reads it has contributed; nil where nothing did.
    func gradient(_ value: Int) -> Gradient? { values[value].gradient }

    /// Adds to the gradient of a value.
    ///
    /// - Parameters:
    ///   - operand: In `layout`, or rows of floats where that is nil.
    ///   - isShared: Whether the memory stays somebody else's too.
    func contribute(
        _ operand: ProgramBuilder.Operand, _ layout: Layout?, isShared: Bool = false, to value: Int, _ step: Step
    ) throws {
        guard values[value].needsGradient else { return }
        var (operand, isShared) = (operand, isShared)
        if let layout {
            let own = try image(value, step).0
            if !layout.equals(own) {
                operand = try builder.copied(step.name, operand, layout, to: own)
                isShared = false
            }
        }
        guard let old = values[value].gradient else {
            values[value].gradient = Gradient(operand: operand, isShared: isShared)
            return
        }
        let target = !old.isShared ? old.operand : !isShared ? operand : nil
        values[value].gradient = Gradient(
            operand: try add(old.operand, operand, values[value].form, into: target, step), isShared: false)
    }

    private func add(
        _ a: ProgramBuilder.Operand, _ b: ProgramBuilder.Operand, _ form: Value.Form,
        into target: ProgramBuilder.Operand?, _ step: Step
    ) throws -> ProgramBuilder.Operand {
        switch form {
        case .image(let layout, _, _, _):
            let target = target ?? builder.newBuffer(layout.byteCount)
            let primitive = try Primitive.binary(
                library, dnnl_binary_add, first: layout, second: layout, destination: layout)
            try builder.add(
                step.name, primitive,
                [(DNNL_ARG_SRC_0, a, layout), (DNNL_ARG_SRC_1, b, layout), (DNNL_ARG_DST, target, layout)])
            return target
        case .rows(let count):
            let target = target ?? builder.newBuffer(batch * count * 4)
            builder.addLoop([a, b, target]) { [batch] addresses in
                RowKernels.add(
                    addresses[0].floats, addresses[1].floats, batch * count, into: addresses[2].floats)
            }
            return target
        }
    }

    /// The gradient by an image activation's argument, given the gradient by its result `y`.
    func backward(
        _ activation: Activation?, _ gradient: Gradient, y: ProgramBuilder.Operand, _ layout: Layout, _ step: Step
    ) throws -> Gradient {
        guard let activation else { return gradient }
        let target = gradient.isShared ? builder.newBuffer(layout.byteCount) : gradient.operand
        try builder.add(
            step.name, try Primitive.activationBackward(library, activation, layout: layout),
            [
                (DNNL_ARG_DST, y, layout), (DNNL_ARG_DIFF_DST, gradient.operand, layout),
                (DNNL_ARG_DIFF_SRC, target, layout),
            ])
        return Gradient(operand: target, isShared: false)
    }

    func addUnits(_ name: String, _ count: Int, _ biasGradient: UnsafePointer<Float>) {
        units.append(Units(name: name, count: count, biasGradient: biasGradient))
    }

    // MARK: Loss

    /// Cross-entropy of softmax, weighted by image; its gradient starts the way back.
    private func compileLoss(_ result: Int) throws {
        let gradient = builder.newBuffer(batch * classes * 4)
        builder.addLoop([values[result].operand, gradient]) { [feed] addresses in
            feed.computeLoss(addresses[0].floats, gradient: addresses[1].floats)
        }
        values[result].gradient = Gradient(operand: gradient, isShared: false)
    }
}

/// The shape and memory order of a program's input.
struct ImageBatchShape {
    var batch: Int
    var channels: Int
    var height: Int
    var width: Int
    var order = ImageOrder.channelsLast

    func layout() throws -> Layout {
        try Layout([batch, channels, height, width], dnnl_f32, order == .channelsLast ? .channelsLast : .plain)
    }
}

/// What one step of training is given beside its images, and what it gives back.
final class TrainingFeed {
    let batch: Int
    let classes: Int
    /// Probabilities, one row an image.
    var targets: [Float]
    /// The factor of each image's loss; 0 for what only fills the batch.
    var imageWeights: [Float]
    /// The factor of each class's part of the loss.
    let classWeights: [Float]
    /// The key of the random numbers of dropout.
    var dropoutKey: UInt64 = 0
    /// The place of the first image in the whole batch of all ranks.
    var firstRow = 0
    /// The sum of the images' weighted losses.
    private(set) var loss = 0.0
    /// Images whose largest logit is at the largest target, among those that count.
    private(set) var hits = 0
    private(set) var logits: [Float]

    init(batch: Int, classWeights: [Float]) {
        let classes = classWeights.count
        self.batch = batch
        self.classWeights = classWeights
        self.classes = classes
        targets = [Float](repeating: 0, count: batch * classes)
        imageWeights = [Float](repeating: 0, count: batch)
        logits = targets
    }

    /// `−Σ tₖ·ln softmax(z)ₖ` with `tₖ` the weighted target, and its gradient `softmax(z)·Σt − t`, in double precision:
    /// `torch.nn.CrossEntropyLoss` with probabilities for targets.
    func computeLoss(_ z: UnsafePointer<Float>, gradient: UnsafeMutablePointer<Float>) {
        (loss, hits) = (0, 0)
        var powers = [Double](repeating: 0, count: classes)
        for image in 0..<batch {
            let start = image * classes
            var (largest, best, wanted) = (-Double.infinity, 0, 0)
            for k in 0..<classes {
                logits[start + k] = z[start + k]
                let logit = Double(z[start + k])
                // A logit that is no number must not hide among comparisons.
                if logit > largest || logit.isNaN { (largest, best) = (logit, k) }
                if targets[start + k] > targets[start + wanted] { wanted = k }
            }
            var sum = 0.0
            for k in 0..<classes {
                powers[k] = exp(Double(z[start + k]) - largest)
                sum += powers[k]
            }
            let weight = Double(imageWeights[image])
            func target(_ k: Int) -> Double { Double(targets[start + k]) * Double(classWeights[k]) }
            let mass = (0..<classes).reduce(0) { $0 + target($1) }
            for k in 0..<classes {
                let target = target(k)
                if target != 0, weight != 0 { loss += weight * target * (log(sum) + largest - Double(z[start + k])) }
                gradient[start + k] = weight == 0 ? 0 : Float(weight * (powers[k] / sum * mass - target))
            }
            if weight != 0, best == wanted { hits += 1 }
        }
    }
}
