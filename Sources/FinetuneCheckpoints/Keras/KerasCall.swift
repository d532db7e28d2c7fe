// What a layer of a Keras model is called with: other layers, and numbers. Keras 2 and Keras 3 write it differently.

internal import FinetuneFiles

/// One call of a layer or of an operation.
struct KerasCall {
    indirect enum Argument {
        case layer(String)
        case list([Argument])
        /// Anything else, as the file has it.
        case value(JSON)
    }

    /// In their order; those by keyword follow.
    private(set) var arguments: [Argument] = []
    /// Keyword arguments that are no layers.
    private(set) var options: [String: JSON] = [:]

    /// Whether it computes as in training, always: `training=True`, which Keras 2 keeps. Keras 3 does not heed it.
    private(set) var isTraining = false

    /// What Keras 2 writes in place of a layer's name if the first argument is a number.
    private static let constant = "_CONSTANT_VALUE"
    /// Keywords under which Keras 2 writes the second operand.
    private static let operands = ["y", "bias", "x2", "x"]

    init() {}

    /// - Parameter layers: What a sequential model calls its layer with.
    init(_ layers: [String]) { arguments = layers.map { .layer($0) } }

    /// The layers that it reads, in their order.
    var layers: [String] {
        func layers(_ argument: Argument) -> [String] {
            switch argument {
            case .layer(let name): [name]
            case .list(let list): list.flatMap(layers)
            case .value: []
            }
        }
        return arguments.flatMap(layers)
    }

    mutating func rename(_ meaning: [String: String]) {
        func renamed(_ argument: Argument) -> Argument {
            switch argument {
            case .layer(let name): .layer(meaning[name] ?? name)
            case .list(let list): .list(list.map(renamed))
            case .value: argument
            }
        }
        arguments = arguments.map(renamed)
    }

    // MARK: Keras 3

    /// `{"args": [{"class_name": "__keras_tensor__", "config": {"keras_history": ["conv1", 0, 0]}}, 127.5], "kwargs": {}}`
    init(keras3 node: JSON) {
        arguments = (node["args"]?.arrayValue ?? []).map(Self.argument)
        for member in node["kwargs"]?.members ?? [] {
            let argument = Self.argument(member.value)
            if case .value(let value) = argument { options[member.key] = value } else { arguments.append(argument) }
        }
    }

    private static func argument(_ value: JSON) -> Argument {
        if let name = value["config"]?["keras_history"]?.arrayValue?.first?.stringValue { return .layer(name) }
        guard let list = value.arrayValue else { return .value(value) }
        let parts = list.map(argument)
        let hasLayers = parts.contains { if case .value = $0 { false } else { true } }
        return hasLayers ? .list(parts) : .value(value)
    }

    // MARK: Keras 2

    /// `[["conv1", 0, 0, {"y": 127.5}], …]`, or one of them bare.
    init(keras2 node: [JSON]) {
        let calls = node.first?.stringValue == nil ? node.compactMap(\.arrayValue) : [node]
        for call in calls {
            guard let name = call.first?.stringValue else { continue }
            if name == Self.constant, call.count > 2 {
                arguments.append(.value(call[2]))
            } else {
                arguments.append(.layer(name))
            }
            for member in call.count > 3 ? call[3].members ?? [] : [] {
                let inner = member.value.arrayValue
                if let other = inner?.first?.stringValue, inner?.count ?? 0 >= 3, inner?[1].intValue != nil {
                    arguments.append(.layer(other))
                } else if member.key == "training" {
                    isTraining = isTraining || member.value == true
                } else if Self.operands.contains(member.key) {
                    arguments.append(.value(member.value))
                } else {
                    options[member.key] = member.value
                }
            }
        }
    }
}

extension JSON {
    /// All numbers of a number, a list or a list of lists; nil if it holds anything else. Keras 3 wraps arrays.
    var allNumbers: [Double]? {
        if let inner = self["config"]?["value"] { return inner.allNumbers }
        if let number = doubleValue { return [number] }
        guard let list = arrayValue else { return nil }
        var numbers: [Double] = []
        for value in list {
            guard let inner = value.allNumbers else { return nil }
            numbers += inner
        }
        return numbers
    }
}
