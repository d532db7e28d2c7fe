// Folds for cross-validation in which every class has its share.

/// Assigns samples to folds.
package enum StratifiedFolds {
    /// The fold of each sample, 0..<count.
    ///
    /// Without groups the same folds as scikit-learn's `StratifiedKFold(count)` without shuffling. With groups, a
    /// group lies in one fold whole: groups go, the largest first, where they even out the classes most.
    /// - Parameters:
    ///   - labels: The class of each sample.
    ///   - groups: The group of each sample; nil where samples stand for themselves.
    ///   - count: At least 2.
    package static func assign(labels: [Int], groups: [String]? = nil, count: Int) -> [Int] {
        precondition(count >= 2, "cross-validation needs two folds")
        return groups.map { assign(labels: labels, groups: $0, count: count) } ?? assign(labels: labels, count: count)
    }

    private static func assign(labels: [Int], count: Int) -> [Int] {
        // Classes are numbered by first appearance, lined up in that order, and dealt out to the folds in turn.
        var number: [Int: Int] = [:]
        let encoded = labels.map { label in
            if let known = number[label] { return known }
            number[label] = number.count
            return number.count - 1
        }
        var allocation = [[Int]](repeating: [Int](repeating: 0, count: count), count: number.count)
        for (position, label) in encoded.sorted().enumerated() { allocation[label][position % count] += 1 }
        var queues = allocation.map { shares in
            shares.enumerated().flatMap { Array(repeating: $0.offset, count: $0.element) }[...]
        }
        return encoded.map { queues[$0].removeFirst() }
    }

    private static func assign(labels: [Int], groups: [String], count: Int) -> [Int] {
        var members: [String: [Int]] = [:]
        for (index, group) in groups.enumerated() { members[group, default: []].append(index) }
        let classes = Set(labels).count
        let number = Dictionary(uniqueKeysWithValues: Set(labels).sorted().enumerated().map { ($0.element, $0.offset) })
        var held = [[Int]](repeating: [Int](repeating: 0, count: classes), count: count)
        var result = [Int](repeating: 0, count: labels.count)
        for (_, samples) in members.sorted(by: { ($1.value.count, $0.key) < ($0.value.count, $1.key) }) {
            var shares = [Int](repeating: 0, count: classes)
            for sample in samples { shares[number[labels[sample]] ?? 0] += 1 }
            /// How much the sum of squares grows: smallest where these classes are rarest.
            func cost(_ fold: Int) -> Int {
                (0..<classes).reduce(0) { $0 + shares[$1] * (2 * held[fold][$1] + shares[$1]) }
            }
            let fold =
                (0..<count).min { (cost($0), held[$0].reduce(0, +), $0) < (cost($1), held[$1].reduce(0, +), $1) } ?? 0
            for index in 0..<classes { held[fold][index] += shares[index] }
            for sample in samples { result[sample] = fold }
        }
        return result
    }
}
