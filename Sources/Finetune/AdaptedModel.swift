// A network that knows the user's classes.

internal import FinetuneCheckpoints
internal import FinetuneDatasets
public import FinetuneEngine
internal import FinetuneModels
internal import FinetunePipeline
public import FinetuneTraining

/// What a training gives, or an earlier one gave.
public struct AdaptedModel: Sendable {
    let model: Model

    /// Reads a `model.h5`.
    ///
    /// - Parameters:
    ///   - path: What `write(to:)`, or the program, wrote.
    ///   - helper: See `Base`.
    /// - Throws: An error whose description says what is wrong with the file and what to do.
    public init(contentsOf path: String, helper: String = Base.helperBesideProgram) throws {
        self.init(model: try WeightFile(path, helper: helper).model().asClassifier())
    }

    init(model: Model) { self.model = model }

    /// The names of the classes, in the order of the outputs.
    public var classes: [String] { model.classes ?? [] }

    /// Writes weights, classes, preprocessing and all that prediction needs to one HDF5 file, whole or not at all.
    ///
    /// - Throws: An error whose description says what is wrong with the path; what was there before stays.
    public func write(to path: String) throws { try ModelFile.write(model, to: path) }

    /// What a picture shows.
    public struct Answer: Sendable {
        /// The most probable class.
        public let label: String
        /// Of `label`, 0…1, calibrated where the model was.
        public let probability: Double
        /// In the order of `classes`; their sum is 1.
        public let probabilities: [Double]
    }

    /// Labels pictures.
    ///
    /// - Parameters:
    ///   - paths: Files of JPEG, PNG, WebP, TIFF, BMP, GIF, PNM, HEIC, AVIF or JPEG XL.
    ///   - threads: Of the computation.
    ///   - report: Told what happens, pictures that cannot be read among it.
    /// - Returns: An answer for each path, in order; nil for a picture that cannot be read.
    /// - Throws: An error whose description says why the model cannot predict.
    public func predict(
        contentsOf paths: [String], threads: Int = Machine.availableProcessors,
        _ report: @escaping @Sendable (Event) -> Void = { _ in }
    ) async throws -> [Answer?] {
        try Machine.checkMatrixKernels()
        let (model, precision) = model.computable(in: nil, report)
        let predictor = try await Predictor(
            model, classes: classes, precision: precision, imageCount: paths.count,
            thread: EngineThread(threads: threads) { report(.unknownKernel($0)) })
        var answers = [Answer?](repeating: nil, count: paths.count)
        let skipped = try await predictor.predict(FinetuneDatasets.ImageDataset(files: paths)) { done, total in
            report(.progress(stage: "images", done: done, total: total))
        } each: { item, _, probabilities in
            let best = probabilities.indices.max { probabilities[$0] < probabilities[$1] } ?? 0
            answers[item] = Answer(label: classes[best], probability: probabilities[best], probabilities: probabilities)
        }
        for image in skipped { report(.skipped(name: image.name, reason: image.reason)) }
        return answers
    }

    /// Labels one picture: nil where it cannot be read.
    public func predict(contentsOf path: String) async throws -> Answer? { try await predict(contentsOf: [path])[0] }
}
