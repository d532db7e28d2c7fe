// The room's one error and the texts that say what is wrong with a weights file.

internal import FinetuneFiles

/// A weights file that cannot be read, or a model that cannot be written.
package struct CheckpointError: Error, Sendable, CustomStringConvertible {
    package enum Kind: Sendable {
        /// The file is not what it should be.
        case malformed
        /// A file that belongs to it is not there.
        case incomplete
        /// Nothing is known of the file: the system did not let it be read.
        case system
        /// The reading helper is not installed beside the program.
        case helperMissing
        /// Writing a file failed on the way.
        case cannotWrite
    }

    package let kind: Kind
    package let description: String
    /// What is wrong, without the file and the period at the end.
    let reason: String

    private init(_ kind: Kind, _ description: String, reason: String? = nil) {
        self.kind = kind
        self.description = description
        let reason = reason ?? description
        self.reason = reason.hasSuffix(".") ? String(reason.dropLast()) : reason
    }

    /// `cannot load 'x.h5': FOUND`
    static func cannotLoad(_ path: String, _ found: String) -> CheckpointError {
        CheckpointError(.malformed, "cannot load '\(path)': \(found)", reason: found)
    }

    static func needsNoKey(_ path: String) -> CheckpointError {
        cannotLoad(path, "it holds one network, which needs no --weights-key.")
    }

    /// `cannot load 'x.index.json': REASON`, for a part that is not there.
    static func missingPart(_ path: String, _ reason: String) -> CheckpointError {
        CheckpointError(.incomplete, "cannot load '\(path)': \(reason)")
    }

    /// `cannot load 'x.h5': REASON`, which is not the file's.
    static func system(_ path: String, _ reason: String) -> CheckpointError {
        CheckpointError(.system, "cannot load '\(path)': \(reason)")
    }

    /// The same if the system refuses something, with the number of `errno`.
    static func system(_ path: String, _ thing: String, _ code: Int32) -> CheckpointError {
        system(path, "the system gives no \(thing): \(FileError.reason(code))")
    }

    /// `cannot write 'x.safetensors': the network … . Use …`
    static func cannotConvert(_ path: String, _ found: String) -> CheckpointError {
        CheckpointError(.malformed, "cannot write '\(path)': \(found).")
    }

    static func helperMissing(_ path: String) -> CheckpointError {
        CheckpointError(
            .helperMissing,
            "cannot read HDF5 files: the program '\(path)' is missing. Build or install finetune again as a whole.")
    }

    static func cannotWrite(_ path: String, _ reason: String) -> CheckpointError {
        CheckpointError(.cannotWrite, "cannot write '\(path)': \(reason)")
    }

    /// What a file is that is none of those we read, in words that say what to do.
    static func unknown(_ path: String, head: [UInt8]) -> CheckpointError {
        guard let file = ForeignFile(head, path: path) else {
            return cannotLoad(
                path,
                "this is not a weights file. Expected HDF5 or an archive of Keras, a PyTorch state dict (.pth, HDF5) or safetensors."
            )
        }
        return foreign(path, file)
    }

    /// The error of a file that was recognised as something else.
    static func foreign(_ path: String, _ file: ForeignFile) -> CheckpointError {
        let end = file.advice.hasSuffix(".") || file.advice.contains(": ") ? "" : "."
        return cannotLoad(path, "it is \(file.what). \(file.advice)\(end)")
    }
}
