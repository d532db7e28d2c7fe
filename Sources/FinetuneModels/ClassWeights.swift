// How much each class counts in the loss.

/// The weights of the classes.
public enum ClassWeights: String, Sendable, CaseIterable {
    /// Every image counts the same.
    case none
    /// Every class counts the same: scikit-learn's `class_weight="balanced"`.
    case balanced

    /// The factor of each class's images: 1, or `n / (K·nₖ)`; 0 for a class without images.
    package func factors(labels: [Int], classCount: Int) -> [Double] {
        guard self == .balanced else { return [Double](repeating: 1, count: classCount) }
        var counts = [Int](repeating: 0, count: classCount)
        for label in labels { counts[label] += 1 }
        return counts.map { $0 == 0 ? 0 : Double(labels.count) / Double(classCount * $0) }
    }
}
