// The proof that what was frozen stayed as it was: every such tensor of the file that was written, bit by bit.

internal import FinetuneCheckpoints
internal import FinetuneEngine
package import FinetuneModels

package enum FrozenCheck {
    /// Compares a written model with its base.
    ///
    /// - Parameters:
    ///   - path: The `model.h5` of the run.
    ///   - helper: The path of `finetune-read-weights`.
    /// - Returns: How many tensors were frozen and are equal.
    /// - Throws: `TrainingError` that names one that is not; `CheckpointError` where the file cannot be read.
    package static func count(_ path: String, against base: Model, _ plan: FreezePlan, helper: String) throws -> Int {
        let written = try WeightFile(path, helper: helper).model()
        let learns = plan.rules(for: written.network)
        let live = plan.liveNormalizations(of: written.network)
        var count = 0
        for node in written.network.nodes where node.stage != Stage.head {
            for (name, spec) in node.tensors {
                guard let tensor = written.weights[name], learns[name]?.learns != true else { continue }
                if spec.kind == .statistic, live.contains(node.name) { continue }
                guard base.weights[name]?.hasSameBits(as: tensor) == true else {
                    throw TrainingError(
                        .contradiction, "'\(name)' of '\(path)' was frozen and is not what it was in the base.")
                }
                count += 1
            }
        }
        return count
    }
}
