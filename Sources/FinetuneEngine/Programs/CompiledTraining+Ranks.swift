// What the ranks of a run add up in a step while the layers below are computed: gradients.

internal import CFinetuneDNNL
internal import FinetuneRanks

extension CompiledTraining {
    /// Floats that are worth a message: 4 MiB.
    private static let floatsPerSum = 1 << 20

    /// Says that the gradients of a node's parameters are whole.
    func gradientsAreReady(_ node: String) {
        guard ranks.count > 1 else { return }
        readyGradients += parameters.learning(of: node).map(\.range)
    }

    /// Lets sums over ranks go on, and begins those of the gradients that are ready once they are enough.
    ///
    /// - Parameter isLast: Whether no gradient is still to come.
    func addSums(isLast: Bool) {
        guard ranks.count > 1 else { return }
        builder.addLoop([]) { [ranks] _ in ranks.advanceSums() }
        let least = isLast ? 1 : Self.floatsPerSum
        if readyGradients.reduce(0, { $0 + $1.count }) >= least {
            builder.addLoop([]) { [ranks, gradients, runs = Self.joined(readyGradients)] _ in
                for run in runs { ranks.beginSum(gradients.values + run.lowerBound, count: run.count) }
            }
            readyGradients = []
        }
        if isLast { builder.addLoop([]) { [ranks] _ in ranks.finishSums() } }
    }

    /// Ranges with those made one that lie side by side: between tensors there is what alignment leaves.
    private static func joined(_ ranges: [Range<Int>]) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = runs.last, range.lowerBound - last.upperBound < ParameterMemory.alignment {
                runs[runs.count - 1] = last.lowerBound..<range.upperBound
            } else {
                runs.append(range)
            }
        }
        return runs
    }
}
