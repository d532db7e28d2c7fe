// Which images train, validate and test: decided by their content, so that adding a file moves at most one other.

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
    /// In each class the units (`units`) are ordered by their keyed hashes. The first of them validate and the last test,
    /// each as many as the fraction says, to the nearest whole number: at least one where the class has two, or three if
    /// both are asked for, and at least one is left for training. A unit that spans classes counts in the class of most
    /// of its images. So adding n files to a class moves at most n of its other units for each of the two fractions.
    /// - Parameters:
    ///   - validation: The fraction that validates; ignored where the data set has validation images of its own.
    ///   - test: The fraction that tests, likewise.
    package static func assign(_ members: [Member], validation: Double, test: Double, seed: UInt64) -> [Part] {
        let own = Set(members.compactMap(\.part))
        var division = Division(members, seed: seed)
        division.divide(
            validation: own.contains(.validation) ? 0 : validation, test: own.contains(.test) ? 0 : test)
        return division.parts
    }
}

/// The division of the units that the data set itself leaves free.
private struct Division {
    /// What moves together.
    private struct Unit {
        let name: String
        /// The keyed hash, 0..<1.
        let order: Double
        /// Indices of its free members.
        var members: [Int] = []
        /// How many of its free members each class has.
        var labels: [Int: Int] = [:]
        var part = Split.Part.train

        /// The class of most of its members; of equals the first.
        var home: Int { labels.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? 0 }
    }

    private let members: [Split.Member]
    /// In the order of their keyed hashes.
    private var units: [Unit]

    init(_ members: [Split.Member], seed: UInt64) {
        self.members = members
        var units: [String: Unit] = [:]
        for (index, name) in Split.units(members).enumerated() {
            let member = members[index]
            guard member.part == nil || member.part == .train else { continue }
            let unit = Unit(name: name, order: ContentHash(of: name, key: seed).unitInterval)
            units[name, default: unit].members.append(index)
            units[name, default: unit].labels[member.label, default: 0] += 1
        }
        self.units = units.values.sorted { ($0.order, $0.name) < ($1.order, $1.name) }
    }

    /// Each member's part.
    var parts: [Split.Part] {
        var parts = members.map { $0.part ?? .train }
        for unit in units { for index in unit.members { parts[index] = unit.part } }
        return parts
    }

    mutating func divide(validation: Double, test: Double) {
        for (_, places) in Dictionary(grouping: units.indices, by: { units[$0].home }) {
            let tested = Self.count(test, of: places.count, free: places.count - 1)
            let validated = Self.count(validation, of: places.count, free: places.count - 1 - tested)
            for place in places.prefix(validated) { units[place].part = .validation }
            for place in places.suffix(tested) { units[place].part = .test }
        }
        guard units.contains(where: { $0.labels.count > 1 }) else { return }
        let classes = Set(units.flatMap(\.labels.keys)).sorted()
        for label in classes { giveTraining(label) }
        if validation > 0 { for label in classes { give(.validation, label, among: Array(units.indices)) } }
        if test > 0 { for label in classes { give(.test, label, among: units.indices.reversed()) } }
    }

    /// A fraction of some units, to the nearest whole number: at least one and at most those that are free.
    private static func count(_ fraction: Double, of units: Int, free: Int) -> Int {
        guard fraction > 0, free > 0 else { return 0 }
        return min(max(Int((fraction * Double(units)).rounded()), 1), free)
    }

    /// How many units of a class train.
    private func trainingUnits(_ label: Int) -> Int {
        units.count { $0.part == .train && $0.labels[label] != nil }
    }

    /// A class whose units all count in other classes may have none that trains: the last that validates does, or else
    /// the first that tests.
    private mutating func giveTraining(_ label: Int) {
        guard trainingUnits(label) == 0 else { return }
        let own = units.indices.filter { units[$0].labels[label] != nil }
        guard let place = own.last(where: { units[$0].part == .validation }) ?? own.first else { return }
        units[place].part = .train
    }

    /// A class whose units all count in other classes may have none in a split: the first unit is moved there that no
    /// class misses in training.
    private mutating func give(_ part: Split.Part, _ label: Int, among places: [Int]) {
        guard !units.contains(where: { $0.part == part && $0.labels[label] != nil }) else { return }
        let spare = places.first { place in
            let unit = units[place]
            return unit.part == .train && unit.labels[label] != nil
                && unit.labels.keys.allSatisfy { trainingUnits($0) > 1 }
        }
        if let spare { units[spare].part = part }
    }
}
