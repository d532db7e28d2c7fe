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
final class CompiledTraining: StepCompiler {
    typealias Gradient = CompiledValue.Gradient

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
    private(set) var values: [CompiledValue]
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
        let form = CompiledValue.Form.image(layout, channels: input.channels, height: input.height, width: input.width)
        values = [CompiledValue(form: form, operand: .input)]
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

    /// Computes loss and gradients for `batch` images; what else it needs is in `feed`.
    func run(_ images: UnsafePointer<Float>) throws {
        try program?.run(images)
        dnnl_stream_wait(library.stream)
    }

    private func compile(_ step: Step) throws -> CompiledValue {
        switch step.kind {
        case .convolution(let convolution, let residual, let activation):
            try compile(convolution, residual: residual, activation, step)
        case .batchNormalization(let normalization, let name, let activation):
            try compile(normalization, name, activation, step)
        case .maxPooling(let window):
            try compile(pooling: window, dnnl_pooling_max, step)
        case .averagePooling(let window, let countsPadding):
            try compile(pooling: window, Primitive.mean(countsPadding: countsPadding), step)
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

    /// The value in another layout; itself where it has that layout. Two that want it in the same one share it.
    func reordered(_ value: Int, to layout: Layout, _ step: Step) throws -> ProgramBuilder.Operand {
        if let copy = copies[value]?.first(where: { $0.layout.equals(layout) }) { return copy.operand }
        let operand = try builder.reordered(step.name, values[value].operand, image(value, step).0, to: layout)
        copies[value, default: []].append((layout, operand))
        return operand
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
        _ a: ProgramBuilder.Operand, _ b: ProgramBuilder.Operand, _ form: CompiledValue.Form,
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
