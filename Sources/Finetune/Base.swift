// A pretrained network to begin with.

internal import FinetuneCheckpoints
internal import FinetuneEngine
internal import FinetuneModels

/// A pretrained network.
public struct Base: Sendable {
    let model: Model

    /// Reads a network of any dialect that `finetune inspect` knows.
    ///
    /// - Parameters:
    ///   - path: HDF5 weights of Keras or PyTorch, safetensors, `.pth`, `.keras`, a `model.h5` of an earlier training, or
    ///     a folder with one of these.
    ///   - weightsKey: Which network, if the file holds several; nil for the one that the libraries take.
    ///   - helper: The program `finetune-read-weights`, which opens untrusted HDF5 files; it is built with the package.
    /// - Throws: An error whose description says what is wrong with the file and what to do.
    public init(contentsOf path: String, weightsKey: String? = nil, helper: String = Base.helperBesideProgram) throws {
        model = try WeightFile(path, helper: helper).model(weightsKey: weightsKey)
    }

    /// A network with random weights, for the strategy `scratch`.
    ///
    /// - Parameters:
    ///   - architecture: `resnet18` to `resnet152`, `resnet20` to `resnet110` for small images, or `vgg11` to `vgg19_bn`; then
    ///     `,width=N`, and of a ResNet `,stem=7x7` or `,stem=3x3`.
    ///   - seed: Of the random numbers.
    /// - Throws: An error whose description says which names there are.
    public init(architecture: String, seed: UInt64 = 0) throws {
        model = try Architecture(architecture, outputs: 1).model(seed: seed)
    }

    /// Where the helper is expected: beside the program that runs.
    public static var helperBesideProgram: String { WeightFile.helperBesideProgram }

    /// The architecture in the field's words.
    public var architecture: String { model.network.name }

    /// The names of its stages, in the order data takes them.
    public var stages: [String] { model.network.stages.map(\.name) }
}
