// A network, or its frozen part, compiled for inference on oneDNN.

/// Runs a network up to one of its nodes on batches of images.
///
/// Compiled for one batch size and one image size: batch norms are folded, activations and residual additions fused,
/// blocked layouts kept from the first convolution to the pooling, and all memory allocated once. An image's result
/// does not depend on its neighbours in the batch.
package actor InferenceProgram {
    /// The largest number of images in a run.
    package nonisolated let batch: Int
    /// The shape of a full batch of images in the order that the program wants them.
    package nonisolated let inputShape: [Int]
    private let thread: EngineThread
    private let observer: RangeObserver?
    private var program: CompiledProgram?

    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Compiles `network` up to the node `output`.
    ///
    /// - Parameters:
    ///   - batch: Images a run. Every run costs a full batch.
    ///   - height: Pixels of an image; the network's own size need not be kept by networks that pool globally.
    ///   - ranges: What int8 keeps of each node's values, by the node's name: see `MagnitudeHistogram.range`. A node
    ///     without a range is computed on floats.
    ///   - constants: Shared with other programs of the same network and precision, which then hold its filters once.
    ///   - observes: Whether the magnitudes of what nodes give are counted (not in int8): see `histograms`.
    /// - Throws: `EngineError` for a tensor that is missing or does not fit, or an image that is too small.
    package init(
        _ network: Network, _ weights: Weights, output: String, batch: Int, height: Int, width: Int,
        order: ImageOrder = .channelsLast, precision: Precision, ranges: [String: Float] = [:],
        sharing constants: PackedConstants = PackedConstants(), observes: Bool = false, thread: EngineThread
    ) async throws {
        self.batch = batch
        inputShape = order.shape(batch: batch, channels: network.inputChannels, height: height, width: width)
        self.thread = thread
        observer = observes ? RangeObserver() : nil
        program = nil
        program = try CompiledProgram(
            Lowering(network, weights, output: output),
            input: ImageBatchShape(
                batch: batch, channels: network.inputChannels, height: height, width: width, order: order),
            precision: precision, ranges: ranges, sharing: constants, observer: observer)
        thread.report(unknownKernels: program?.library.unknownKernels ?? [])
    }

    /// The magnitudes of the images and of what each node gave in all runs so far, where the program observes them.
    package var histograms: [String: MagnitudeHistogram] { observer?.histograms ?? [:] }

    /// The shape of one image's result: `[features]`, or `[channels, height, width]` where the node is spatial.
    package var outputShape: [Int] { program?.outputShape ?? [] }

    /// The kernel of each compiled primitive, in order.
    package var kernels: [ChosenKernel] { program?.kernels ?? [] }

    /// Runs the network.
    ///
    /// - Parameter images: Shape `inputShape` with at most `batch` images, preprocessed.
    /// - Returns: Shape `[count] + outputShape`.
    package func run(_ images: Tensor) throws -> Tensor {
        precondition(
            images.shape.count == 4 && images.shape[0] <= batch && images.shape.dropFirst() == inputShape.dropFirst(),
            "a program for \(inputShape) got images of \(images.shape)")
        guard let program else { return Tensor(shape: [0], values: []) }
        let count = images.shape[0]
        let full = count == batch ? images : images.padded(toRows: batch)
        observer?.images = count
        return try full.withUnsafeBufferPointer { values in
            guard let address = values.baseAddress else { return Tensor(shape: [0], values: []) }
            observer?.observe(Node.image, UnsafeRawPointer(address), count: values.count, .fp32, batch: batch)
            let result = try program.run(address)
            let shape = [count] + program.outputShape
            return Tensor.unsafelyFilled(shape: shape) { _ = $0.update(from: result.prefix(shape.reduce(1, *))) }
        }
    }
}

extension Tensor {
    /// The tensor with rows of zeros appended.
    func padded(toRows rows: Int) -> Tensor {
        Tensor(shape: [rows] + shape.dropFirst()) { values in
            values.update(repeating: 0)
            withSpan { values.update(from: $0) }
        }
    }
}
