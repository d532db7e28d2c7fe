// What a file of tensors holds after the trunk. Such a file names tensors and not what happens between them, so only a
// head of one dense layer can be computed; any other is left out, and its features are used all the same.

internal import FinetuneEngine
internal import FinetuneModels

/// The tensors of a file that belong to a network's head, or to modules beside it.
struct ListedHead {
    /// A tensor by its name without the network's prefix.
    struct Entry {
        var name: String
        var fileName: String
        var tensor: Tensor?
        var problem: String?

        /// The module, which the last part of a tensor's name belongs to.
        var module: String { ListedHead.module(of: name) }
        var top: String { String(name.prefix { $0 != "." }) }
        var role: String { name.lastIndex(of: ".").map { String(name[name.index(after: $0)...]) } ?? "" }

        /// Whether it filters images: more than a matrix, but for 1×1 convolutions on a row, which heads have.
        var filtersImages: Bool {
            guard let shape = tensor?.shape, shape.count > 2 else { return false }
            return !ListedHead.heads.contains(top.lowercased()) || shape[2...].contains { $0 > 1 }
        }
    }

    private(set) var entries: [Entry] = []

    /// The module of a tensor's name: all but its last part.
    static func module(of name: String) -> String { name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name }

    mutating func add(_ entry: Entry) { entries.append(entry) }

    /// What to know of a network whose other parts make pictures of its features: its last stages often are dilated.
    var segmentationWarning: String? {
        let signs = [
            "aspp", "decode_head", "auxiliary_head", "aux_classifier", "decoder", "classifier.0.convs", "psp", "ppm",
            "cls_seg",
        ]
        let parts = entries.filter { entry in
            let name = entry.name.lowercased()
            return (entry.tensor?.shape.count ?? 0) == 4
                && (signs.contains { name.contains($0) } || name.hasPrefix("classifier."))
        }
        guard let first = parts.first else { return nil }
        return
            "The file belongs to a network for segmentation ('\(first.fileName)'). The last stages of such networks often are dilated, which leaves no trace in the tensors; the features are those of a network without dilation."
    }

    /// Names that only heads have, whatever is in them.
    fileprivate static let heads: Set = [
        "fc", "head", "heads", "classifier", "linear", "last_linear", "projector", "projection_head", "projection",
        "prototypes", "predictor", "cls_head", "logits", "output", "aux_classifier", "aux_head", "auxiliary_head",
        "decode_head", "decoder", "segmentation_head", "bbox_head", "rpn_head", "roi_heads", "rpn",
    ]

    /// What keras.applications calls its heads.
    static let published: Set = ["predictions", "probs", "fc1000"]

    /// Tensors that change what reaches the head: they belong to the trunk, to a pooling with weights, or to a layer
    /// before the network.
    ///
    /// - Parameters:
    ///   - channels: Those of the image.
    ///   - isInside: Whether a tensor stands in the network itself, not beside it.
    func strangers(channels: Int, isInside: (Entry) -> Bool) -> [Entry] {
        let norms = norms(of: channels)
        return entries.filter { entry in
            let top = entry.top.lowercased()
            guard !Self.heads.contains(top), !StateDictNetwork.isTrainingState(entry.name) else { return false }
            if top.contains("pool") || top == "gem" || entry.name == "p" { return true }
            guard isInside(entry) else { return false }
            let filters = entry.tensor.map { $0.shape.count > 2 } ?? false
            return filters || top.contains("relu") || top.hasPrefix("act") || norms.contains(entry.module)
        }
    }

    /// What to know of layers beside the network that read an image's channels: they may stand before it.
    ///
    /// - Parameter channels: Those of the network's image.
    func warningOfAdapters(channels: Int) -> String? {
        let norms = norms(of: channels)
        let found = entries.first { entry in
            guard !Self.heads.contains(entry.top.lowercased()), !StateDictNetwork.isTrainingState(entry.name) else {
                return false
            }
            let shape = entry.tensor?.shape ?? []
            return norms.contains(entry.module) || (shape.count == 4 && [1, 3, 4, channels].contains(shape[1]))
        }
        return found.map {
            "'\($0.fileName)' reads the channels of an image, and may stand before the network. It is not computed; if it does, the features differ."
        }
    }

