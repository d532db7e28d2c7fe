// Files that hold no weights we read: what they are, told from their first bytes, and the way on.

internal import FinetuneFiles

/// A file that was recognised as something else than weights.
struct ForeignFile {
    /// The thing, such as `an ONNX graph`.
    let what: String
    /// What to do.
    let advice: String
    /// Whether it is a model of another kind: worth naming if it is found in a folder.
    let isModel: Bool

    private init(_ what: String, _ advice: String, isModel: Bool = true) {
        (self.what, self.advice, self.isModel) = (what, advice, isModel)
    }

    static func savedModelAdvice(_ path: String) -> String {
        "Save it as one file with TensorFlow 2.15 or earlier: tf.keras.models.load_model('\(path)').save('model.keras')"
    }

    static func exportedModelAdvice(_ path: String) -> String {
        "Give the Keras model that it was made from, .keras or .h5; if it was saved by Keras 2: tf.keras.models.load_model('\(path)').save('model.keras')"
    }

    static let checkpointAdvice =
        "It holds variables without the network. Load it where it was trained, and save the model: model.save('model.keras')"
    private static let exportAdvice =
        "Its weights were converted for inference and cannot be used here. Give the file that it was made from: .keras, .h5, .pth or .safetensors"
    private static let graphAdvice =
        "Graphs are not read yet. Give the weights that it was exported from: .pth, .safetensors, .keras or .h5"
    private static let downloadAdvice = "Download the file itself."

    /// - Parameters:
    ///   - head: The first bytes of the file.
    ///   - path: Its name, of which the ending helps if the bytes do not tell.
    /// - Returns: Nil for what is not recognised.
    init?(_ head: [UInt8], path: String) {
        guard let found = Self.byBytes(head, path) ?? Self.byText(head) ?? Self.byName(head, path) else { return nil }
        self = found
    }

    /// - Parameter members: The names in a zip archive that is none of Keras' or PyTorch's.
    /// - Returns: Nil for what is not recognised.
    init?(members: [String]) {
        let names = members.map { Path.name(of: $0) }
        func has(_ ending: String) -> String? { members.first { $0.hasSuffix(ending) } }
        if names.contains("serialized_exported_program.json") || names.contains("archive_format")
            || has("/models/model.json") != nil
        {
            self.init("a program of torch.export", "Save model.state_dict() with torch.save instead.")
        } else if has(".npy") != nil {
            self.init(
                "a NumPy archive",
                "Save the weights as safetensors or HDF5 under PyTorch's names; images belong to --data",
                isModel: false)
        } else if let name = [".pth", ".pt", ".safetensors", ".h5", ".keras", ".bin", ".ckpt"].lazy.compactMap(has)
            .first
        {
            self.init("a zip archive with '\(name.printable())' in it", "Unpack it first.", isModel: false)
        } else if has("saved_model.pb") != nil {
            self.init("a zip archive with a TensorFlow SavedModel in it", Self.savedModelAdvice("FOLDER"))
        } else {
            return nil
        }
    }

    // MARK: By the first bytes

    private static func byBytes(_ head: [UInt8], _ path: String) -> ForeignFile? {
        func begins(_ bytes: [UInt8], at offset: Int = 0) -> Bool { head.dropFirst(offset).starts(with: bytes) }
        func begins(_ text: String, at offset: Int = 0) -> Bool { begins(Array(text.utf8), at: offset) }
        func contains(_ text: String) -> Bool { head.firstRange(of: Array(text.utf8)) != nil }
        if head.isEmpty { return ForeignFile("empty", "Download it again.", isModel: false) }
        if head.allSatisfy({ $0 == 0 }) {
            return ForeignFile(
                "a file of zeros, such as an interrupted download leaves", "Download it again.", isModel: false)
        }
        if begins("TFL3", at: 4) { return ForeignFile("a TensorFlow Lite model", exportAdvice) }
        if begins("ET12", at: 4) { return ForeignFile("an ExecuTorch program", exportAdvice) }
        if begins("GGUF") || begins("GGML") {
            return ForeignFile("a GGUF file of a language model", "A network for images was expected")
        }
        if begins("MATLAB 5.0 MAT-file") {
            return ForeignFile("a MATLAB file", "Save the weights as HDF5 or safetensors under PyTorch's names")
        }
        if begins([0x93] + Array("NUMPY".utf8)) {
            return ForeignFile(
                "a NumPy array", "A file of all weights was expected. Arrays of images belong to --data", isModel: false
            )
        }
        // A protocol buffer: field 1 is a number, the version. ONNX began with 3, a SavedModel has 1.
        if head.count > 4, head[0] == 0x08, head[2] == 0x12 || head[2] == 0x3A || head[2] == 0x42 {
            if head[1] == 1 { return ForeignFile("a TensorFlow SavedModel", savedModelAdvice(Path.parent(of: path))) }
            if (2...32).contains(head[1]) { return ForeignFile("an ONNX graph", graphAdvice) }
        }
        if ["keras_metadata.pb", "fingerprint.pb"].contains(Path.name(of: path)) {
            return ForeignFile("a part of a TensorFlow SavedModel", savedModelAdvice(Path.parent(of: path)))
        }
        if head.first == 0x0A, contains("Placeholder") || contains("Const") || contains("dtype") {
            return ForeignFile("a frozen TensorFlow graph", "Give the Keras model that it was made from: .keras or .h5")
        }
        let pictures: [[UInt8]] = [
            [0x89, 0x50, 0x4E, 0x47], [0xFF, 0xD8, 0xFF], Array("GIF8".utf8), Array("BM".utf8) + [],
            [0x49, 0x49, 0x2A, 0], [0x4D, 0x4D, 0, 0x2A],
        ]
        if pictures.contains(where: { begins($0) }) || (begins("RIFF") && begins("WEBP", at: 8)) {
            return ForeignFile("a picture", "Weights were expected; pictures belong to --data", isModel: false)
        }
        if begins([0x1F, 0x8B]) || begins("BZh") || begins([0xFD, 0x37, 0x7A]) || begins([0x28, 0xB5, 0x2F, 0xFD])
            || begins([0x37, 0x7A, 0xBC, 0xAF]) || begins("Rar!")
        {
            return ForeignFile("compressed", "Unpack it first.", isModel: false)
        }
        if TorchTarFile.matches(head) {
            return ForeignFile(
                "a file of PyTorch 0.1 (a tar archive), which is not read",
                "If you trust it, load it with torch.load(FILE, weights_only=False), and save model.state_dict() again with torch.save."
            )
        }
        if TorchTarFile.isTar(head) {
            return ForeignFile("a tar archive", "Unpack it first, and give the file of weights in it.", isModel: false)
        }
        if head.count > 1, head[0] == 0x80, (2...5).contains(head[1]) {
            return ForeignFile(
                "a Python pickle, but not a file of torch.save",
                "Save the state dict with torch.save, or as safetensors.", isModel: false)
        }
        if begins([0x7F] + Array("ELF".utf8)) || begins("MZ") {
            return ForeignFile("a program", "A file of weights was expected", isModel: false)
        }
        if begins("%PDF") { return ForeignFile("a PDF document", downloadAdvice, isModel: false) }
        return nil
    }

