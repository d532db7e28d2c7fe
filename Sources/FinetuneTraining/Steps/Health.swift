// Whether a network learns as it should: gradients that reach every stage, steps of a sensible length, units alive.

internal import FinetuneEngine
package import FinetuneFiles
internal import FinetuneModels

/// What an epoch's measured steps showed.
package struct Health: Sendable, Equatable {
    package struct Stage: Sendable, Equatable {
        package var name: String
        /// The root of the mean square of the gradient's length over the measured steps.
        package var gradientNorm: Double
        /// The length of the weights.
        package var weightNorm: Double
        /// The length of a step.
        package var updateNorm: Double

        /// How far a step moves the weights, as a share of their length; about 0.001 is usual.
        package var updateRatio: Double { updateNorm / max(weightNorm, 1e-30) }
    }

    package struct Layer: Sendable, Equatable {
        package var name: String
        package var units: Int
        /// Units that fired for no image of any measured step.
        package var dead: Int
    }

    package var stages: [Stage] = []
    package var layers: [Layer] = []

    package init() {}

    package var units: Int { layers.reduce(0) { $0 + $1.units } }
    package var dead: Int { layers.reduce(0) { $0 + $1.dead } }

    /// Something that is wrong.
    package struct Finding: Sendable, Equatable {
        package enum Kind: Sendable {
            case deadUnits, vanishingGradient, explodingGradient, largeSteps, smallSteps

            /// Whether it is about how far a step moves the weights.
            var isOfStepLength: Bool { self == .largeSteps || self == .smallSteps }
        }

        package let kind: Kind
        /// In plain words, with what to try.
        package let text: String

        init(_ kind: Kind, _ text: String) { (self.kind, self.text) = (kind, text) }
    }

    package var findings: [Finding] {
        var findings: [Finding] = []
        if let layer = layers.max(by: { $0.deadShare < $1.deadShare }), layer.deadShare > 0.4 {
            let other = layer.isHidden ? " or --activation leaky-relu" : ""
            findings.append(
                Finding(
                    .deadUnits,
                    "\(layer.dead) of \(layer.units) units of '\(layer.name)' never fire, so they cannot learn. Try a smaller --lr\(other)."
                ))
        }
        // A new head says nothing: it starts from zero. Per weight, so that a stage's size alone does not count.
        let trunk = stages.filter { $0.name != FinetuneModels.Stage.head }
        let slopes = trunk.map { (name: $0.name, slope: $0.gradientNorm / max($0.weightNorm, 1e-30)) }
        if let last = slopes.last, last.slope > 0 {
            for stage in slopes.dropLast() where stage.slope < 1e-4 * last.slope {
                findings.append(
                    Finding(
                        .vanishingGradient,
                        "the gradient vanishes on its way to '\(stage.name)': it is \((stage.slope / last.slope).short) of that of '\(last.name)'. Try --batch-norm train, or to freeze more."
                    ))
            }
            for stage in slopes.dropLast() where stage.slope > 1e4 * last.slope {
                findings.append(
                    Finding(
                        .explodingGradient,
                        "the gradient explodes on its way to '\(stage.name)': it is \((stage.slope / last.slope).short) times that of '\(last.name)'. Try a smaller --lr or --stage-lr-decay 0.3."
                    ))
            }
        }
        if let stage = trunk.max(by: { $0.updateRatio < $1.updateRatio }), stage.updateRatio > 0.1 {
            findings.append(
                Finding(
                    .largeSteps,
                    "a step changes the weights of '\(stage.name)' by \((stage.updateRatio * 100).rounded(toDigits: 2)) % of their length. Try a smaller --lr."
                ))
        }
        if let stage = stages.max(by: { $0.updateRatio < $1.updateRatio }), stage.updateRatio > 0,
            stage.updateRatio < 1e-7
        {
            findings.append(
                Finding(
                    .smallSteps,
                    "the training changes almost nothing: the largest step is \((stage.updateRatio * 100).short) % of the weights ('\(stage.name)'). Try a larger --lr."
                ))
        }
        return findings
    }
}

extension Health.Layer {
    /// Whether it is one of the head's own, whose activation is the user's choice.
    fileprivate var isHidden: Bool { name.contains(".hidden") }

    var deadShare: Double { Double(dead) / Double(max(units, 1)) }
}

