// The tensors in what `torch.save` wrote, whatever file it lies in: those of dictionaries, by their keys.

internal import FinetuneEngine
internal import FinetuneFiles

/// Where the numbers of tensors are.
protocol TorchStorages {
    /// The bytes in a range of a storage.
    ///
    /// - Throws: `PickleError` where they are not all there, `FileError` if they cannot be read.
    mutating func bytes(of key: String, in range: Range<Int>) throws -> ArraySlice<UInt8>
}

/// Collects the tensors of a pickle's dictionaries; their paths are the keys, joined by `/`.
struct TorchTensors<Storages: TorchStorages> {
    /// How deep dictionaries may lie in each other: `state_dict` in a checkpoint in a list of runs, and some more.
    private static var maximumDepth: Int { 16 }
    /// Names are repeated in every message and path: longer ones, and more of them, are no network's.
    private static var maximumName: Int { 1024 }
    private static var maximumTensors: Int { 100_000 }

    private let pickle: Pickle
    private var storages: Storages
    /// Floats that all tensors together may have: no more than the file's bytes, but for views of one storage.
    private var budget: Int
    private var arrays = NamedArrays()
    /// Dictionaries that were looked into; one that holds itself is not followed in circles.
    private var known: Set<Int> = []

    /// Reads the tensors.
    ///
    /// - Parameters:
    ///   - storages: Where the numbers are.
    ///   - byteCount: The size of the file.
    /// - Throws: `PickleError` for tensors that cannot be, and for a whole object in place of a state dict.
    static func read(
        _ pickle: Pickle, from storages: Storages, byteCount: Int, container: NamedArrays.Container
    ) throws -> NamedArrays {
        let budget = min(byteCount, 1 << 40) * 2 + 1 << 20
        var collector = TorchTensors(pickle: pickle, storages: storages, budget: budget)
        try collector.collect(pickle.root, "", depth: 0)
        // A state of random numbers or a mean beside a module is no network.
        let hasFilters = collector.arrays.arrays.values.contains { $0.tensor.shape.count >= 2 }
        if !hasFilters, let name = pickle.wholeObject {
            throw PickleError(
                description:
                    "it holds a whole Python object of the class '\(name)', not a state dict. Save model.state_dict() instead"
            )
        }
        collector.arrays.container = container
        collector.arrays.documents[NamedArrays.checkpoint] = pickle.document()
        return collector.arrays
    }

    private mutating func collect(_ value: PickleValue, _ name: String, depth: Int) throws {
        guard depth <= Self.maximumDepth else {
            throw PickleError(description: "its dictionaries lie deeper than \(Self.maximumDepth)")
        }
        if let dictionary = pickle.dictionaryIndex(of: value) {
            guard known.insert(dictionary).inserted else { return }
            for member in pickle.dictionaries[dictionary] {
                guard case .text(let key) = member.key, key.utf8.count + name.utf8.count <= Self.maximumName else {
                    continue
                }
                try collect(member.value, name.isEmpty ? key : "\(name)/\(key)", depth: depth + 1)
            }
            return
        }
        guard arrays.arrays.count + arrays.problems.count <= Self.maximumTensors else {
            throw PickleError(description: "it holds more than \(Self.maximumTensors) tensors")
        }
        switch value {
        case .tensor(let tensor):
            guard arrays.arrays[name] == nil else {
                throw PickleError(description: "the tensor '\(name)' is there twice")
            }
            if tensor.shape.contains(0) {
                arrays.problems[name] = "has a dimension of size 0"
            } else {
                arrays.add(name, try read(tensor, name), type: tensor.type.rawValue)
            }
        case .unreadTensor(let reason): arrays.problems[name] = reason
        case .object(let number) where pickle.objects[number].className == "numpy.ndarray":
            let isOfLayer = [".weight", ".bias", ".running_mean", ".running_var"].contains(where: name.hasSuffix)
            if isOfLayer { arrays.problems[name] = "is a NumPy array, which is not read" }
        default: return  // Epochs, arguments, an optimizer's lists: nothing that a network is made of.
        }
    }

    private mutating func read(_ tensor: PickleTensor, _ name: String) throws -> Tensor {
        func fail(_ reason: String) -> PickleError { PickleError(description: "the tensor '\(name)' \(reason)") }
        let (type, size, part) = (tensor.type, tensor.type.byteCount, tensor.storage.part)
        var last = tensor.offset
        for (size, stride) in zip(tensor.shape, tensor.strides) {
            let (reach, overflow) = (size - 1).multipliedReportingOverflow(by: stride)
            let (sum, overflow2) = last.addingReportingOverflow(reach)
            guard !overflow, !overflow2 else { throw fail("reaches past its storage") }
            last = sum
        }
        let (end, overflow) = part.upperBound.multipliedReportingOverflow(by: size)
        guard last < part.count, !overflow, end >= 0, let bytes = type.byteCount(of: tensor.shape) else {
            throw fail("reaches past its storage")
        }
        // What strides jump over is read, too.
        budget -= bytes / size + (last - tensor.offset) / 16
        guard budget >= 0 else { throw fail("makes the file larger than it can be") }
        let (start, count) = ((part.lowerBound + tensor.offset) * size, last + 1 - tensor.offset)
        let content = try storages.bytes(of: tensor.storage.key, in: start..<start + count * size)
        let isContiguous = tensor.strides == Tensor.rowMajorStrides(of: tensor.shape)
        let floats = content.withUnsafeBytes { content in
            Tensor.unsafelyFilled(shape: isContiguous ? tensor.shape : [count]) { type.convert(content, into: $0) }
        }
        return isContiguous ? floats : floats.strided(tensor.shape, tensor.strides)
    }
}

extension Pickle {
    /// The class of the object in place of a state dict: the whole file, or the entry that should be the network.
    fileprivate var wholeObject: String? {
        func name(_ value: PickleValue) -> String? {
            guard case .object(let number) = value, objects[number].dictionary == nil else { return nil }
            return objects[number].className
        }
        if let name = name(root) { return name }
        guard let dictionary = dictionaryIndex(of: root) else { return nil }
        let entries = dictionaries[dictionary]
        for key in ["model", "state_dict", "net", "network", "ema"] {
            for entry in entries {
                if case .text(key) = entry.key, let name = name(entry.value) { return name }
            }
        }
        // A module under any other name.
        return entries.lazy.compactMap { entry in name(entry.value).flatMap { self.isModule(entry.value) ? $0 : nil } }
            .first
    }

    /// Whether an object has the tables that every `torch.nn.Module` has.
    private func isModule(_ value: PickleValue) -> Bool {
        guard case .object(let number) = value, let attributes = attributesIndex(of: objects[number]) else {
            return false
        }
        return dictionaries[attributes].contains { if case .text("_modules") = $0.key { true } else { false } }
    }
}