    // MARK: By text

    private static func byText(_ head: [UInt8]) -> ForeignFile? {
        guard
            let all = String(validating: head.prefix(2048), as: UTF8.self)
                ?? String(validating: head.prefix(512), as: UTF8.self)
        else { return nil }
        let text = all.lowercased()
        let start = text.drop { $0.isWhitespace || $0 == "\u{FEFF}" }
        if text.hasPrefix("version https://git-lfs") {
            return ForeignFile("a git-lfs pointer, not the weights themselves", "Run: git lfs pull", isModel: false)
        }
        if text.contains("<!doctype") || text.contains("<html") {
            return ForeignFile(
                "a web page, not weights", "Download the file itself, not the page that shows it.", isModel: false)
        }
        if start.hasPrefix("<?xml") || start.hasPrefix("<net") || start.hasPrefix("<error") {
            if text.contains("<net") { return ForeignFile("an OpenVINO graph", exportAdvice) }
            return ForeignFile(
                "an XML document, such as the error message of a server", "Download the file again.", isModel: false)
        }
        if text.contains("model_checkpoint_path") {
            return ForeignFile("the index of a TensorFlow checkpoint", checkpointAdvice)
        }
        if start.hasPrefix("{") || start.hasPrefix("[") {
            if text.contains("weightsmanifest") || text.contains("modeltopology") {
                return ForeignFile("a TensorFlow.js model", exportAdvice)
            }
            if text.contains("\"class_name\"") {
                return ForeignFile(
                    "a Keras architecture without weights", "Save the whole model: model.save('model.keras')")
            }
            if text.contains("\"model_type\"") || text.contains("\"architecture") || text.contains("image_mean") {
                return ForeignFile(
                    "a configuration, not weights", "Give the file of weights beside it, or the folder of both.",
                    isModel: false)
            }
            return ForeignFile("JSON text, not weights", downloadAdvice, isModel: false)
        }
        // Servers answer a wrong address with a line of text.
        let isText = all.utf8.allSatisfy { $0 >= 32 || $0 == 9 || $0 == 10 || $0 == 13 } && all.utf8.count < 2048
        guard isText else { return nil }
        let line = String((all.split(whereSeparator: \.isNewline).first ?? "").prefix(60))
        return ForeignFile("text, not weights ('\(line.printable())')", downloadAdvice, isModel: false)
    }

    // MARK: By name

    private static func byName(_ head: [UInt8], _ path: String) -> ForeignFile? {
        let name = Path.name(of: path)
        if name.contains(".data-0") || (name.hasSuffix(".index") && !head.isEmpty) {
            return ForeignFile("a part of a TensorFlow checkpoint", checkpointAdvice)
        }
        switch Path.fileExtension(of: path) {
        case "onnx": return ForeignFile("an ONNX graph", graphAdvice)
        case "pb": return ForeignFile("a TensorFlow graph", "Give the Keras model that it was made from: .keras or .h5")
        case "tflite": return ForeignFile("a TensorFlow Lite model", exportAdvice)
        case "msgpack": return ForeignFile("a Flax checkpoint", "Give the same weights as .safetensors or .pth")
        case "mlmodel", "mlpackage": return ForeignFile("a Core ML model", exportAdvice)
        case "engine", "plan", "trt": return ForeignFile("a TensorRT engine", exportAdvice)
        case "pdparams", "pdmodel":
            return ForeignFile("a PaddlePaddle model", "Save the weights as safetensors under PyTorch's names")
        case "caffemodel":
            return ForeignFile("a Caffe model", "Save the weights as HDF5 or safetensors under PyTorch's names")
        case "params": return ForeignFile("an MXNet model", "Give the same weights as .pth or .safetensors")
        case "weights": return ForeignFile("a Darknet model", "Weights of Keras or PyTorch were expected")
        case "ot", "mar": return ForeignFile("an archive of TorchServe", "Give the state dict that it was made from")
        default: return nil
        }
    }
}
