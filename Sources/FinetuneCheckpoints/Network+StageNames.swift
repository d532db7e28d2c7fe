// Stages for a network whose file has no names for them.

internal import FinetuneEngine
internal import FinetuneModels

extension Network {
    /// Tells the stages of a network that has no names for them: the stem ends at the first fork (or the first
    /// activation where nothing forks), a new stage begins wherever the resolution falls, the head is the last dense layer and
    /// what follows it, and what comes between the images and the head pools.
    mutating func nameStages() {
        var readers: [String: Int] = [:]
        for node in nodes { for input in node.inputs { readers[input, default: 0] += 1 } }
        let head = nodes.lastIndex { if case .dense = $0.operation { true } else { false } } ?? nodes.count
        let fork =
            nodes.firstIndex { (readers[$0.name] ?? 0) > 1 }
            ?? nodes.firstIndex { if case .activation = $0.operation { true } else { false } } ?? 0
        let pool =
            nodes[..<head].lastIndex {
                switch $0.operation {
                case .globalAveragePooling, .flatten: true
                default: false
                }
            } ?? head
        // A plain average pooling right before the flattening belongs to the pooling.
        var pooled = pool
        while pooled > 0, case .averagePooling = nodes[pooled - 1].operation { pooled -= 1 }
        var scale: [String: Int] = [Node.image: 1]
        var stage = 0
        var largest = 0
        for index in nodes.indices {
            let before = nodes[index].inputs.map { scale[$0] ?? 1 }.max() ?? 1
            let step: Int =
                switch nodes[index].operation {
                case .convolution(let convolution): convolution.window.stride
                case .maxPooling(let window), .averagePooling(let window, _): window.stride
                case .subsampling(let step): step
                default: 1
                }
            scale[nodes[index].name] = min(before * step, 1 << 20)  // Nobody vouches for the strides.
            if index >= head {
                nodes[index].stage = Stage.head
            } else if index >= pooled {
                nodes[index].stage = Stage.pooled
            } else if index <= fork {
                nodes[index].stage = Stage.stem
                largest = before * step
            } else {
                if stage == 0 || before * step > largest { stage += 1 }
                largest = max(largest, before * step)
                nodes[index].stage = "stage\(stage)"
            }
        }
    }
}
