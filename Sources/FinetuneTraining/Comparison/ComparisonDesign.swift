// How images are divided so that strategies can be compared: the same for all of them, once or several times.

internal import FinetuneDatasets
internal import FinetuneEvaluation
internal import FinetuneFiles
internal import FinetuneModels

/// How often, and on what, strategies are compared.
package struct ComparisonSettings: Sendable {
    /// Trainings of each strategy, each with a seed of its own; where the data set has no images of its own to score,
    /// each on a division of its own.
    package var seeds = 1
    /// Every image is scored once, by a training on the other folds; nil for one division a seed.
    package var folds: Int?
    /// Whether each strategy also learns from an eighth, a quarter and a half of the images.
    package var hasLearningCurve = false
    /// The fraction of images that choose epochs and temperatures: of all images, or, where the data set or the folds
    /// say which images are scored, of the others.
    package var validation = 0.2
    /// The fraction of images that are scored, where the data set does not say and no folds are wanted.
    package var test = 0.2
    package var seed: UInt64 = 0

    package init() {}
}

/// The divisions of a comparison.
struct ComparisonDesign: Sendable {
    /// One division: who learns, who chooses epochs (`validation`), who is scored (`test`), by place.
    let divisions: [[Split.Part]]
    let design: Comparison.Design
    /// What was done, in words.
    let words: String

    /// Scored images never choose an epoch: where the data set has validation images and no others to score, those are
    /// scored, and some of the training images choose.
    ///
    /// - Throws: `TrainingError` if a division has no training or no test images, `SettingsError` if the fractions leave none.
    init(_ look: FirstLook, _ settings: ComparisonSettings) throws {
        let members = look.members
        let own = Set(look.dataset.ownParts)
        if let folds = settings.folds {
            let units = Split.units(members)
            let assigned = StratifiedFolds.assign(
                labels: look.labels, groups: Set(units).count < units.count ? units : nil, count: folds)
            divisions = (0..<folds).map { fold in
                Self.choosing(members, settings, seed: settings.seed) { assigned[$0] == fold }
            }
            design = .divisions(testShare: 1 / Double(folds - 1))
            words =
                "\(folds) folds: every image is scored once"
                + (own.isEmpty ? "" : ", the data set's own splits together")
        } else if own.contains(.test) || own.contains(.validation) {
            let scored: Split.Part = own.contains(.test) ? .test : .validation
            let chooses = own.contains(.test) && own.contains(.validation)
            divisions = (0..<settings.seeds).map { seed in
                if chooses { return members.map { $0.part ?? .train } }
                return Self.choosing(members, settings, seed: settings.seed &+ UInt64(seed)) {
                    members[$0].part == scored
                }
            }
            design = .oneSet
            words = "scored on the data set's own \(scored == .test ? "test" : "validation") images"
        } else {
            try TrainingSettings.checkFractions(validation: settings.validation, test: settings.test)
            divisions = (0..<settings.seeds).map { seed in
                Split.assign(
                    members, validation: settings.validation, test: settings.test,
                    seed: settings.seed &+ UInt64(seed))
            }
            let counts = divisions.map { parts in parts.count { $0 == .test } }
            let learning = divisions.map { parts in parts.count { $0 == .train } }
            let share = Double(counts.reduce(0, +)) / Double(max(1, learning.reduce(0, +)))
            design = settings.seeds == 1 ? .oneSet : .divisions(testShare: share)
            words =
                "scored on \(settings.seeds == 1 ? "" : "\(settings.seeds) random choices of ")\(settings.test.percent) of the images"
        }
        for parts in divisions {
            let classes = look.dataset.classes.count
            let learning = Set(parts.indices.filter { parts[$0] == .train }.map { look.labels[$0] })
            guard learning.count == classes, parts.contains(.test) else {
                throw TrainingError(
                    .unusableData,
                    "cannot compare on '\(look.dataset.path)': a division would leave a class without training images, or none to score. Add images, or ask for fewer --folds."
                )
            }
        }
    }

    /// Some images are scored; of the others a fraction chooses.
    private static func choosing(
        _ members: [Split.Member], _ settings: ComparisonSettings, seed: UInt64, isScored: (Int) -> Bool
    ) -> [Split.Part] {
        var free = members
        for index in free.indices { free[index].part = isScored(index) ? .test : nil }
        return Split.assign(free, validation: settings.validation, test: 0, seed: seed)
    }

    /// The places of a division with fewer images that learn: of each class the first of an order by content, so that
    /// smaller sets are in larger ones.
    ///
    /// - Parameter share: Of the training images.
    /// - Returns: Nil where a class would have fewer than two.
    static func reduced(_ parts: [Split.Part], _ look: FirstLook, to share: Double, seed: UInt64) -> [Int]? {
        var kept = Set(parts.indices.filter { parts[$0] != .train })
        let learning = parts.indices.filter { parts[$0] == .train }
        for (_, places) in Dictionary(grouping: learning, by: { look.labels[$0] }) {
            let count = Int((Double(places.count) * share).rounded())
            guard count >= 2 else { return nil }
            func order(_ place: Int) -> Double {
                ContentHash(of: look.hashes[place].text, key: seed &+ 77).unitInterval
            }
            kept.formUnion(places.sorted { (order($0), $0) < (order($1), $1) }.prefix(count))
        }
        return kept.sorted()
    }
}
