// Families of networks as files hold them. Readers and writers walk over `Families.all`; what belongs to one family, its
// names in each library and what those libraries take for granted, stands in the family's own files.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

enum Families {
    /// Where the names of a file fit several, the first is taken.
    static let all: [any Family.Type] = [ResNetFamily.self, VGGFamily.self]

    /// The families in words, such as `ResNets and VGGs`.
    static var list: String {
        let names = all.map { "\($0.name)s" }
        return names.dropLast().joined(separator: ", ") + (names.count > 1 ? " and " : "") + (names.last ?? "")
    }

    /// The names of keras.applications that layers have; nil for other names.
    ///
    /// - Parameter areComplete: False if some layers may be missing, as in a damaged file; see `Family`.
    static func kerasNames(of layers: [String], areComplete: Bool = true) -> (any KerasNames)? {
        all.lazy.compactMap { $0.kerasNames(of: layers, areComplete: areComplete) }.first
    }
}

/// A family of networks, by its names.
protocol Family: Sendable {
    /// Such as `ResNet`.
    static var name: String { get }

    // MARK: PyTorch

    /// The family's networks among the tensors of a file: the naming of each, by the prefix of all its names, such as
    /// `module.`.
    ///
    /// - Parameter names: Dots between their parts.
    static func stateDictNames(in names: [String]) -> [String: any StateDictNames]

    /// What a file's configuration says by naming its architecture.
    ///
    /// - Parameter name: In lower case.
    static func verdict(onArchitecture name: String) -> ArchitectureVerdict

    /// Values of `model_type` in transformers' configurations.
    static var modelTypes: Set<String> { get }

    /// What PyTorch's classes call the head.
    static var headModule: String { get }

    /// Whether convolutions of PyTorch's classes have biases.
    static var convolutionsHaveBias: Bool { get }

    /// Why no class of torchvision or timm computes a network, where that shows before its tensors are compared; nil where
    /// nothing shows.
    static func obstacleToPyTorch(_ network: Network) -> String?

    // MARK: Keras

    /// The names of keras.applications that layers have; nil for others.
    ///
    /// - Parameter areComplete: True if the layers are all of a network, so that the first block must be among them; false
    ///   if some may be missing, and any such name is a sign.
    static func kerasNames(of layers: [String], areComplete: Bool) -> (any KerasNames)?

    /// The names under which Keras' own class expects a network with our names; nil where it has no such class.
    static func kerasNames(writing model: Model) -> (any KerasNames)?

    /// Names for layers that have only an order, as in Keras' stores of before 3.6; nil if they are not the family's.
    static func kerasLayers(ofConvolutions convolutions: [NamelessConvolution], normalizations: Int) -> (
        convolutions: [String], normalizations: [String]
    )?
}

extension Family {
    static var modelTypes: Set<String> { [] }
    static func obstacleToPyTorch(_ network: Network) -> String? { nil }
    static func kerasNames(writing model: Model) -> (any KerasNames)? { nil }
    static func kerasLayers(ofConvolutions convolutions: [NamelessConvolution], normalizations: Int) -> (
        convolutions: [String], normalizations: [String]
    )? { nil }
}

/// What the name of an architecture says of the network that its tensors show.
enum ArchitectureVerdict {
    /// The tensors show everything.
    case plain
    /// It computes what leaves no trace in the tensors, or is not read at all.
    case refused(reason: String)
    /// The family's, and not known here.
    case unknown
    /// Another family's.
    case other
}

/// A convolution of a file that does not name it.
struct NamelessConvolution {
    /// The side of its filters.
    var side: Int
    var hasBias: Bool
}

/// The names of a family's layers in the state dicts of one library.
protocol StateDictNames: Sendable {
    var family: any Family.Type { get }
    /// Such as `transformers`.
    var library: String { get }

    /// Our name for a name of the file without its prefix: torchvision's.
    func canonical(_ name: String) -> String

    /// Whether one of our names is that of a layer before the head.
    func isTrunk(_ canonical: String) -> Bool

    /// Which of the family's networks the tensors are.
    ///
    /// - Parameters:
    ///   - table: The trunk's tensors under our names.
    ///   - head: All others.
    ///   - graph: What a configuration says.
    /// - Throws: `CheckpointError` where the tensors show no network of the family. Single tensors that are missing or do
    ///   not fit are left for `TensorTable.weights` to name.
    func network(_ table: inout TensorTable, _ head: inout ListedHead, _ graph: PublishedGraph, path: String) throws
        -> FoundNetwork

    /// A tensor as PyTorch's modules of those names hold it.
    func stored(_ tensor: Tensor, _ canonical: String) -> Tensor
}

/// A network that the tensors of a file are, and what is taken for granted of it.
struct FoundNetwork {
    var design: any NetworkDesign
    /// How pixels become numbers unless the file says so.
    var convention: InputRecipe
    /// Whose convention that is, in words.
    var conventionSource: String
    var notes: [String] = []
    /// Of a file that another program wrote.
    var remarks: [String] = []
}

/// keras.applications' names of a family's layers, and what its networks have in common.
protocol KerasNames: Sendable {
    /// Our name of a layer; nil for one that is not the trunk's.
    func module(layer: String) -> String?

    /// The inverse of `module(layer:)`.
    func layer(module: String) -> String?

    /// Which of the family's networks the tensors are.
    ///
    /// - Throws: `CheckpointError` where the tensors show no network of the family.
    func network(_ table: inout TensorTable, _ head: inout ListedHead, path: String) throws -> any NetworkDesign

    /// The preprocessing that keras.applications does for them.
    ///
    /// - Parameter size: The model's own; nil to take the one that the weights were made for.
    func recipe(size: ImageSize?) -> (InputRecipe, source: String)
}
