// The types of settings as values of flags.

public import ArgumentParser
public import FinetuneDatasets
public import FinetuneEngine
public import FinetuneModels
public import FinetuneTraining

extension Activation: ExpressibleByArgument {}
extension Augmentation: ExpressibleByArgument {}
extension ClassWeights: ExpressibleByArgument {}
extension Initialization: ExpressibleByArgument {}
extension Monitor: ExpressibleByArgument {}
extension NormalizationMode: ExpressibleByArgument {}
extension Precision: ExpressibleByArgument {}
extension Strategy: ExpressibleByArgument {}

extension HeadKind: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

extension FeatureScaling: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

/// What `--depth` says.
enum DepthChoice: ExpressibleByArgument, Equatable {
    case full, auto
    case bits(Int)

    init?(argument: String) {
        switch argument {
        case "full": self = .full
        case "auto": self = .auto
        default:
            guard let bits = Int(argument), (1...16).contains(bits) else { return nil }
            self = .bits(bits)
        }
    }

    /// Nil for `auto`, which a data set decides.
    var bits: Int? {
        switch self {
        case .full: 16
        case .auto: nil
        case .bits(let bits): bits
        }
    }

    var defaultValueDescription: String { bits.map { String($0) } ?? "auto" }
}
