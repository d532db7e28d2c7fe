// Labels that a model which never saw them doubts: confident learning (Northcutt, Jiang and Chuang 2021).

/// The search for likely label errors.
package enum LabelErrors {
    /// An image whose label is doubted.
    package struct Suspicion: Sendable, Equatable {
        /// Place among the images.
        package let index: Int
        package let label: Int
        /// The class that it more likely is.
        package let suggested: Int
        /// The probability of the given label, 0…1: the smaller, the more doubtful.
        package let selfConfidence: Double
    }

    /// The images that are confidently of another class than their label says, the most doubtful first.
    ///
    /// An image counts for a class where its probability reaches the mean of those labelled so; of several, for the
    /// most probable. The same images as cleanlab's `find_label_issues(filter_by='confident_learning',
    /// return_indices_ranked_by='self_confidence')`; a class without images is never suggested.
    /// - Parameters:
    ///   - probabilities: By models that were trained on other images, shape `[images][classes]`.
    ///   - labels: 0..<classes.
    package static func find(probabilities: [[Double]], labels: [Int], classCount: Int) -> [Suspicion] {
        var sums = [Double](repeating: 0, count: classCount)
        var counts = [Int](repeating: 0, count: classCount)
        for (row, label) in zip(probabilities, labels) {
            sums[label] += row[label]
            counts[label] += 1
        }
        let thresholds = zip(sums, counts).map { $1 == 0 ? .infinity : $0 / Double($1) }
        var found: [Suspicion] = []
        for (index, row) in probabilities.enumerated() {
            let label = labels[index]
            let best = row.indexOfLargest
            guard best != label else { continue }
            let confident = row.indices.filter { row[$0] >= thresholds[$0] - rounding }
            guard let first = confident.first else { continue }
            let guess = confident.count > 1 ? best : first
            guard guess != label, counts[guess] > 0 else { continue }
            found.append(Suspicion(index: index, label: label, suggested: guess, selfConfidence: row[label]))
        }
        return found.sorted { ($0.selfConfidence, $0.index) < ($1.selfConfidence, $1.index) }
    }

    /// What cleanlab allows for sums that were rounded.
    private static let rounding = 1e-6
}
