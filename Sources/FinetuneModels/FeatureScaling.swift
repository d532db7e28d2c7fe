// What is done to frozen features before a head learns from them, fitted on the images that learn alone.

package import FinetuneEngine
package import FinetuneFiles

/// A scaling of features, as people say it.
public enum FeatureScaling: Sendable, Equatable {
    /// Features as they are.
    case none
    /// Each feature to mean 0 and variance 1: scikit-learn's `StandardScaler`.
    case standardize
    /// Each image's features to Euclidean length 1: scikit-learn's `Normalizer`.
    case l2
    /// The given number of principal components: scikit-learn's `PCA`.
    case pca(Int)
    /// Principal components of variance 1, nil for all that have a variance: scikit-learn's `PCA(whiten=True)`.
    case whiten(Int?)

    /// - Parameter text: `none`, `standardize`, `l2`, `pca:K`, `whiten` or `whiten:K`.
    /// - Returns: Nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let count = parts.count == 2 ? Int(parts[1]) ?? 0 : nil
        if let count, count < 1 { return nil }
        switch (parts[0], count) {
        case ("none", nil): self = .none
        case ("standardize", nil): self = .standardize
        case ("l2", nil): self = .l2
        case ("pca", let count?): self = .pca(count)
        case ("whiten", let count): self = .whiten(count)
        default: return nil
        }
    }

    /// As people say it: what `init(_:)` reads.
    public var text: String {
        switch self {
        case .none: "none"
        case .standardize: "standardize"
        case .l2: "l2"
        case .pca(let count): "pca:\(count)"
        case .whiten(let count): count.map { "whiten:\($0)" } ?? "whiten"
        }
    }

    /// Learns what the scaling needs to know.
    ///
    /// - Parameter features: Shape `[images, features]`.
    /// - Throws: `ScalingError` where there are fewer components than are asked for.
    package func fit(_ features: Tensor) throws -> FittedScaling {
        let dimensions = features.shape[1]
        switch self {
        case .none: return FittedScaling(self, .identity, outputs: dimensions)
        case .standardize:
            return FittedScaling(self, .standardized(Standardization(fitting: features)), outputs: dimensions)
        case .l2: return FittedScaling(self, .unitLength, outputs: dimensions)
        case .pca(let count):
            let components = try PrincipalComponents(fitting: features, count: count)
            return FittedScaling(self, .projected(components), outputs: components.count)
        case .whiten(let count):
            let components = try PrincipalComponents(fitting: features, count: count)
            return FittedScaling(self, .projected(components.whitening), outputs: components.count)
        }
    }
}

/// A scaling that knows its numbers.
package struct FittedScaling: Sendable {
    fileprivate enum Transform: Sendable {
        case identity
        case standardized(Standardization)
        case unitLength
        case projected(PrincipalComponents)
    }

    private let scaling: FeatureScaling
    private let transform: Transform
    /// Columns of what `apply` gives.
    package let outputs: Int

    fileprivate init(_ scaling: FeatureScaling, _ transform: Transform, outputs: Int) {
        self.scaling = scaling
        self.transform = transform
        self.outputs = outputs
    }

    /// - Parameter features: Shape `[images, features]`.
    /// - Returns: Shape `[images, outputs]`.
    package func apply(_ features: Tensor) -> Tensor {
        switch transform {
        case .identity: features
        case .standardized(let scaling): scaling.apply(features)
        case .unitLength: features.unitRows
        case .projected(let components): components.apply(features)
        }
    }

    /// Whether a layer on raw features reads rows of length 1, which no folding can bring about.
    package var normalizesRows: Bool { if case .unitLength = transform { true } else { false } }

    /// The layer on raw features that does what the given one does on scaled ones, but for `normalizesRows`.
    ///
    /// - Parameters:
    ///   - weight: Shape `[layer's outputs, outputs]`.
    ///   - bias: Shape `[layer's outputs]`.
    package func folded(weight: Tensor, bias: Tensor) -> (weight: Tensor, bias: Tensor) {
        switch transform {
        case .identity, .unitLength: (weight, bias)
        case .standardized(let scaling): scaling.folded(weight: weight, bias: bias)
        case .projected(let components): components.folded(weight: weight, bias: bias)
        }
    }

    /// What was learned, in words.
    package var summary: String? {
        guard case .projected(let components) = transform else { return nil }
        let share = (components.explainedVarianceRatio.reduce(0, +) * 1000).rounded() / 10
        return "\(components.count) principal components hold \(share) % of the features' variance."
    }

    package var record: JSON {
        guard case .projected(let components) = transform else { return ["kind": .string(scaling.text)] }
        let ratio = components.explainedVarianceRatio
        return [
            "kind": .string(scaling.text), "components": .integer(components.count),
            "components_without_variance": .integer(components.dropped),
            "explained_variance": .number(ratio.reduce(0, +)), "explained_variance_ratio": JSON(ratio),
        ]
    }
}

/// Why features cannot be scaled as they were to be.
package struct ScalingError: Error, Sendable, CustomStringConvertible {
    package let description: String

    static func tooMany(_ count: Int, images: Int, features: Int, available: Int) -> ScalingError {
        ScalingError(
            description:
                "cannot find \(count) principal components: \(images) training images with \(features) features have \(available) of any variance. Ask for fewer with --feature-scaling."
        )
    }

    static let notFinite = ScalingError(
        description:
            "cannot find principal components: some features are not finite numbers. Try --precision fp32 or another --recipe."
    )
}

extension Tensor {
    /// Each row divided by its Euclidean length: scikit-learn's `Normalizer`.
    fileprivate var unitRows: Tensor {
        mapRows { _, row, result in
            var square = 0.0
            for column in row.indices { square += Double(row[column]) * Double(row[column]) }
            let length = max(square.squareRoot(), 1e-12)
            for column in row.indices { result[column] = Float(Double(row[column]) / length) }
        }
    }
}
