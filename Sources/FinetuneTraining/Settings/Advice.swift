// Advice on choices that work but are seldom the best.

internal import FinetuneEngine
internal import FinetuneModels

extension TrainingSettings {
    /// Whether anything is learned by steps: convex heads on frozen features are solved.
    package var usesSteps: Bool {
        if strategy == .frozen, case .convex = head { false } else { true }
    }

    /// Notes on choices that work but are seldom the best.
    package var advice: [String] {
        var advice: [String] = []
        if case .layers(let design) = head, !design.hidden.isEmpty,
            design.activation == .sigmoid || design.activation == .hardSigmoid || design.activation == .tanh
        {
            advice.append(
                "\(design.activation.rawValue) is flat at both ends, where its gradient vanishes, so hidden layers learn slowly. Try --activation relu or gelu."
            )
        }
        if usesSteps, steps.optimizer.isAdaptive, steps.optimizer != .lamb(), steps.chosenSchedule.decay != .constant {
            advice.append(
                "\(steps.optimizer.name) already fits the length of its steps to the gradients; with the schedule '\(steps.chosenSchedule.name)' late steps become very short. Compare with --schedule constant."
            )
        }
        return advice
    }
}
