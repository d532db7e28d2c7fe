// The numbers that a training changes, in one block: values, gradients, and what optimizers remember of each.
//
// Filters `[o, i, h, w]` lie channels last, `[o, h, w, i]`: so do the windows of images that they are multiplied with, and
// a gradient by filters is where it belongs as soon as it is computed.

/// Named tensors one after the other in one block of floats. Lives on the engine's thread.
final class ParameterMemory {
    /// A tensor's place.
    struct Entry {
        let name: String
        /// The name of the node that it belongs to.
        let node: String
        let shape: [Int]
        /// Of the first float, a multiple of 16.
        let offset: Int
        let count: Int
        /// Whether a training changes it.
        let learns: Bool

        var range: Range<Int> { offset..<offset + count }

        /// The matrix that a filter is, channels by pixels.
        private var filter: (channels: Int, pixels: Int) {
            shape.count == 4 ? (shape[1], shape[2] * shape[3]) : (1, 1)
        }

        /// Copies the tensor into a block.
        func copy(_ tensor: Tensor, to block: UnsafeMutablePointer<Float>) {
            precondition(shape == tensor.shape, "'\(name)' of \(shape) is given \(tensor.shape)")
            tensor.withUnsafeBufferPointer { values in
                guard let source = values.baseAddress else { return }
                RowKernels.transpose(source, count, rows: filter.channels, columns: filter.pixels, into: block + offset)
            }
        }

        /// A copy of the tensor in a block.
        func tensor(in block: UnsafePointer<Float>) -> Tensor {
            Tensor.unsafelyFilled(shape: shape) { values in
                guard let target = values.baseAddress else { return }
                RowKernels.transpose(block + offset, count, rows: filter.pixels, columns: filter.channels, into: target)
            }
        }
    }

    let entries: [Entry]
    /// Floats in the block, with what alignment leaves between tensors.
    let count: Int
    let values: UnsafeMutablePointer<Float>
    private let places: [String: Int]
    private let storage: AlignedBytes
    /// Every tensor begins at a multiple of so many floats.
    static let alignment = 16

    /// A tensor, the node that it belongs to, its initial value, and whether it learns.
    typealias Initial = (name: String, node: String, tensor: Tensor, learns: Bool)

    init(_ tensors: [Initial]) {
        var offset = 0
        entries = tensors.map { name, node, tensor, learns in
            defer { offset += (tensor.count + Self.alignment - 1) / Self.alignment * Self.alignment }
            return Entry(
                name: name, node: node, shape: tensor.shape, offset: offset, count: tensor.count, learns: learns)
        }
        count = offset
        places = Dictionary(entries.enumerated().map { ($0.element.name, $0.offset) }) { first, _ in first }
        storage = AlignedBytes(byteCount: count * 4)
        values = storage.address.floats
        values.update(repeating: 0, count: count)
        for (name, _, tensor, _) in tensors { set(name, to: tensor) }
    }

    /// Another block of the same shape, filled with zeros.
    func block() -> ParameterBlock { ParameterBlock(count: count) }

    subscript(name: String) -> Entry? { places[name].map { entries[$0] } }

    /// The entries of a node's tensors that a training changes, in their order.
    func learning(of node: String) -> [Entry] { entries.filter { $0.node == node && $0.learns } }

    /// The address of a tensor's values; nil where there is no such tensor.
    func address(_ name: String) -> UnsafeMutablePointer<Float>? { self[name].map { values + $0.offset } }

    func set(_ name: String, to tensor: Tensor) {
        self[name]?.copy(tensor, to: values)
    }

    /// Copies of tensors: from this block, or from another of the same shape.
    func tensors(of block: UnsafePointer<Float>? = nil, where isIncluded: (Entry) -> Bool) -> Weights {
        let source = block ?? UnsafePointer(values)
        var weights: Weights = [:]
        for entry in entries where isIncluded(entry) { weights[entry.name] = entry.tensor(in: source) }
        return weights
    }
}

/// One number for each of a memory's.
final class ParameterBlock {
    let values: UnsafeMutablePointer<Float>
    private let storage: AlignedBytes

    init(count: Int) {
        storage = AlignedBytes(byteCount: count * 4)
        values = storage.address.floats
        values.update(repeating: 0, count: count)
    }

    /// Fills the places of named tensors of `memory`.
    func set(_ tensors: Weights, in memory: ParameterMemory) {
        for (name, tensor) in tensors { memory[name]?.copy(tensor, to: values) }
    }
}
