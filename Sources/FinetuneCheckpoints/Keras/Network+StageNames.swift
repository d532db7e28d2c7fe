// Stages for a network whose file has no names for them.

internal import FinetuneEngine
internal import FinetuneModels

extension Network {
    /// Tells the stages of a network that has no names for them: the stem ends at the first fork (or the first
    /// activation if nothing forks), a new stage begins with the block in which the resolution falls, the last layer that
    /// turns images into rows pools, and the head is what follows it.
    mutating func nameStages() {
        var readers: [String: Int] = [:]
        for node in nodes { for input in node.inputs { readers[input, default: 0] += 1 } }
        let fork =
            nodes.firstIndex { (readers[$0.name] ?? 0) > 1 }
            ?? nodes.firstIndex { if case .activation = $0.operation { true } else { false } } ?? 0
        let cuts = cuts
        let pool = pooling ?? nodes.count
        // A plain average pooling right before the flattening belongs to the pooling.
        var pooled = pool
        while pooled > 0, pooled < nodes.count, case .averagePooling = nodes[pooled - 1].operation { pooled -= 1 }
        var scale: [String: Int] = [Node.image: 1]
        var stage = 0
        var largest = 0
        for index in nodes.indices {
            let before = nodes[index].inputs.map { scale[$0] ?? 1 }.max() ?? 1
            let step = nodes[index].operation.stride
            scale[nodes[index].name] = min(before * step, 1 << 20)  // Nobody vouches for the strides.
            if index > pool {
                nodes[index].stage = Stage.head
            } else if index >= pooled {
                nodes[index].stage = Stage.pooled
            } else if index <= fork {
                nodes[index].stage = Stage.stem
                largest = before * step
            } else {
                let begins = stage == 0 || before * step > largest
                if begins { stage += 1 }
                largest = max(largest, before * step)
                // A bottleneck may have its stride in the second convolution; the first one belongs to the same stage.
                let first = begins && stage > 1 ? (cuts.last(where: { $0 < index }) ?? index - 1) + 1 : index
                for place in max(first, fork + 1)...index { nodes[place].stage = "stage\(stage)" }
            }
        }
    }

    /// The indices of nodes behind which the network can be cut: no later node reads an earlier one.
    private var cuts: [Int] {
        let index = Dictionary(nodes.enumerated().map { ($1.name, $0) }) { $1 }
        var lastReader = [Int](repeating: 0, count: nodes.count)
        for (reader, node) in nodes.enumerated() {
            for source in node.inputs.compactMap({ index[$0] }) { lastReader[source] = max(lastReader[source], reader) }
        }
        var furthest = 0
        return nodes.indices.filter { place in
            defer { furthest = max(furthest, lastReader[place]) }
            return furthest <= place
        }
    }

    /// The index of the layer that makes rows of features for all that follows; nil if the network ends in an image.
    /// A squeeze-and-excitation pools, too, but an image follows it.
    private var pooling: Int? {
        let rows = rowNodes
        guard let lastImage = nodes.lastIndex(where: { !rows.contains($0.name) }) else {
            return nodes.isEmpty ? nil : 0
        }
        let after = nodes.index(after: lastImage)
        return after < nodes.count ? after : nil
    }

    /// The names of nodes that give a row of features and no image.
    var rowNodes: Set<String> {
        var rows: Set<String> = []
        for node in nodes {
            if node.operation.givesRows ?? (node.inputs.first.map(rows.contains) == true) { rows.insert(node.name) }
        }
        return rows
    }
}
