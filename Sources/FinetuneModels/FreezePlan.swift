// What learns and what does not: freezing as data, one row a stage in the order data takes them.

package import FinetuneEngine
package import FinetuneFiles
internal import Glibc

/// The stage from which on a network learns, as people say it.
public enum Unfreezing: Sendable, Equatable {
    /// The new head alone.
    case head
    /// The last stage before the pooling that has parameters.
    case last
    /// The whole network.
    case all
    /// A stage by its name, such as `stage4`.
    case stage(String)

    /// - Parameter text: `head`, `last`, `all`, or a stage's name, which the network is asked for later.
    public init(_ text: String) {
        switch text {
        case "head": self = .head
        case "last": self = .last
        case "all": self = .all
        default: self = .stage(text)
        }
    }

    package var text: String {
        switch self {
        case .head: "head"
        case .last: "last"
        case .all: "all"
        case .stage(let name): name
        }
    }

    /// The first stage of `network` that learns.
    ///
    /// - Throws: `FreezeError` for a stage that it does not have.
    package func firstStage(of network: Network) throws -> String {
        let stages = network.stages.map(\.name)
        let trunk = stages.filter { $0 != Stage.pooled && $0 != Stage.head }
        switch self {
        case .head: return Stage.head
        case .last: return trunk.last { network.parameterCount(stage: $0) > 0 } ?? Stage.head
        case .all: return stages.first ?? Stage.head
        case .stage(let name):
            guard trunk.contains(name) else { throw FreezeError.unknownStage(name, stages: trunk + [Stage.head]) }
            return name
        }
    }
}

/// Which statistics the batch norms of learning stages use.
public enum NormalizationMode: String, Sendable, CaseIterable {
    /// The stored ones, which never change.
    case frozen
    /// Each batch's own, which move the stored ones.
    case train
}

/// What a training may change, one row a stage; every parameter of the network is in one row.
package struct FreezePlan: Sendable, Equatable {
    package struct Row: Sendable, Equatable {
        package let stage: String
        /// Values that a gradient could change.
        package let parameters: Int
        package let learns: Bool
        /// The factor of the learning rate; 0 where nothing learns.
        package let rateFactor: Double
        /// Nil where the stage has no batch norm.
        package let normalization: NormalizationMode?
    }

    package let rows: [Row]

    /// - Parameters:
    ///   - first: The first stage that learns.
    ///   - normalization: How batch norms of learning stages work; those of frozen stages are always frozen.
    ///   - stageRateDecay: What the learning rate of a stage is to that of the next one.
    /// - Throws: `FreezeError` for a stage that the network does not have.
    package init(
        _ network: Network, learningFrom first: String, normalization: NormalizationMode, stageRateDecay: Double = 1
    ) throws {
        let stages = network.stages
        guard let start = stages.firstIndex(where: { $0.name == first }) else {
            throw FreezeError.unknownStage(first, stages: stages.map(\.name))
        }
        var rows: [Row] = []
        var distance = 0.0
        for (index, stage) in stages.enumerated().reversed() {
            let parameters = network.parameterCount(stage: stage.name)
            let learns = index >= start && parameters > 0
            let normalizes = stage.nodes.contains { if case .batchNormalization = $0.operation { true } else { false } }
            rows.append(
                Row(
                    stage: stage.name, parameters: parameters, learns: learns,
                    rateFactor: learns ? pow(stageRateDecay, distance) : 0,
                    normalization: normalizes ? (learns ? normalization : .frozen) : nil))
            if learns { distance += 1 }
        }
        self.rows = rows.reversed()
        let covered = rows.reduce(0) { $0 + $1.parameters }
        precondition(
            covered == network.parameterCount, "the plan covers \(covered) of \(network.parameterCount) parameters")
    }

    package var learningParameters: Int { rows.filter(\.learns).reduce(0) { $0 + $1.parameters } }
    package var frozenParameters: Int { rows.filter { !$0.learns }.reduce(0) { $0 + $1.parameters } }

    /// What may happen to each tensor of the network.
    ///
    /// - Parameters:
    ///   - l1: Strength of L1 on filters and dense weights; biases and batch norms have none.
    ///   - l2: Strength of L2 on the same.
    ///   - pull: Strength of L2 towards the initial values, for all such weights but the head's.
    package func rules(
        for network: Network, l1: Double = 0, l2: Double = 0, pull: Double = 0
    ) -> [String: ParameterRule] {
        var rules: [String: ParameterRule] = [:]
        let rowOfStage = Dictionary(rows.map { ($0.stage, $0) }) { first, _ in first }
        for node in network.nodes {
            guard let row = rowOfStage[node.stage], row.learns else { continue }
            for (name, tensor) in node.tensors where tensor.learns {
                let isPenalized = tensor.isPenalized
                rules[name] = ParameterRule(
                    learns: true, rateFactor: row.rateFactor, l1: isPenalized ? l1 : 0, l2: isPenalized ? l2 : 0,
                    pull: isPenalized && node.stage != Stage.head ? pull : 0)
            }
        }
        return rules
    }

    /// The batch norms that normalize by each batch's own statistics.
    package func liveNormalizations(of network: Network) -> Set<String> {
        let live = Set(rows.filter { $0.normalization == .train }.map(\.stage))
        return Set(
            network.nodes.filter { node in
                if case .batchNormalization = node.operation { live.contains(node.stage) } else { false }
            }.map(\.name))
    }

    package var json: JSON {
        .array(
            rows.map { row in
                [
                    "stage": .string(row.stage), "parameters": .integer(row.parameters), "learns": .bool(row.learns),
                    "rate_factor": .number(row.rateFactor),
                    "batch_norm": row.normalization.map { .string($0.rawValue) } ?? .null,
                ]
            })
    }
}

/// Why a network cannot be frozen as asked.
package struct FreezeError: Error, Sendable, CustomStringConvertible {
    private let stage: String
    /// What was expected, and what to do.
    private let next: String
    /// A stage that there is, if one is the example.
    private var example: String?

    package var description: String { text(after: "--unfreeze") }

    /// The message.
    ///
    /// - Parameter flag: The flag that named the stage.
    package func text(after flag: String) -> String {
        "cannot use '\(flag) \(stage)': \(next)\(example.map { " For example: \(flag) \($0)" } ?? "")"
    }

    static func unknownStage(_ name: String, stages: [String]) -> FreezeError {
        FreezeError(
            stage: name,
            next:
                "expected one of the network's stages (\(stages.joined(separator: ", "))), last or all.",
            example: "last"
        )
    }

    static func severalBoundaries(_ stage: String, _ nodes: [String]) -> FreezeError {
        FreezeError(
            stage: stage,
            next:
                "the layers of that stage read the outputs of \(nodes.joined(separator: " and ")), and a stage that is frozen before it may have one output only. Name an earlier stage, or all."
        )
    }
}
