// What the textbook would say to a choice, each once and in plain words.

internal import FinetuneEngine
internal import FinetuneModels

extension TrainingSettings {
    /// Notes on choices that work but are seldom the best.
    package var advice: [String] {
        var advice: [String] = []
        if case .layers(let design) = head, !design.hidden.isEmpty,
            design.activation == .sigmoid || design.activation == .tanh
        {
            advice.append(
                "\(design.activation.rawValue) is flat at both ends, where its gradient vanishes: hidden layers learn slowly. Try --activation relu or gelu."
            )
        }
        return advice
    }
}
