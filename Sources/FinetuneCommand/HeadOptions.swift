// The flags of what takes the place of the base's head.

internal import ArgumentParser
internal import FinetuneEngine
internal import FinetuneModels
internal import FinetuneTraining

/// The new head.
struct HeadOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "On frozen features, to its optimum: logistic (its strength by cross-validation) or ridge. By steps, with every strategy: linear, or mlp:512,256 with the units of its hidden layers. (default: logistic; linear where more than the head learns)",
            valueName: "head"))
    var head: HeadKind?
    @Option(
        help: "Between the layers of an mlp: relu, leaky-relu, elu, selu, gelu, tanh or sigmoid. (default: relu)")
    var activation: Activation?
    @Option(
        name: .customLong("init"),
        help:
            "How the head's weights begin: kaiming, xavier, lecun or zero. (default: a linear head at zero, hidden layers as their activation wants it)"
    )
    var initialization: Initialization?
    @Option(
        help: ArgumentHelp(
            "What is done to frozen features first, fitted on training images: none, standardize, l2, pca:K (K dimensions), whiten or whiten:K. (default: standardize)",
            valueName: "scaling"))
    var featureScaling: FeatureScaling?
    @Option(help: "none, or balanced: rare classes count as much as common ones. (default: none)")
    var classWeights: ClassWeights?

    /// The head that the flags amount to.
    func kind(_ strategy: Strategy) -> HeadKind {
        let kind = TrainingSettings(strategy, head: head).head
        guard case .layers(var design) = kind else { return kind }
        design.activation = activation ?? design.activation
        design.initialization = initialization
        return .layers(design)
    }

    /// The first flag that a strategy does not use, and why; nil where it uses all.
    func unused(by strategy: Strategy) -> String? {
        switch kind(strategy) {
        case .convex(let convex):
            let name = convex.rawValue
            if activation != nil { return "--activation is not used by --head \(name). Try --head mlp:256." }
            if initialization != nil {
                return "--init is not used by --head \(name), which is solved. Try --head linear."
            }
        case .layers(let design):
            if design.hidden.isEmpty, activation != nil {
                return "--activation is not used by --head linear, which has no hidden layer. Try --head mlp:256."
            }
        }
        if featureScaling != nil, strategy != .frozen, strategy != .headFirst {
            return "--feature-scaling is not used by --strategy \(strategy.rawValue)."
        }
        return nil
    }
}
