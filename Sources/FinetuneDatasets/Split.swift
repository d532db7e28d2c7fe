// Who learns, who validates, who tests: decided by each image's content, so that adding files moves none.

package import FinetuneFiles

/// The division of a data set.
package enum Split {
    package enum Part: String, Sendable, CaseIterable {
        case train
        case validation = "val"
        case test

        init?(name: String) {
            switch name.lowercased() {
            case "train", "training": self = .train
            case "val", "valid", "validation": self = .validation
            case "test": self = .test
            default: return nil
            }
        }
    }

    /// One image as the split sees it.
    package struct Member: Sendable {
        package var label: Int
        package var hash: ContentHash
        package var group: String?
        /// Where the data set itself puts it.
        package var part: Part?

        package init(label: Int, hash: ContentHash, group: String? = nil, part: Part? = nil) {
            self.label = label
            self.hash = hash
            self.group = group
            self.part = part
        }
    }

    /// Assigns every member that has no part.
    ///
    /// For each class, images whose keyed hash falls below the fraction validate; at least one stands on each side
    /// where a class has two. A group's name takes the place of the hash, so a group is never on both sides.
    /// - Parameters:
    ///   - validation: The fraction that validates; ignored where the data set has validation images of its own.
    ///   - test: The fraction that tests, likewise.
    package static func assign(_ members: [Member], validation: Double, test: Double, seed: UInt64) -> [Part] {
        var parts = members.map(\.part)
        let has = Set(members.compactMap(\.part))
        if test > 0, !has.contains(.test) { choose(.test, test, among: members, &parts, key: seed &* 2) }
        if validation > 0, !has.contains(.validation) {
            choose(.validation, validation, among: members, &parts, key: seed &* 2 &+ 1)
        }
        return parts.map { $0 ?? .train }
    }

    /// Moves a fraction of what is free or learns to `part`.
    private static func choose(
        _ part: Part, _ fraction: Double, among members: [Member], _ parts: inout [Part?], key: UInt64
    ) {
        /// What moves together: a group, or all images of one content.
        func unit(_ index: Int) -> String { members[index].group.map { "group:\($0)" } ?? members[index].hash.text }
        func place(_ unit: String) -> Double { ContentHash(of: unit, key: key).unitInterval }
        let free = members.indices.filter { parts[$0] == nil || parts[$0] == .train }
        var chosen = Set(free.map(unit).filter { place($0) < fraction })
        for (_, indices) in Dictionary(grouping: free, by: { members[$0].label }).sorted(by: { $0.key < $1.key }) {
            let units = Set(indices.map(unit)).sorted { (place($0), $0) < (place($1), $1) }
            guard let first = units.first, let last = units.last else { continue }
            if units.count >= 2, chosen.isDisjoint(with: units) { chosen.insert(first) }
            // Training comes first: what would be all of a class learns.
            if chosen.isSuperset(of: units) { chosen.remove(last) }
        }
        for index in free where chosen.contains(unit(index)) { parts[index] = part }
    }
}