extension Double {
    /// Two digits that count.
    fileprivate var short: String {
        guard isFinite, self != 0 else { return "\(self)" }
        var (value, exponent) = (abs(self), 0)
        while value >= 10 { (value, exponent) = (value / 10, exponent + 1) }
        while value < 1 { (value, exponent) = (value * 10, exponent - 1) }
        let digits = (value * 10).rounded() / 10
        return (self < 0 ? "-" : "") + (exponent == 0 ? "\(digits)" : "\(digits)e\(exponent)")
    }
}

/// Gathers an epoch's health from some of its steps.
struct HealthMeter {
    private let stageOfTensor: [String: String]
    private let stages: [String]
    private var norms: [String: StepNorms] = [:]
    private var count = 0
    private var fired: [(layer: String, flags: [Bool])] = []

    /// - Parameter nodes: The nodes that learn.
    init(_ nodes: [Node]) {
        var order: [String] = []
        var stageOfTensor: [String: String] = [:]
        for node in nodes {
            if !order.contains(node.stage) { order.append(node.stage) }
            for (name, tensor) in node.tensors where tensor.learns { stageOfTensor[name] = node.stage }
        }
        self.stageOfTensor = stageOfTensor
        stages = order
    }

    mutating func add(_ step: [String: StepNorms], _ units: [TrainingProgram.Units]) {
        count += 1
        // In the order of the names: a sum must not depend on that of a dictionary.
        for (name, norm) in step.sorted(by: { $0.key < $1.key }) {
            guard let stage = stageOfTensor[name] else { continue }
            norms[stage] = (norms[stage] ?? StepNorms()) + norm
        }
        // A head that is still zero passes nothing on: such a step says nothing about the units.
        guard units.contains(where: { $0.fired.contains(true) }) else { return }
        if fired.isEmpty {
            fired = units.map { ($0.layer, $0.fired) }
        } else {
            for (index, layer) in units.enumerated() {
                for (unit, hasFired) in layer.fired.enumerated() where hasFired { fired[index].flags[unit] = true }
            }
        }
    }

    var health: Health {
        var health = Health()
        func mean(_ sum: Double) -> Double { (sum / Double(max(count, 1))).squareRoot() }
        for stage in stages {
            guard let norm = norms[stage] else { continue }
            health.stages.append(
                .init(
                    name: stage, gradientNorm: mean(norm.gradient), weightNorm: mean(norm.value),
                    updateNorm: mean(norm.update)))
        }
        health.layers = fired.map { .init(name: $0.layer, units: $0.flags.count, dead: $0.flags.count { !$0 }) }
        return health
    }
}

extension FreezePlan {
    /// The nodes of the stages that are trained.
    func learningNodes(of network: Network) -> [Node] {
        let learning = Set(rows.filter(\.learns).map(\.stage))
        return network.nodes.filter { learning.contains($0.stage) }
    }
}

// MARK: - As files

extension Health {
    package var json: JSON {
        [
            "stages": .array(
                stages.map {
                    [
                        "stage": .string($0.name), "gradient_norm": .number($0.gradientNorm),
                        "weight_norm": .number($0.weightNorm), "update_norm": .number($0.updateNorm),
                        "update_ratio": .number($0.updateRatio),
                    ]
                }),
            "layers": .array(
                layers.map { ["layer": .string($0.name), "units": .integer($0.units), "dead": .integer($0.dead)] }),
        ]
    }

    init(json: JSON) {
        stages = (json["stages"]?.arrayValue ?? []).compactMap { stage in
            guard let name = stage["stage"]?.stringValue else { return nil }
            return Stage(
                name: name, gradientNorm: stage["gradient_norm"]?.doubleValue ?? 0,
                weightNorm: stage["weight_norm"]?.doubleValue ?? 0, updateNorm: stage["update_norm"]?.doubleValue ?? 0)
        }
        layers = (json["layers"]?.arrayValue ?? []).compactMap { layer in
            guard let name = layer["layer"]?.stringValue, let units = layer["units"]?.intValue,
                let dead = layer["dead"]?.intValue
            else { return nil }
            return Layer(name: name, units: units, dead: dead)
        }
    }

    package static let columns = [
        "epoch", "stage_or_layer", "gradient_norm", "weight_norm", "update_ratio", "units", "dead",
    ]

    /// The rows of `health.csv` for one epoch: stages, then layers.
    package func csv(epoch: Int) -> String {
        let stageLines = stages.map {
            CSV.line(["\(epoch)", $0.name, "\($0.gradientNorm)", "\($0.weightNorm)", "\($0.updateRatio)", "", ""])
        }
        let layerLines = layers.map { CSV.line(["\(epoch)", $0.name, "", "", "", "\($0.units)", "\($0.dead)"]) }
        return (stageLines + layerLines).joined()
    }
}
