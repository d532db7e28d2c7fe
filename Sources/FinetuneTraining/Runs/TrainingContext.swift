// What a training is given beside its settings: files, ranks, and the wish to stop.

package import FinetuneFiles
package import FinetuneRanks

/// What a training may use of the world around it.
package struct TrainingContext: Sendable {
    /// Where its checkpoint stands; nil for a training that keeps none.
    package var checkpointPath: String?
    /// Whether a checkpoint that is there is where to go on.
    package var resumes = false
    /// The path of `finetune-read-weights`.
    package var helper: String
    /// Those that share the work.
    package var ranks: Ranks
    /// Receives the content hashes of the images in order, after all were read; throws if the training that is continued
    /// had other images.
    package var settle: @Sendable ([ContentHash]) throws -> Void
    /// Whether the program should end: a training that steps then writes a checkpoint and throws.
    package var shouldStop: @Sendable () -> Bool
    /// Receives true before the first step of a training, in which `shouldStop` is asked, and false after the last.
    package var looksForStop: @Sendable (Bool) -> Void

    package init(
        checkpointPath: String?, resumes: Bool = false, helper: String, ranks: Ranks = .alone,
        settle: @escaping @Sendable ([ContentHash]) throws -> Void = { _ in },
        shouldStop: @escaping @Sendable () -> Bool = { false },
        looksForStop: @escaping @Sendable (Bool) -> Void = { _ in }
    ) {
        self.ranks = ranks
        self.checkpointPath = checkpointPath
        self.resumes = resumes
        self.helper = helper
        self.settle = settle
        self.shouldStop = shouldStop
        self.looksForStop = looksForStop
    }
}
