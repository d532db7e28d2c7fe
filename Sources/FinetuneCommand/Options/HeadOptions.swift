// The flags of the head that replaces the base's.

internal import ArgumentParser
internal import FinetuneEngine
internal import FinetuneModels
internal import FinetuneTraining

/// The new head.
struct HeadOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Fitted directly to frozen features: logistic (logistic regression, its regularization strength chosen by cross-validation) or ridge. Trained in epochs, with every strategy: linear, or mlp:512,256 with the units of its hidden layers. (default: logistic; linear if more than the head is trained)",
            valueName: "head"))
    var head: HeadKind?
    @Option(
        help:
            "Activation between the layers of an mlp: \(Activation.allCases.map(\.rawValue).joined(separator: ", ")). (default: relu)"
    )
    var activation: Activation?
    @Option(
        name: .customLong("init"),
        help:
            "Initialization of the head's weights: kaiming, xavier, lecun or zero. (default: zero for a linear head, for hidden layers what suits their activation)"
    )
    var initialization: Initialization?
    @Option(
        help: ArgumentHelp(
            "Scaling of frozen features, fitted on training images: none, standardize, l2, pca:K (K dimensions), whiten or whiten:K. (default: standardize)",
            valueName: "scaling"))
    var featureScaling: FeatureScaling?
    @Option(help: "none, or balanced: rare classes count as much as common ones. (default: none)")
    var classWeights: ClassWeights?

    /// The head that the flags amount to.
    func kind(_ strategy: Strategy) -> HeadKind {
        // The head that those strategies begin with is fitted by logistic regression.
        let head = strategy.beginsWithFittedHead && head == .convex(.logistic) ? nil : head
        let kind = TrainingSettings(strategy, head: head).head
        guard case .layers(var design) = kind else { return kind }
        design.activation = activation ?? design.activation
        design.initialization = initialization
        return .layers(design)
    }

    /// The first flag that has no effect with a strategy, and why; nil if all have one.
    func unused(by strategy: Strategy) -> String? {
        switch kind(strategy) {
        case .convex(let convex):
            if activation != nil {
                return
                    "--activation has no effect with \(named(convex)), which has no hidden layer. Try --head mlp:256."
            }
            if initialization != nil {
                return "--init has no effect with \(named(convex)), which is fitted directly. Try --head linear."
            }
        case .layers(let design):
            if design.hidden.isEmpty, activation != nil {
                return "--activation has no effect with --head linear, which has no hidden layer. Try --head mlp:256."
            }
        }
        if featureScaling != nil, strategy != .frozen, !strategy.beginsWithFittedHead {
            return
                "--feature-scaling has no effect with --strategy \(strategy.rawValue): it scales frozen features. Leave it out, or use --strategy lp-ft."
        }
        return nil
    }

    /// Why a flag of a training in epochs has no effect with a head that is fitted directly.
    func reason(_ convex: ConvexHead) -> String {
        let name = head == nil ? "the default head" : "--head \(convex.rawValue)"
        let first = "has no effect with \(name), which is fitted directly. For training in epochs: --head linear."
        return head == nil
            ? first + " (The default is --head logistic: logistic regression on frozen features.)" : first
    }

    /// The head in a message.
    private func named(_ convex: ConvexHead) -> String {
        head == nil ? "the default head (--head \(convex.rawValue))" : "--head \(convex.rawValue)"
    }
}
