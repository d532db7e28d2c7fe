// PyTorch's own files (`torch.save` since 1.6): a zip archive with a pickle, `data.pkl`, and one member a storage.

internal import FinetuneEngine
internal import FinetuneFiles

enum TorchArchive {
    /// How deep dictionaries may lie in each other: `state_dict` in a checkpoint in a list of runs, and some more.
    private static let maximumDepth = 16
    private static let maximumPickle = 64 << 20

    /// Reads the tensors of the dictionaries in the archive; their paths are the keys, joined by `/`.
    ///
    /// - Throws: `CheckpointError` where the pickle holds anything but data, `FileError` for a damaged archive.
    static func read(_ archive: ZipArchive, path: String) throws -> NamedArrays {
        func fail(_ reason: String) -> CheckpointError { .cannotLoad(path, "as a PyTorch file, \(reason).") }
        guard let pickle = archive.members.first(where: { Path.name(of: $0.name) == "data.pkl" }) else {
            throw fail("it has no data.pkl")
        }
        guard pickle.byteCount <= maximumPickle else {
            throw fail("its data.pkl has \(pickle.byteCount) bytes, at most \(maximumPickle) are read")
        }
        let folder = String(pickle.name.dropLast("data.pkl".count))
        guard archive.member(folder + "constants.pkl") == nil else {
            throw fail("it is a TorchScript program, not weights. Save model.state_dict() instead")
        }
        if let order = archive.member(folder + "byteorder") {
            guard try archive.content(of: order).elementsEqual("little".utf8) else {
                throw fail("its numbers are big-endian, only little-endian ones are read")
            }
        }
        let content: Pickle
        do {
            content = try PickleReader.read(try archive.content(of: pickle))
        } catch let error as PickleError {
            throw fail(error.description)
        }
        var collector = Collector(archive: archive, folder: folder, pickle: content, budget: budget(archive))
        do {
            try collector.collect(content.root, "", depth: 0)
        } catch let error as PickleError {
            throw fail(error.description)
        }
        return collector.arrays
    }

    /// Floats that all tensors together may have: no more than the archive's bytes, but for views of one storage.
    private static func budget(_ archive: ZipArchive) -> Int {
        archive.members.reduce(1 << 20) { $0 + min($1.byteCount, 1 << 40) * 2 }
    }

    private struct Collector {
        let archive: ZipArchive
        let folder: String
        let pickle: Pickle
        var budget: Int
        var arrays = NamedArrays()
        /// The storage read last: tensors that share one mostly follow each other.
        private var latest: (key: String, bytes: [UInt8])?

        /// Dictionaries that were looked into; one that holds itself is not followed in circles.
        private var known: Set<Int> = []

        init(archive: ZipArchive, folder: String, pickle: Pickle, budget: Int) {
            (self.archive, self.folder, self.pickle, self.budget) = (archive, folder, pickle, budget)
            arrays.container = .torchArchive
        }

        mutating func collect(_ value: PickleValue, _ name: String, depth: Int) throws {
            guard depth <= TorchArchive.maximumDepth else {
                throw PickleError(description: "its dictionaries lie deeper than \(TorchArchive.maximumDepth)")
            }
            switch value {
            case .dictionary(let dictionary):
                guard known.insert(dictionary).inserted else { return }
                for member in pickle.dictionaries[dictionary] {
                    guard case .text(let key) = member.key else { continue }
                    try collect(member.value, name.isEmpty ? key : "\(name)/\(key)", depth: depth + 1)
                }
            case .tensor(let tensor):
                guard arrays.arrays[name] == nil else {
                    throw PickleError(description: "the tensor '\(name)' is there twice")
                }
                if tensor.shape.contains(0) {
                    arrays.problems[name] = "has a dimension of size 0"
                } else {
                    arrays.add(name, try read(tensor, name), type: tensor.storage.type.rawValue)
                }
            default: return  // Epochs, arguments, an optimizer's lists: nothing that a network is made of.
            }
        }

        private mutating func read(_ tensor: PickleTensor, _ name: String) throws -> Tensor {
            func fail(_ reason: String) -> PickleError { PickleError(description: "the tensor '\(name)' \(reason)") }
            let size = tensor.storage.type.byteCount
            var last = tensor.offset
            for (size, stride) in zip(tensor.shape, tensor.strides) {
                let (reach, overflow) = (size - 1).multipliedReportingOverflow(by: stride)
                let (sum, overflow2) = last.addingReportingOverflow(reach)
                guard !overflow, !overflow2 else { throw fail("reaches past its storage") }
                last = sum
            }
            guard last < tensor.storage.count, let bytes = tensor.storage.type.byteCount(of: tensor.shape) else {
                throw fail("reaches past its storage")
            }
            budget -= bytes / size
            guard budget >= 0 else { throw fail("makes the file larger than it can be") }
            let storage = try content(tensor.storage.key)
            guard storage.count / size >= tensor.storage.count else { throw fail("has a storage that is cut short") }
            let type = tensor.storage.type
            return storage.withUnsafeBytes { all in
                func floats(_ range: Range<Int>, _ shape: [Int]) -> Tensor {
                    Tensor(shape: shape) { type.convert(UnsafeRawBufferPointer(rebasing: all[range]), into: $0) }
                }
                let start = tensor.offset * size
                if tensor.strides == Tensor.rowMajorStrides(of: tensor.shape) {
                    return floats(start..<start + bytes, tensor.shape)
                }
                let whole = floats(start..<(last + 1) * size, [last + 1 - tensor.offset])
                return whole.strided(tensor.shape, tensor.strides)
            }
        }

        private mutating func content(_ key: String) throws -> [UInt8] {
            if let latest, latest.key == key { return latest.bytes }
            guard let member = archive.member("\(folder)data/\(key)") else {
                throw PickleError(description: "its storage '\(key)' is missing")
            }
            guard member.isPlausibleForWeights else {
                throw PickleError(
                    description:
                        "its storage '\(key)' declares \(member.byteCount) bytes in \(member.compressedCount)")
            }
            let bytes = try archive.content(of: member)
            latest = (key, bytes)
            return bytes
        }
    }
}
