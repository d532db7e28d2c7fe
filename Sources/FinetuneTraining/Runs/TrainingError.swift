// What ends a training before its time.

package import FinetunePipeline

/// Why a run cannot go on.
package struct TrainingError: Error, Sendable, CustomStringConvertible {
    package enum Kind: Sendable {
        case unusableData, cannotCreate, diverged
        /// The request does not fit the files that are there.
        case contradiction
        /// There is no run to continue.
        case missingRun
        /// The program was asked to end, and a checkpoint was written.
        case stopped
    }

    package let kind: Kind
    package let description: String
    /// Images that were readable before and are not now.
    let lost: [FeatureExtractor.Skipped]

    package init(_ kind: Kind, _ description: String, lost: [FeatureExtractor.Skipped] = []) {
        self.kind = kind
        self.description = description
        self.lost = lost
    }
}
