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
