// PyTorch's own files (`torch.save` since 1.6): a zip archive with a pickle, `data.pkl`, and one member a storage.

internal import FinetuneFiles

enum TorchArchive {
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
        let byteCount = archive.members.reduce(0) { $0 + min($1.byteCount, 1 << 40) }
        do {
            return try TorchTensors.read(
                PickleReader.read(try archive.content(of: pickle)), from: Members(archive: archive, folder: folder),
                byteCount: byteCount, container: .torchArchive)
        } catch let error as PickleError {
            throw fail(error.description)
        }
    }

    /// Storages as members of an archive.
    private struct Members: TorchStorages {
        let archive: ZipArchive
        let folder: String
        /// The storage read last: tensors that share one mostly follow each other.
        private var latest: (key: String, bytes: [UInt8])?

        init(archive: ZipArchive, folder: String) { (self.archive, self.folder) = (archive, folder) }

        mutating func bytes(of key: String, in range: Range<Int>) throws -> ArraySlice<UInt8> {
            let content = try content(key)
            guard range.upperBound <= content.count else {
                throw PickleError(description: "its storage '\(key)' is cut short")
            }
            return content[range]
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