    /// The modules whose tensors all have one number for each channel of the image.
    private func norms(of channels: Int) -> Set<String> {
        let modules = Dictionary(grouping: entries, by: \.module)
        let found = modules.filter { _, parts in
            parts.contains { $0.role == "weight" || $0.role == "running_mean" }
                && parts.allSatisfy { $0.tensor?.shape == [channels] }
        }
        return Set(found.keys)
    }

    /// The head's only dense layer, if that is all there is; else why it is left out, or nothing if there is no head.
    ///
    /// - Parameter width: The number of features that reach the head.
    private func found(width: Int) -> (dense: [Entry]?, leftOut: LeftOutHead?) {
        let parts = entries.filter { !StateDictNetwork.isTrainingState($0.name) && !Self.isBuffer($0) }
        guard !parts.isEmpty else { return (nil, nil) }
        let byModule = Dictionary(grouping: parts, by: \.module)
        let modules = Array(byModule.keys)
        let matrices = parts.filter { $0.role == "weight" && ($0.tensor.map(Self.isMatrix) ?? true) }
        if modules.count == 1, parts.allSatisfy({ ["weight", "bias"].contains($0.role) }),
            !parts.contains(where: \.filtersImages)
        {
            guard let weight = matrices.first else {
                // A bias without its weight: a fault, which the account of all tensors names.
                return parts.contains { $0.role == "bias" } && !parts.contains { $0.role == "weight" }
                    ? (parts, nil) : (nil, LeftOutHead(layers: modules[0], reason: "it is no dense layer"))
            }
            // A published head that does not fit is a fault, which the account of all tensors names.
            if let inputs = weight.tensor?.shape[1], inputs != width, !Self.published.contains(modules[0]) {
                return (
                    nil,
                    LeftOutHead(
                        layers: modules[0],
                        reason: "it reads \(inputs) features, and \(width) come out of the last stage")
                )
            }
            return (parts, nil)
        }
        let shown = modules.sorted { $0.compare(numerically: $1) }
        let layers = shown.prefix(6).joined(separator: ", ") + (shown.count > 6 ? " and \(shown.count - 6) more" : "")
        let tops = Set(parts.map(\.top))
        let isOne = tops.count == 1
        return (
            nil,
            LeftOutHead(
                layers: layers,
                reason: isOne
                    ? "the file does not say what stands between its layers"
                    : "the file does not say how these layers belong together")
        )
    }

    /// Gives a network the head that was found, and its tensors to `table`.
    ///
    /// - Returns: What is left out.
    func complete(_ design: inout any NetworkDesign, _ table: inout TensorTable) -> LeftOutHead? {
        let (dense, leftOut) = found(width: design.featureCount)
        guard let dense, let module = dense.first?.module else { return leftOut }
        if let entry = dense.first(where: { $0.problem != nil }), let problem = entry.problem,
            problem.contains("tensor, which is not read")
        {
            return LeftOutHead(layers: module, reason: "'\(entry.fileName)' \(problem)")
        }
        for entry in dense {
            table.add(entry.name, entry.tensor, fileName: entry.fileName, problem: entry.problem)
        }
        table.flatten("\(module).weight")
        let outputs = table.shape("\(module).weight")?.first ?? table.shape("\(module).bias")?.first ?? 1
        design.head = (module, outputs, dense.contains { $0.role == "bias" })
        return nil
    }

    private static func isMatrix(_ tensor: Tensor) -> Bool {
        tensor.shape.count == 2 || (tensor.shape.count == 4 && tensor.shape[2...] == [1, 1])
    }

    /// Queues, counters and the like: state of a training, which no layer multiplies with.
    private static func isBuffer(_ entry: Entry) -> Bool {
        let top = entry.top.lowercased()
        if !entry.name.contains(".") { return ["queue", "queue_ptr", "center", "n_averaged", "steps"].contains(top) }
        // Metrics and the like keep numbers that no layer calls so.
        let roles: Set = ["weight", "bias", "running_mean", "running_var"]
        return !heads.contains(top) && !roles.contains(entry.role) && !entry.name.contains("weight")
    }
}

extension String {
    /// Whether it comes before another name if numbers in them count as numbers.
    fileprivate func compare(numerically other: String) -> Bool {
        let (own, others) = (split(separator: "."), other.split(separator: "."))
        for (a, b) in zip(own, others) where a != b {
            if let a = Int(a), let b = Int(b) { return a < b }
            return a < b
        }
        return own.count < others.count
    }
}
