// Who learns, who validates, who tests: decided by each image's content, so that adding files moves none.

package import FinetuneFiles

/// The division of a data set.
package enum Split {
    package enum Part: String, Sendable, CaseIterable {
        case train
        case validation = "val"
        case test

        /// The split that a table names, in any of the usual spellings; nil for another name.
        init?(name: String) {
            guard let split = SplitName(name), split.rest.isEmpty else { return nil }
            self = split.part
        }
    }

    /// One image as the split sees it.
    package struct Member: Sendable {
        package var label: Int
        package var hash: ContentHash
        package var group: String?
        /// Number of the set of near-duplicates that it belongs to; nil where it is like no other.
        package var copies: Int?
        /// Where the data set itself puts it.
        package var part: Part?

        package init(
            label: Int, hash: ContentHash, group: String? = nil, copies: Int? = nil, part: Part? = nil
        ) {
            self.label = label
            self.hash = hash
            self.group = group
            self.copies = copies
            self.part = part
        }
    }

    /// What moves together, under one name for each: a group, the copies of a picture, or both where copies lie in
    /// several groups. The name is that of the first group, else the smallest content hash: it depends on no order.
    package static func units(_ members: [Member]) -> [String] {
        var sets = DisjointSets(members.count)
        var places: [String: Int] = [:]
        for (index, member) in members.enumerated() {
            let keys = [
                "content:" + member.hash.text, member.group.map { "group:" + $0 }, member.copies.map { "copies:\($0)" },
            ]
            for key in keys.compactMap(\.self) {
                if let other = places[key] { sets.join(index, other) } else { places[key] = index }
            }
        }
        let roots = members.indices.map { sets.root(of: $0) }
        var names: [Int: (group: String?, hash: String)] = [:]
        for (index, member) in members.enumerated() {
            let known = names[roots[index]]
            let groups = [known?.group, member.group].compactMap(\.self)
            names[roots[index]] = (groups.min(), min(known?.hash ?? member.hash.text, member.hash.text))
        }
        return roots.map { root in names[root].map { $0.group.map { "group:" + $0 } ?? $0.hash } ?? "" }
    }

    /// Assigns every member that has no part.
    ///
    /// For each class, images whose keyed hash falls below the fraction validate; at least one stands on each side
    /// where a class has two. Groups and copies of a picture move together (`units`), so none is ever on both sides.
    /// - Parameters:
    ///   - validation: The fraction that validates; ignored where the data set has validation images of its own.
    ///   - test: The fraction that tests, likewise.
    package static func assign(_ members: [Member], validation: Double, test: Double, seed: UInt64) -> [Part] {
        var parts = members.map(\.part)
        let has = Set(members.compactMap(\.part))
        let units = units(members)
        if test > 0, !has.contains(.test) { choose(.test, test, among: members, units, &parts, key: seed &* 2) }
        if validation > 0, !has.contains(.validation) {
            choose(.validation, validation, among: members, units, &parts, key: seed &* 2 &+ 1)
        }
        return parts.map { $0 ?? .train }
    }

    /// Moves a fraction of what is free or learns to `part`.
    private static func choose(
        _ part: Part, _ fraction: Double, among members: [Member], _ names: [String], _ parts: inout [Part?],
        key: UInt64
    ) {
        func place(_ unit: String) -> Double { ContentHash(of: unit, key: key).unitInterval }
        let free = members.indices.filter { parts[$0] == nil || parts[$0] == .train }
        var chosen = Set(free.map { names[$0] }.filter { place($0) < fraction })
        for (_, indices) in Dictionary(grouping: free, by: { members[$0].label }).sorted(by: { $0.key < $1.key }) {
            let units = Set(indices.map { names[$0] }).sorted { (place($0), $0) < (place($1), $1) }
            guard let first = units.first, let last = units.last else { continue }
            if units.count >= 2, chosen.isDisjoint(with: units) { chosen.insert(first) }
            // Training comes first: what would be all of a class learns.
            if chosen.isSuperset(of: units) { chosen.remove(last) }
        }
        for index in free where chosen.contains(names[index]) { parts[index] = part }
    }
}
