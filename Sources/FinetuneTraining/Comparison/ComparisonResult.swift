// What takes part in a comparison, and what it found.

package import FinetuneDatasets
package import FinetuneEvaluation
package import FinetuneModels
package import FinetunePipeline

/// A strategy that takes part.
package struct Contender: Sendable {
    package let name: String
    package let base: Model
    package let settings: TrainingSettings

    package init(name: String, base: Model, settings: TrainingSettings) {
        self.name = name
        self.base = base
        self.settings = settings
    }
}

/// What a comparison found.
package struct ComparisonResult: Sendable {
    package let comparison: Comparison
    /// How images were divided, in words.
    package let design: String
    package let scores: [Score]
    /// Accuracy over the number of training images, on the first division.
    package let curve: [CurvePoint]
    package let findings: [Finding]
    package let skipped: [FeatureExtractor.Skipped]
    /// Images of the first division.
    package let trainImages: Int
    package let scoredImages: Int
    /// Reading and decoding the images, which all strategies share, in seconds.
    package let sharedSeconds: Double

    /// What one training of a strategy scored.
    package struct Score: Sendable {
        package let strategy: String
        /// From 1.
        package let division: Int
        package let evaluation: Evaluation
        package let images: [String]
        /// By which its logits were divided; 1 where that was not worth it.
        package let temperature: Double
    }

    package struct CurvePoint: Sendable {
        package let strategy: String
        package let trainImages: Int
        package let accuracy: Comparison.Estimate
    }
}
