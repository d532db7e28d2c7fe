// How gradients become steps.

/// A rule for steps, with `torch.optim`'s numbers.
package enum Optimizer: Sendable, Equatable {
    /// `w −= rate·g`
    case sgd
    /// `v = momentum·v + g`, `w −= rate·v`: `torch.optim.SGD(momentum=…)` (Polyak 1964).
    case momentum(Double)
    /// `v = momentum·v + g`, `w −= rate·(g + momentum·v)`: `torch.optim.SGD(nesterov=True)` (Nesterov 1983).
    case nesterov(Double)
}

/// What a training may do to one tensor.
package struct ParameterRule: Sendable, Equatable {
    package var learns: Bool
    /// The factor of the learning rate.
    package var rateFactor: Double
    /// `λ` of the penalty `½λ‖w‖²`, which adds `λ·w` to the gradient.
    package var l2: Double
    /// `α` of the penalty `½α‖w − w₀‖²` towards the initial values (L2-SP, Li et al. 2018).
    package var pull: Double

    package init(learns: Bool, rateFactor: Double = 1, l2: Double = 0, pull: Double = 0) {
        self.learns = learns
        self.rateFactor = rateFactor
        self.l2 = l2
        self.pull = pull
    }

    package static let frozen = ParameterRule(learns: false)
}

/// Squared lengths that tell a healthy step from a sick one.
package struct StepNorms: Sendable, Equatable {
    package var gradient = 0.0
    package var value = 0.0
    package var update = 0.0

    package init(gradient: Double = 0, value: Double = 0, update: Double = 0) {
        (self.gradient, self.value, self.update) = (gradient, value, update)
    }

    package static func + (a: StepNorms, b: StepNorms) -> StepNorms {
        StepNorms(gradient: a.gradient + b.gradient, value: a.value + b.value, update: a.update + b.update)
    }
}

/// What a step does to the values from `start` on, all floats of one tensor or a part of it.
struct OptimizerKernel {
    let optimizer: Optimizer
    let rate: Float
    let l2: Float
    let pull: Float

    /// - Parameters:
    ///   - g: Gradients.
    ///   - v: Velocities.
    ///   - anchor: The initial values, where the rule pulls towards them.
    func step(
        _ w: UnsafeMutablePointer<Float>, _ g: UnsafePointer<Float>, _ v: UnsafeMutablePointer<Float>,
        anchor: UnsafePointer<Float>?, count: Int
    ) {
        let (rate, l2, pull) = (rate, l2, anchor == nil ? 0 : pull)
        let anchor = anchor ?? UnsafePointer(w)
        switch optimizer {
        case .sgd:
            for index in 0..<count {
                let slope = g[index] + l2 * w[index] + pull * (w[index] - anchor[index])
                w[index] -= rate * slope
            }
        case .momentum(let momentum):
            let momentum = Float(momentum)
            for index in 0..<count {
                let slope = g[index] + l2 * w[index] + pull * (w[index] - anchor[index])
                v[index] = momentum * v[index] + slope
                w[index] -= rate * v[index]
            }
        case .nesterov(let momentum):
            let momentum = Float(momentum)
            for index in 0..<count {
                let slope = g[index] + l2 * w[index] + pull * (w[index] - anchor[index])
                v[index] = momentum * v[index] + slope
                w[index] -= rate * (slope + momentum * v[index])
            }
        }
    }
}
