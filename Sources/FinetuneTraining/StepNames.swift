// Optimizers and schedules as flags and records say them.

package import FinetuneEngine
internal import FinetuneFiles

extension Optimizer {
    /// Each with its usual numbers.
    package static let named: [(name: String, optimizer: Optimizer)] = [
        ("sgd", .sgd), ("momentum", .momentum()), ("nesterov", .nesterov()), ("rmsprop", .rmsProp()), ("adam", .adam()),
        ("adamw", .adamW()),
    ]

    package init?(name: String) {
        guard let found = Self.named.first(where: { $0.name == name }) else { return nil }
        self = found.optimizer
    }

    package var name: String { json["name"]?.stringValue ?? "" }

    var json: JSON {
        switch self {
        case .sgd: ["name": "sgd"]
        case .momentum(let momentum): ["name": "momentum", "momentum": .number(momentum)]
        case .nesterov(let momentum): ["name": "nesterov", "momentum": .number(momentum)]
        case .rmsProp(let decay, let epsilon):
            ["name": "rmsprop", "decay": .number(decay), "epsilon": .number(epsilon)]
        case .adam(let beta1, let beta2, let epsilon):
            ["name": "adam", "beta1": .number(beta1), "beta2": .number(beta2), "epsilon": .number(epsilon)]
        case .adamW(let beta1, let beta2, let epsilon):
            ["name": "adamw", "beta1": .number(beta1), "beta2": .number(beta2), "epsilon": .number(epsilon)]
        }
    }
}

extension Schedule {
    var name: String { json["name"]?.stringValue ?? "" }

    var json: JSON {
        let warmUp: JSON = .number(warmUp)
        return switch decay {
        case .constant: ["name": "constant", "warmup": warmUp]
        case .step(let every, let factor):
            ["name": "step", "warmup": warmUp, "every": .number(every), "factor": .number(factor)]
        case .cosine: ["name": "cosine", "warmup": warmUp]
        case .linear: ["name": "linear", "warmup": warmUp]
        }
    }
}
