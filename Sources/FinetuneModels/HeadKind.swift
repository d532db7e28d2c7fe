// What takes the place of a base's head, as people say it.

internal import FinetuneEngine
package import FinetuneFiles

/// A kind of head and how it learns.
public enum HeadKind: Sendable, Equatable {
    /// On frozen features, to its optimum.
    case convex(ConvexHead)
    /// Dense layers, by steps.
    case layers(HeadDesign)

    /// Multinomial logistic regression.
    public static let logistic = HeadKind.convex(.logistic)
    /// Least squares with an L2 penalty.
    public static let ridge = HeadKind.convex(.ridge)
    /// One dense layer, by steps.
    public static let linear = HeadKind.layers(HeadDesign())

    /// - Parameter text: `logistic`, `ridge`, `linear`, or `mlp:` with the units of each hidden layer.
    /// - Returns: Nil for anything else.
    public init?(_ text: String) {
        if let convex = ConvexHead(rawValue: text) {
            self = .convex(convex)
        } else if text == "linear" {
            self = .linear
        } else {
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0] == "mlp" else { return nil }
            let sizes = parts[1].split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
            guard sizes.allSatisfy({ (1...65536).contains($0) }), sizes.count <= 16 else { return nil }
            self = .layers(HeadDesign(hidden: sizes))
        }
    }

    /// As people say it: what `init(_:)` reads.
    public var text: String {
        switch self {
        case .convex(let head): head.rawValue
        case .layers(let design):
            design.hidden.isEmpty ? "linear" : "mlp:" + design.hidden.map(String.init).joined(separator: ",")
        }
    }

    /// All that it is made of, for the record.
    package var json: JSON {
        guard case .layers(let design) = self else { return ["kind": .string(text)] }
        return [
            "kind": .string(text),
            "activation": design.hidden.isEmpty ? .null : .string(design.activation.rawValue),
            "init": design.initialization.map { .string($0.rawValue) } ?? "default",
        ]
    }
}
