// How gradients become steps.

internal import CFinetuneMath
internal import Glibc

/// A rule for steps, with `torch.optim`'s numbers; `g` is the gradient with that of the penalties.
public enum Optimizer: Sendable, Equatable {
    /// `w −= rate·g`
    case sgd
    /// `v = momentum·v + g`, `w −= rate·v`: `torch.optim.SGD(momentum=…)` (Polyak 1964).
    case momentum(Double = 0.9)
    /// `v = momentum·v + g`, `w −= rate·(g + momentum·v)`: `torch.optim.SGD(nesterov=True)` (Nesterov 1983).
    case nesterov(Double = 0.9)
    /// `s = decay·s + (1 − decay)·g²`, `w −= rate·g/(√s + ε)`: `torch.optim.RMSprop(alpha=decay)` (Hinton 2012).
    case rmsProp(decay: Double = 0.99, epsilon: Double = 1e-8)
    /// `m` and `s` are the moving averages of `g` and `g²`, `m̂` and `ŝ` those without their bias towards zero;
    /// `w −= rate·m̂/(√ŝ + ε)`: `torch.optim.Adam` (Kingma and Ba 2014).
    case adam(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8)
    /// The same, and L2 shrinks the weights beside it: `w −= rate·λ·w`: `torch.optim.AdamW` (Loshchilov and Hutter
    /// 2017).
    case adamW(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8)
    /// Adam's direction `u = m̂/(√ŝ + ε) + λ·w`, as long as the tensor itself: `w −= rate·‖w‖/‖u‖·u`, the ratio being 1 if
    /// either is zero. A rate is the fraction by which a step changes a tensor, so that one layer's scale does not decide
    /// for all (You et al. 2020): timm's `Lamb(always_adapt=True, max_grad_norm=None)`.
    case lamb(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-6)

    /// Whether it divides a step by the size of past gradients, so that rates are much smaller.
    public var isAdaptive: Bool {
        switch self {
        case .sgd, .momentum, .nesterov: false
        case .rmsProp, .adam, .adamW, .lamb: true
        }
    }

    /// Numbers that it remembers of each weight.
    package var memories: Int {
        switch self {
        case .sgd: 0
        case .momentum, .nesterov, .rmsProp: 1
        case .adam, .adamW, .lamb: 2
        }
    }

    /// Whether the length of a step depends on those of the whole tensor and of its direction.
    package var needsLengths: Bool { if case .lamb = self { true } else { false } }
}

