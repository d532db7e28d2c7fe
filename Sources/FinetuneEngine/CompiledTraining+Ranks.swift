// What the ranks of a run add up in a step: gradients, while the layers below are computed, and the statistics of batch
// norms, which the next layer waits for.

internal import CFinetuneDNNL
internal import FinetuneRanks

extension CompiledTraining {
    // MARK: Gradients

    /// Floats that are worth a message: 4 MiB.
    private static let floatsPerSum = 1 << 20

    /// Says that the gradients of a node's parameters are whole.
    func gradientsAreReady(_ node: String) {
        guard ranks.count > 1 else { return }
        for role in ["weight", "bias"] {
            guard let entry = parameters["\(node).\(role)"], entry.learns else { continue }
            readyGradients.append(entry.range)
        }
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

    // MARK: Batch norms

    /// Computes the mean and the variance of the whole batch's channels, from those of each rank's images.
    func addStatisticsOverRanks(
        of x: ProgramBuilder.Operand, _ layout: Layout, _ channels: Int, _ mean: ProgramBuilder.Operand,
        _ variance: ProgramBuilder.Operand, _ scale: ProgramBuilder.Operand, _ shift: ProgramBuilder.Operand,
        _ step: Step
    ) throws {
        let row = try Layout([channels], dnnl_f32, .plain)
        let own = try Primitive.normalization(
            library, .init(usesStored: false, rectifies: false), epsilon: 1, layout: layout)
        try builder.add(
            step.name, own,
            [
                (DNNL_ARG_SRC, x, layout), (DNNL_ARG_SCALE, scale, row), (DNNL_ARG_SHIFT, shift, row),
                (DNNL_ARG_MEAN, mean, row), (DNNL_ARG_VARIANCE, variance, row),
                (DNNL_ARG_DST, builder.newBuffer(layout.byteCount), layout),
            ])
        builder.addLoop([mean, variance]) { [ranks] addresses in
            let (mean, variance) = (addresses[0].floats, addresses[1].floats)
            let all = ranks.gather(
                (0..<channels).map { Double(mean[$0]) } + (0..<channels).map { Double(variance[$0]) })
            for channel in 0..<channels {
                let whole = all.reduce(0) { $0 + $1[channel] } / Double(all.count)
                let square = all.reduce(0) { sum, rank in
                    let distance = rank[channel] - whole
                    return sum + rank[channels + channel] + distance * distance
                }
                mean[channel] = Float(whole)
                variance[channel] = Float(square / Double(all.count))
            }
        }
    }

    /// Adds to a gradient what goes through the statistics, which the kernel took for constants:
    /// `−γ/σ · (Σdy + x̂·Σ(dy·x̂)) / samples`, sums over the whole batch (Ioffe and Szegedy 2015).
    func addGradientOfStatistics(
        to dx: ProgramBuilder.Operand, _ x: ProgramBuilder.Operand, _ layout: Layout, _ mean: ProgramBuilder.Operand,
        _ variance: ProgramBuilder.Operand, epsilon: Double, samples: Int, _ gamma: ParameterMemory.Entry,
        _ beta: ParameterMemory.Entry, _ step: Step
    ) throws {
        let channels = gamma.count
        let row = try Layout([channels], dnnl_f32, .plain)
        let (scale, shift) = (builder.newFixed(channels * 4), builder.newFixed(channels * 4))
        let (parameters, gradients) = (parameters.values, gradients.values)
        builder.addLoop([variance, scale, shift]) { [ranks] addresses in
            let own = [gamma.offset, beta.offset].flatMap { offset in
                (0..<channels).map { Double(gradients[offset + $0]) }
            }
            let sums = ranks.sum(own)
            for channel in 0..<channels {
                let deviation = (Double(addresses[0].floats[channel]) + epsilon).squareRoot()
                let factor = -Double(parameters[gamma.offset + channel]) / deviation / Double(samples)
                addresses[1].floats[channel] = Float(factor * sums[channel])
                addresses[2].floats[channel] = Float(factor * sums[channels + channel])
            }
        }
        let addend = builder.newBuffer(layout.byteCount)
        let affine = try Primitive.normalization(
            library, .init(usesStored: true, rectifies: false), epsilon: epsilon, layout: layout)
        try builder.add(
            step.name, affine,
            [
                (DNNL_ARG_SRC, x, layout), (DNNL_ARG_SCALE, scale, row), (DNNL_ARG_SHIFT, shift, row),
                (DNNL_ARG_MEAN, mean, row), (DNNL_ARG_VARIANCE, variance, row), (DNNL_ARG_DST, addend, layout),
            ])
        let sum = try Primitive.binary(library, dnnl_binary_add, first: layout, second: layout, destination: layout)
        try builder.add(
            step.name, sum,
            [(DNNL_ARG_SRC_0, dx, layout), (DNNL_ARG_SRC_1, addend, layout), (DNNL_ARG_DST, dx, layout)])
    }
}
