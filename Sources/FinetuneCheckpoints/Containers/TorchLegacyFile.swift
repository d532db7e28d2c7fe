// Files of `torch.save` from before PyTorch 1.6, and of later ones with `_use_new_zipfile_serialization=False`
// (torch/serialization.py, `_legacy_save` and `_legacy_load`): five pickles, then the storages one after the other.

internal import FinetuneFiles

enum TorchLegacyFile {
    /// 0x1950a86a20f9469cfc6c as a pickle has it, with the end of that pickle.
    private static let magicNumber: [UInt8] = [
        0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, UInt8(ascii: "."),
    ]
    private static let protocolVersion = 1001

    /// Whether a file begins with the pickle of PyTorch's magic number, of any protocol.
    static func matches(_ head: [UInt8]) -> Bool {
        guard head.count > 2, head[0] == 0x80 else { return false }
        let frame = head[2] == 0x95 ? 9 : 0
        return head.dropFirst(2 + frame).starts(with: magicNumber)
    }

    /// Reads the tensors of the dictionaries in the file; their paths are the keys, joined by `/`.
    ///
    /// Bytes after the last storage are passed over, as PyTorch does.
    ///
    /// - Throws: `CheckpointError` where the pickle holds anything but data and for a file that is cut short, `FileError`
    ///   if the system does not let it be read.
    static func read(_ source: ByteSource, path: String) throws -> NamedArrays {
        do {
            return try read(source)
        } catch let error as PickleError {
            throw CheckpointError.cannotLoad(
                path, "as a PyTorch file of the format before version 1.6, \(error.description).")
        }
    }

    private static func read(_ source: ByteSource) throws -> NamedArrays {
        guard let head = try source.bytes(at: 0, count: min(source.count, 32)), matches(head) else {
            throw PickleError(description: "it does not begin with PyTorch's number")
        }
        var reader = PickleReader(source)
        _ = try reader.next()
        guard case .integer(protocolVersion) = try reader.next().root else {
            throw PickleError(description: "its version is not \(protocolVersion), the only one there is")
        }
        let system = try reader.next()
        if let dictionary = system.dictionaryIndex(of: system.root) {
            for case (.text("little_endian"), .bool(false)) in system.dictionaries[dictionary] {
                throw PickleError(description: "its numbers are big-endian, only little-endian ones are read")
            }
        }
        let pickle = try reader.next()
        let storages = try storages(reader.next(), of: pickle, at: reader.position, in: source)
        return try TorchTensors.read(pickle, from: storages, byteCount: source.count, container: .torchLegacyFile)
    }

    /// Where each storage lies: in the order of `keys`, each after the number of its elements.
    private static func storages(
        _ keys: Pickle, of pickle: Pickle, at start: Int, in source: ByteSource
    ) throws -> Storages {
        guard let elements = keys.elements(of: keys.root) else {
            throw PickleError(description: "it has no list of its storages")
        }
        var (places, position): ([String: Range<Int>], Int) = ([:], start)
        for element in elements {
            guard case .text(let key) = element, let storage = pickle.storages[key], places[key] == nil else {
                throw PickleError(description: "its list of storages does not fit its tensors")
            }
            guard let size = storage.elementSize else {
                throw PickleError(description: "it holds a \(storage.className), which is not read")
            }
            guard let bytes = try source.bytes(at: position, count: 8) else { throw cut(key) }
            let count = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            guard count == UInt64(storage.count) else {
                throw PickleError(
                    description: "its storage '\(key)' has \(count) elements, its tensors need \(storage.count)")
            }
            let (byteCount, overflow) = storage.count.multipliedReportingOverflow(by: size)
            guard !overflow, byteCount <= source.count - position - 8 else { throw cut(key) }
            places[key] = position + 8..<position + 8 + byteCount
            position += 8 + byteCount
        }
        return Storages(source: source, places: places)
    }

    private static func cut(_ key: String) -> PickleError {
        PickleError(description: "it ends before its last tensor. Download it again")
    }

    /// Storages as ranges of a file.
    private struct Storages: TorchStorages {
        let source: ByteSource
        let places: [String: Range<Int>]

        func bytes(of key: String, in range: Range<Int>) throws -> ArraySlice<UInt8> {
            guard let place = places[key] else { throw PickleError(description: "its storage '\(key)' is missing") }
            guard range.upperBound <= place.count,
                let bytes = try source.bytes(at: place.lowerBound + range.lowerBound, count: range.count)
            else { throw TorchLegacyFile.cut(key) }
            return bytes[...]
        }
    }
}

// MARK: - The format before it

/// Files of PyTorch 0.1: a tar archive with the members `sys_info`, `pickle`, `tensors` and `storages`. They are
/// recognized, not read.
enum TorchTarFile {
    /// Whether the first member of a tar archive, after its extended headers, is one of PyTorch's.
    static func matches(_ head: [UInt8]) -> Bool {
        var block = head[...]
        while isTar(block) {
            let name = String(decoding: block.prefix(100).prefix { $0 != 0 }, as: UTF8.self)
            let kind = block[block.startIndex + 156]
            guard kind == UInt8(ascii: "x") || kind == UInt8(ascii: "g") else {
                return ["sys_info", "pickle", "tensors", "storages"].contains(Path.name(of: name))
            }
            let digits = block.dropFirst(124).prefix(11)
            guard let size = Int(String(decoding: digits, as: UTF8.self), radix: 8), size < head.count else { break }
            block = block.dropFirst(512 + (size + 511) / 512 * 512)
        }
        return false
    }

    /// Whether a file begins with the header of a tar archive's member.
    static func isTar(_ head: some Collection<UInt8>) -> Bool {
        head.count >= 512 && head.dropFirst(257).starts(with: "ustar".utf8)
    }
}