/// What a training may do to one tensor.
package struct ParameterRule: Sendable, Equatable {
    package var learns: Bool
    /// The factor of the learning rate.
    package var rateFactor: Double
    /// `λ` of the penalty `λ·Σ|w|`, which adds `λ·sign(w)` to the gradient.
    package var l1: Double
    /// `λ` of the penalty `½λ‖w‖²`, which adds `λ·w` to the gradient.
    package var l2: Double
    /// `α` of the penalty `½α‖w − w₀‖²` towards the initial values (L2-SP, Li et al. 2018).
    package var pull: Double

    package init(learns: Bool, rateFactor: Double = 1, l1: Double = 0, l2: Double = 0, pull: Double = 0) {
        self.learns = learns
        self.rateFactor = rateFactor
        self.l1 = l1
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

/// One step of one tensor, eight weights at a time.
///
/// A tensor lies as in `ParameterMemory`, where zeros follow it to the end of a whole vector: they take the step, too.
struct OptimizerKernel {
    typealias Lanes = SIMD8<Float>

    let optimizer: Optimizer
    let rate: Double
    let rule: ParameterRule
    /// From 1.
    let step: Int
    /// What gradients are multiplied by before they are used: below 1 where they are clipped.
    var gradientFactor: Float = 1
    /// The length of the tensor over that of its direction, for an optimizer that needs it.
    var trustRatio: Double = 1

    /// Where the vectors of a tensor, or a part of it, are.
    struct Operands {
        let values: UnsafeMutablePointer<Lanes>
        let gradients: UnsafePointer<Lanes>
        /// As many as the optimizer remembers.
        let memories: [UnsafeMutablePointer<Lanes>]
        /// The initial values; nil where nothing pulls towards them.
        let anchor: UnsafePointer<Lanes>?

        func dropping(_ count: Int) -> Operands {
            Operands(
                values: values + count, gradients: gradients + count, memories: memories.map { $0 + count },
                anchor: anchor.map { $0 + count })
        }
    }

    /// - Parameter count: Of vectors.
    func run(_ operands: Operands, count: Int) {
        let w = operands.values
        let penalties = Penalties(self, operands)
        let step = Float(rate)
        switch optimizer {
        case .sgd:
            for index in 0..<count { w[index] -= step * penalties.slope(index) }
        case .momentum(let momentum):
            let (v, momentum) = (operands.memories[0], Float(momentum))
            for index in 0..<count {
                v[index] = momentum * v[index] + penalties.slope(index)
                w[index] -= step * v[index]
            }
        case .nesterov(let momentum):
            let (v, momentum) = (operands.memories[0], Float(momentum))
            for index in 0..<count {
                let slope = penalties.slope(index)
                v[index] = momentum * v[index] + slope
                w[index] -= step * (slope + momentum * v[index])
            }
        case .rmsProp(let decay, let epsilon):
            let s = operands.memories[0]
            let (decay, rest, epsilon) = (Float(decay), Float(1 - decay), Float(epsilon))
            for index in 0..<count {
                let slope = penalties.slope(index)
                s[index] = decay * s[index] + rest * slope * slope
                w[index] -= step * slope / (finetune_square_roots(s[index]) + epsilon)
            }
        case .adam(let beta1, let beta2, let epsilon):
            adam(w, operands.memories, penalties, beta1, beta2, epsilon, shrinking: 0, count)
        case .adamW(let beta1, let beta2, let epsilon):
            adam(w, operands.memories, penalties, beta1, beta2, epsilon, shrinking: Float(rate * rule.l2), count)
        case .lamb:
            let (length, direction) = (Float(rate * trustRatio), Direction(self, operands))
            for index in 0..<count { w[index] -= length * direction[index] }
        }
    }

    /// Moves what LAMB remembers, and adds up the squares of the tensor and of its direction.
    ///
    /// - Parameter count: Of vectors.
    func prepare(_ operands: Operands, count: Int) -> (value: Double, direction: Double) {
        guard case .lamb(let beta1, let beta2, _) = optimizer else { return (0, 0) }
        let (m, s) = (operands.memories[0], operands.memories[1])
        let (keep1, rest1, keep2, rest2) = (Float(beta1), Float(1 - beta1), Float(beta2), Float(1 - beta2))
        let (penalties, direction) = (Penalties(self, operands), Direction(self, operands))
        var (value, length) = (SIMD8<Double>.zero, SIMD8<Double>.zero)
        for index in 0..<count {
            let slope = penalties.slope(index)
            m[index] = keep1 * m[index] + rest1 * slope
            s[index] = keep2 * s[index] + rest2 * slope * slope
            let (w, u) = (SIMD8<Double>(operands.values[index]), SIMD8<Double>(direction[index]))
            value += w * w
            length += u * u
        }
        return (value.sum(), length.sum())
    }

    /// LAMB's direction, from what it remembers.
    private struct Direction {
        let w: UnsafePointer<Lanes>
        let m: UnsafePointer<Lanes>
        let s: UnsafePointer<Lanes>
        let scale: Float
        let correction: Float
        let epsilon: Float
        let l2: Float

        init(_ kernel: OptimizerKernel, _ operands: Operands) {
            guard case .lamb(let beta1, let beta2, let epsilon) = kernel.optimizer else {
                preconditionFailure("\(kernel.optimizer) has no direction of its own")
            }
            w = UnsafePointer(operands.values)
            (m, s) = (UnsafePointer(operands.memories[0]), UnsafePointer(operands.memories[1]))
            scale = Float(1 / (1 - pow(beta1, Double(kernel.step))))
            correction = Float(1 / (1 - pow(beta2, Double(kernel.step))).squareRoot())
            self.epsilon = Float(epsilon)
            l2 = Float(kernel.rule.l2)
        }

        @inline(__always) subscript(index: Int) -> Lanes {
            scale * m[index] / (finetune_square_roots(s[index]) * correction + epsilon) + l2 * w[index]
        }
    }

    private func adam(
        _ w: UnsafeMutablePointer<Lanes>, _ memories: [UnsafeMutablePointer<Lanes>], _ penalties: Penalties,
        _ beta1: Double, _ beta2: Double, _ epsilon: Double, shrinking: Float, _ count: Int
    ) {
        let (m, s) = (memories[0], memories[1])
        let (keep1, rest1, keep2, rest2) = (Float(beta1), Float(1 - beta1), Float(beta2), Float(1 - beta2))
        let step = Float(rate / (1 - pow(beta1, Double(step))))
        let correction = Float(1 / (1 - pow(beta2, Double(self.step))).squareRoot())
        let epsilon = Float(epsilon)
        for index in 0..<count {
            let slope = penalties.slope(index)
            m[index] = keep1 * m[index] + rest1 * slope
            s[index] = keep2 * s[index] + rest2 * slope * slope
            let root = finetune_square_roots(s[index])
            w[index] -= shrinking * w[index] + step * m[index] / (root * correction + epsilon)
        }
    }

    /// Gradients with those of the penalties.
    private struct Penalties {
        let w: UnsafePointer<Lanes>
        let g: UnsafePointer<Lanes>
        let anchor: UnsafePointer<Lanes>
        let l1: Lanes
        let l2: Float
        let pull: Float
        let factor: Float

        init(_ kernel: OptimizerKernel, _ operands: Operands) {
            w = UnsafePointer(operands.values)
            g = operands.gradients
            anchor = operands.anchor ?? w
            l1 = Lanes(repeating: Float(kernel.rule.l1))
            l2 =
                switch kernel.optimizer {
                case .adamW, .lamb: 0
                default: Float(kernel.rule.l2)
                }
            factor = kernel.gradientFactor
            pull = operands.anchor == nil ? 0 : Float(kernel.rule.pull)
        }

        @inline(__always) func slope(_ index: Int) -> Lanes {
            let value = w[index]
            let sign = Lanes.zero.replacing(with: l1, where: value .> 0).replacing(with: -l1, where: value .< 0)
            return factor * g[index] + sign + l2 * value + pull * (value - anchor[index])
        }
    }
}
