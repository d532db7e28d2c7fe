// Which things hang together, found pair by pair (Tarjan 1975: union by size, paths halved).

/// A division of 0..<count into sets that only ever grow.
package struct DisjointSets: Sendable {
    private var parents: [Int]
    private var sizes: [Int]

    /// Each number is a set of its own.
    package init(_ count: Int) {
        parents = Array(0..<count)
        sizes = [Int](repeating: 1, count: count)
    }

    /// The number that stands for the set of another.
    package mutating func root(of index: Int) -> Int {
        var place = index
        while parents[place] != place {
            parents[place] = parents[parents[place]]
            place = parents[place]
        }
        return place
    }

    package mutating func join(_ a: Int, _ b: Int) {
        let (first, second) = (root(of: a), root(of: b))
        guard first != second else { return }
        let (large, small) = sizes[first] >= sizes[second] ? (first, second) : (second, first)
        parents[small] = large
        sizes[large] += sizes[small]
    }

    /// The sets of two and more, each ascending, in the order of their first members.
    package mutating func several() -> [[Int]] {
        var members: [Int: [Int]] = [:]
        for index in parents.indices { members[root(of: index), default: []].append(index) }
        return members.values.filter { $0.count > 1 }.sorted { $0[0] < $1[0] }
    }
}
