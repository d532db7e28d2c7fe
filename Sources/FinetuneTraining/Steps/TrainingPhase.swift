// How a strategy divides its epochs: by what learns, and by the size of the images.

internal import FinetuneEngine
internal import FinetuneModels

/// Epochs in which the same stages learn from images of the same size.
struct TrainingPhase: Equatable {
    /// The first stage that learns.
    let first: String
    let epochs: Range<Int>
    /// The short side of the images, in pixels; nil where it is that of the network's input.
    var side: Int?

    /// The phases of a strategy over a number of epochs; the last one learns from `first` on.
    ///
    /// - Parameter sides: The short sides of the first epoch's images and of the network's input, where they differ.
    static func plan(
        _ strategy: Strategy, from first: String, of network: Network, epochs: Int, sides: ClosedRange<Int>? = nil
    ) -> [TrainingPhase] {
        if let sides { return growing(sides, from: first, epochs: epochs) }
        guard strategy == .gradual else { return [TrainingPhase(first: first, epochs: 0..<epochs)] }
        let learning = network.stages.map(\.name).filter { network.parameterCount(stage: $0) > 0 }
        let start = learning.firstIndex(of: first) ?? 0
        // The head is fitted already. Where epochs are fewer than stages, the last epoch trains all that is left.
        let trained = learning[start...].reversed().filter { $0 != Stage.head || first == Stage.head }
        let chosen = trained.count > epochs ? Array(trained.prefix(epochs - 1) + trained.suffix(1)) : Array(trained)
        let length = max(1, epochs / chosen.count)
        return chosen.enumerated().map { index, stage in
            let end = index == chosen.count - 1 ? epochs : (index + 1) * length
            return TrainingPhase(first: stage, epochs: index * length..<end)
        }
    }

    /// Sides that grow by 8 pixels, or by more where epochs are few, each for as many epochs (progressive resizing, as
    /// Howard had it in fast.ai's DAWNBench entry of 2018; Tan and Le 2021).
    private static func growing(_ sides: ClosedRange<Int>, from first: String, epochs: Int) -> [TrainingPhase] {
        let grown = stride(from: sides.upperBound, to: sides.lowerBound, by: -sideStep).reversed()
        let all = [sides.lowerBound] + grown
        let count = min(all.count, epochs)
        return (0..<count).map { index in
            let side = index == count - 1 ? sides.upperBound : all[index * (all.count - 1) / (count - 1)]
            return TrainingPhase(
                first: first, epochs: epochs * index / count..<epochs * (index + 1) / count,
                side: side == sides.upperBound ? nil : side)
        }
    }

    private static let sideStep = 8

    /// What people are told where images grow.
    func sizeNote(of phases: [TrainingPhase]) -> String? {
        guard phases.contains(where: { $0.side != nil }) else { return nil }
        return "From epoch \(epochs.lowerBound + 1) on, images of \(side.map { "\($0) pixels" } ?? "the full size")."
    }
}
