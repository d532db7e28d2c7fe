// The room's one error and the texts that say what is wrong with a weights file.

internal import FinetuneFiles

/// A weights file that cannot be read, or a model that cannot be written.
package struct CheckpointError: Error, Sendable, CustomStringConvertible {
    package enum Kind: Sendable {
        /// The file is not what it should be.
        case malformed
        /// Nothing is known of the file: the system did not let it be read.
        case system
        /// The reading helper is not installed beside the program.
        case helperMissing
        /// Writing a file failed on the way.
        case cannotWrite
    }

    package let kind: Kind
    package let description: String

    private init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    /// `cannot load 'x.h5': FOUND`
    static func cannotLoad(_ path: String, _ found: String) -> CheckpointError {
        CheckpointError(.malformed, "cannot load '\(path)': \(found)")
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
        let text = String(decoding: head, as: UTF8.self).lowercased()
        let found =
            if head.isEmpty {
                "it is empty. Download it again."
            } else if text.hasPrefix("version https://git-lfs") {
                "it is a git-lfs pointer, not the weights themselves. Run: git lfs pull"
            } else if text.contains("<!doctype") || text.contains("<html") {
                "it is a web page, not weights. Download the file itself, not the page that shows it."
            } else if TorchTarFile.matches(head) {
                "it is a file of PyTorch 0.1 (a tar archive), which is not read. Load it with torch.load(FILE, weights_only=False) if you trust it, and save model.state_dict() again with torch.save."
            } else if TorchTarFile.isTar(head) {
                "it is a tar archive. Unpack it first."
            } else if head.count > 1, head[0] == 0x80, 2...5 ~= head[1] {
                "it is a Python pickle, but not a file of torch.save. Save the state dict with torch.save, or as safetensors."
            } else if head.starts(with: [0x1F, 0x8B]) || head.starts(with: Array("BZh".utf8))
                || head.starts(with: [0xFD, 0x37])
            {
                "it is compressed. Unpack it first."
            } else {
                "it is no weights file. Expected HDF5 or an archive of Keras, a PyTorch state dict (.pth, HDF5) or safetensors."
            }
        return cannotLoad(path, found)
    }
}
