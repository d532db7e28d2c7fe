// Keras 3's archives (`model.save('m.keras')`): a zip of `config.json` and an HDF5 file of variables.

internal import CFinetuneHDF5
internal import FinetuneFiles
internal import Glibc

enum KerasArchive {
    /// The configuration, a member of the archive and a document of its arrays.
    static let config = "config.json"
    private static let weights = "model.weights.h5"
    private static let closeOnExec: UInt32 = 1  // MFD_CLOEXEC, which Swift does not see.
    private static let maximumConfig = 64 << 20

    static func read(_ archive: ZipArchive, path: String, helper: String) throws -> NamedArrays {
        func fail(_ reason: String) -> CheckpointError { .cannotLoad(path, "as a Keras archive, \(reason).") }
        guard let member = archive.member(weights) else {
            if archive.members.contains(where: { $0.name.hasSuffix(".weights.json") }) {
                throw fail("its weights are in several files, which is not read. Save it with fewer than 5 GB a file")
            }
            if let foreign = ForeignFile(members: archive.members.map(\.name)) {
                throw CheckpointError.foreign(path, foreign)
            }
            throw fail("it has no \(weights), nor is it a file of torch.save")
        }
        guard let configuration = archive.member(config), configuration.byteCount <= maximumConfig else {
            throw fail("it has no config.json")
        }
        guard member.isPlausibleForWeights else {
            throw fail("its \(weights) declares \(member.byteCount) bytes in \(member.compressedCount)")
        }
        let document: JSON
        do {
            document = try JSON(parsing: archive.content(of: configuration))
        } catch let error as JSON.SyntaxError {
            throw fail("its config.json is \(error)")
        }
        let memory = memfd_create("finetune-archive", closeOnExec)
        guard memory >= 0 else { throw CheckpointError.system(path, "memory for its weights", errno) }
        defer { close(memory) }
        try copy(try archive.content(of: member), to: memory, path)
        var arrays = try ReadingHelper.read(memory, shownAs: path, helper: helper)
        arrays.container = .kerasArchive
        arrays.documents[config] = document
        return arrays
    }

    private static func copy(_ bytes: [UInt8], to descriptor: Int32, _ path: String) throws {
        try bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let count = write(descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw CheckpointError.system(path, "memory for its weights", errno) }
                done += count
            }
        }
    }
}

extension ZipArchive.Member {
    /// Whether it may hold a network's numbers, which hardly compress; the libraries do not even try.
    var isPlausibleForWeights: Bool { byteCount <= 64 << 20 + 20 * compressedCount }
}
