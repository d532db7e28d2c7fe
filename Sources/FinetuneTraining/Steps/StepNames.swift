// Optimizers and schedules as flags and records say them.

package import FinetuneEngine
internal import FinetuneFiles

extension Optimizer {
    /// Each with its usual numbers.
    package static let named: [(name: String, optimizer: Optimizer)] = [
        ("sgd", .sgd), ("momentum", .momentum()), ("nesterov", .nesterov()), ("rmsprop", .rmsProp()), ("adam", .adam()),
        ("adamw", .adamW()), ("lamb", .lamb()),
    ]

    package init?(name: String) {
        guard let found = Self.named.first(where: { $0.name == name }) else { return nil }
        self = found.optimizer
    }

    package var name: String {
        switch self {
        case .sgd: "sgd"
        case .momentum: "momentum"
        case .nesterov: "nesterov"
        case .rmsProp: "rmsprop"
        case .adam: "adam"
        case .adamW: "adamw"
        case .lamb: "lamb"
        }
    }

    /// What it is given, by name.
    var numbers: [(name: String, value: Double)] {
        switch self {
        case .sgd: []
        case .momentum(let momentum), .nesterov(let momentum): [("momentum", momentum)]
        case .rmsProp(let decay, let epsilon): [("decay", decay), ("epsilon", epsilon)]
        case .adam(let beta1, let beta2, let epsilon), .adamW(let beta1, let beta2, let epsilon),
            .lamb(let beta1, let beta2, let epsilon):
            [("beta1", beta1), ("beta2", beta2), ("epsilon", epsilon)]
        }
    }

    var json: JSON {
        .object([.init("name", .string(name))] + numbers.map { .init($0.name, .number($0.value)) })
    }
}

extension Schedule {
    package var name: String {
        switch decay {
        case .constant: "constant"
        case .step: "step"
        case .cosine: "cosine"
        case .linear: "linear"
        }
    }

    var json: JSON {
        var members: [JSON.Member] = [.init("name", .string(name)), .init("warmup", .number(warmUp))]
        if case .step(let every, let factor) = decay {
            members += [.init("every", .number(every)), .init("factor", .number(factor))]
        }
        return .object(members)
    }
}
