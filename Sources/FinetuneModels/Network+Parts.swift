// Cutting a network in two: what stays frozen, and what learns after it.

package import FinetuneEngine

extension Network {
    /// The one node, or the image, through which everything from a stage on sees what comes before it.
    ///
    /// - Throws: `FreezeError` where there are several.
    package func boundary(before stage: String) throws -> String {
        let order = stages.map(\.name)
        guard let first = order.firstIndex(of: stage) else { throw FreezeError.unknownStage(stage, stages: order) }
        let later = Set(order[first...])
        let after = nodes.filter { later.contains($0.stage) }
        let inside = Set(after.map(\.name))
        var seen: [String] = []
        for input in after.flatMap(\.inputs) where !inside.contains(input) && !seen.contains(input) {
            seen.append(input)
        }
        guard seen.count == 1 else { throw FreezeError.severalBoundaries(stage, seen) }
        return seen[0]
    }

    /// The network after a node: it reads that node's output as its image.
    ///
    /// - Parameters:
    ///   - boundary: A node that `boundary(before:)` gave.
    ///   - outputShape: What the node gives for one image: `[channels, height, width]`, or `[features]`, which the part
    ///     reads as an image of one pixel.
    package func part(after boundary: String, outputShape: [Int]) -> Network {
        guard boundary != Node.image else { return self }
        let before = ancestors(of: boundary)
        var part = self
        part.inputChannels = outputShape[0]
        part.nodes = nodes.filter { !before.contains($0.name) }
        let isRow = outputShape.count == 1
        let source = isRow ? "\(boundary).rows" : Node.image
        for index in part.nodes.indices {
            part.nodes[index].inputs = part.nodes[index].inputs.map { $0 == boundary ? source : $0 }
        }
        if isRow {
            part.nodes.insert(Node(source, stage: Stage.pooled, .flatten, inputs: [Node.image]), at: 0)
        }
        return part
    }
}
