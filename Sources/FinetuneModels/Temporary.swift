package import FinetuneEngine
package import FinetuneFiles
internal import Glibc
package enum Initialization: String, Sendable, CaseIterable {
    case kaiming, xavier, lecun, zero
    package static func suited(to activation: Activation) -> Initialization {
        switch activation { case .tanh, .sigmoid: .xavier; case .selu: .lecun; default: .kaiming }
    }
    package func tensor(_ shape: [Int], for activation: Activation, _ random: inout RandomNumbers) -> Tensor {
        let fanIn = Double(shape[1]), fanOut = Double(shape[0])
        let v = switch self { case .kaiming: 2 / fanIn; case .xavier: 2 / (fanIn + fanOut); case .lecun: 1 / fanIn; case .zero: 0.0 }
        return Tensor(shape: shape, values: (0..<shape.reduce(1, *)).map { _ in Float(random.nextNormal() * v.squareRoot()) })
    }
}
package enum ClassWeights: String, Sendable, CaseIterable {
    case none, balanced
    package func factors(labels: [Int], classCount: Int) -> [Double] { [Double](repeating: 1, count: classCount) }
}
package enum FeatureScaling: Sendable, Equatable {
    case none, standardize
    package init?(_ text: String) { if text == "none" { self = .none } else if text == "standardize" { self = .standardize } else { return nil } }
    package var text: String { "\(self)" }
    package func fit(_ f: Tensor) throws -> FittedScaling { FittedScaling(s: self == .none ? nil : Standardization(fitting: f), outputs: f.shape[1]) }
}
package struct ScalingError: Error { package let description: String }
package struct FittedScaling: Sendable {
    let s: Standardization?
    package let outputs: Int
    package var normalizesRows: Bool { false }
    package var record: JSON { "x" }
    package func apply(_ f: Tensor) -> Tensor { s?.apply(f.reshaped([f.shape[0], outputs])) ?? f }
    package func folded(weight: Tensor, bias: Tensor) -> (weight: Tensor, bias: Tensor) {
        let h = s?.folded(into: DenseHead(weight: weight, bias: bias, record: .null)) ?? DenseHead(weight: weight, bias: bias, record: .null)
        return (h.weight, h.bias)
    }
}
package enum ConvexHead: String, Sendable { case logistic, ridge
    package func fit(features: Tensor, labels: [Int], classCount: Int, folds: [Int]?, classWeights: ClassWeights, threads: Int, progress: (Double, String) -> Void) -> DenseHead {
        let problem = HeadProblem(features: features, labels: labels, classCount: classCount, folds: folds)
        return LinearAlgebra.withThreads(threads) {
            switch self { case .logistic: LogisticHead.fit(problem, progress); case .ridge: RidgeHead.fit(problem, progress) } }
    }
}
