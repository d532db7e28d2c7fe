// Where the weights are that a path names: a file, or what a hub or a training left in a folder.

internal import FinetuneFiles

/// Finds the file of weights behind what a user gives as base or model.
package enum WeightLocation {
    /// transformers' names for a state dict in a folder, those first that it takes first.
    private static let hubNames = [
        "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
    ]
    private static let endings: Set = ["safetensors", "pth", "pt", "bin", "h5", "hdf5", "keras", "ckpt", "tar", "pkl"]

    /// The file of weights that a path means: itself, or the one in a folder.
    ///
    /// - Throws: `FileError` if nothing is there; `CheckpointError` for a folder without weights that can be read, which
    ///   says what it is and how to go on.
    package static func file(_ path: String) throws -> String {
        switch FileSystem.kind(of: path) {
        case .directory: return try file(inFolder: path)
        case nil: throw missing(path)
        default: return path
        }
    }

    // MARK: Folders

    private static func file(inFolder path: String) throws -> String {
        func fail(_ found: String) -> CheckpointError { .cannotLoad(path, "it is a folder\(found)") }
        let names = try FileSystem.list(path)
        let files = names.filter { FileSystem.kind(of: Path.join(path, $0)) == .file }
        func has(_ name: String) -> Bool { files.contains(name) }
        if has("run.json") || has("comparison.json") {
            guard has("model.h5") else {
                throw fail(
                    has("comparison.json")
                        ? " of a comparison, which saves no model. Train one with: finetune --base … --data …"
                        : " of a run that has no model yet. Finish it with --resume, or choose another base.")
            }
            throw fail(" of a run. Did you mean '\(Path.join(path, "model.h5"))'?")
        }
        if has("saved_model.pb") || has("saved_model.pbtxt") {
            // Without Keras' own description it was exported for running.
            let advice =
                has("keras_metadata.pb") ? ForeignFile.savedModelAdvice(path) : ForeignFile.exportedModelAdvice(path)
            throw fail(" with a TensorFlow SavedModel. \(advice)")
        }
        if let name = hubNames.first(where: has) { return Path.join(path, name) }
        if files.contains(where: { $0.hasSuffix(".index") }) && files.contains(where: { $0.contains(".data-0") }) {
            throw fail(" with a TensorFlow checkpoint. \(ForeignFile.checkpointAdvice)")
        }
        let snapshots = Path.join(path, "snapshots")
        if let latest = try? FileSystem.list(snapshots).last {
            throw fail(" of a hub's cache. Did you mean '\(Path.join(snapshots, latest))'?")
        }
        let candidates = files.filter { endings.contains(Path.fileExtension(of: $0)) }
        if candidates.count == 1 { return Path.join(path, candidates[0]) }
        if candidates.contains(where: ShardedWeights.isPart) {
            throw fail(
                " with parts of a network and no index of them. Download the file that ends in .index.json, too.")
        }
        guard candidates.isEmpty else {
            let list = candidates.prefix(6).map { "'\($0)'" }.joined(separator: ", ")
            throw fail(
                " with \(candidates.count) files of weights: \(list)\(candidates.count > 6 ? " …" : ""). Name one of them."
            )
        }
        for name in files {
            let file = Path.join(path, name)
            guard let head = try? FileSystem.head(of: file, count: 4096), !head.isEmpty,
                let foreign = ForeignFile(head, path: file), foreign.isModel
            else { continue }
            throw fail("; '\(name)' in it is \(foreign.what). \(foreign.advice)")
        }
        throw fail(
            names.isEmpty
                ? ", and it is empty. A file of weights was expected, such as model.safetensors or resnet50.h5."
                : " without a file of weights, such as model.safetensors, .pth, .h5 or .keras. Images belong to --data."
        )
    }

    // MARK: Nothing there

    private static func missing(_ path: String) -> any Error {
        if let scheme = path.firstRange(of: "://"),
            path[..<scheme.lowerBound].allSatisfy({ $0.isLetter || $0.isNumber })
        {
            return FileError(
                .missing,
                "cannot read '\(path)': it is an address, and a file was expected. Download it first\(download(path))"
            )
        }
        if let obstacle = FileSystem.obstacle(to: path) { return obstacle }
        if FileSystem.kind(of: path + ".index") == .file {
            return CheckpointError.cannotLoad(path, "it is a TensorFlow checkpoint. \(ForeignFile.checkpointAdvice)")
        }
        guard isModelName(path) else {
            return FileError(.missing, "cannot read '\(path)': there is nothing at that path. Check the name.")
        }
        return FileError(
            .missing,
            "cannot read '\(path)': there is no such file. It looks like the name of a model, and a file of its weights was expected. \(source(of: path))"
        )
    }

    /// How to download from an address.
    private static func download(_ address: String) -> String {
        guard address.contains("huggingface.co/"), !address.contains("/resolve/") else {
            return ", for example with: curl -LO '\(address)'"
        }
        let page = address.contains("/blob/") ? address.replacing("/blob/", with: "/resolve/") : nil
        return page.map { ", for example with: curl -LO '\($0)'" }
            ?? ": model.safetensors and config.json, for example with: curl -LO '\(address)/resolve/main/model.safetensors'"
    }

    /// Where the weights of a name are.
    private static func source(of name: String) -> String {
        let plain = name.hasPrefix("hf-hub:") || name.hasPrefix("hf_hub:") ? String(name.dropFirst(7)) : name
        if plain.hasPrefix("timm/") || !plain.contains("/") {
            return "Download it with scripts/get-weights, which lists the names it knows."
        }
        return
            "Download model.safetensors and config.json, for example with: curl -LO 'https://huggingface.co/\(plain)/resolve/main/model.safetensors'"
    }

    /// Whether a path reads like timm's, torchvision's, Keras' or a hub's name of a model.
    private static func isModelName(_ path: String) -> Bool {
        if path.hasPrefix("hf-hub:") || path.hasPrefix("hf_hub:") || path.hasPrefix("timm/")
            || path.hasPrefix("torchvision/")
        {
            return true
        }
        let parts = path.split(separator: "/")
        guard parts.count <= 2, let name = parts.last?.lowercased(), !path.hasPrefix(".") else { return false }
        let families = [
            "resnet", "resnext", "convnext", "efficientnet", "mobilenet", "densenet", "vgg", "inception", "vit", "deit",
            "swin", "regnet", "xception", "squeezenet", "shufflenet", "clip", "dinov2", "beit", "nasnet", "mnasnet",
        ]
        return endings.isDisjoint(with: [Path.fileExtension(of: path)]) && families.contains { name.contains($0) }
    }
}
