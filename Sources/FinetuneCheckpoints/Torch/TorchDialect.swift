// PyTorch state dicts, from whatever container: torchvision, timm, transformers, OpenMMLab, fastai, CIFAR.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

struct TorchDialect {
    private static let ignored = "num_batches_tracked"

    private let arrays: NamedArrays
    private let path: String
    private let networks: StateDictNetworks

    /// - Returns: Nil if the arrays do not look like a state dict of a network of any family, complete or not.
    init?(_ arrays: NamedArrays, path: String) {
        let names = (Array(arrays.arrays.keys) + Array(arrays.problems.keys)).map(Self.dotted)
        guard let networks = StateDictNetworks(names) else { return nil }
        (self.arrays, self.path, self.networks) = (arrays, path, networks)
    }

    /// - Parameter weightsKey: Which of several networks; nil to take the one that the libraries take.
    func model(weightsKey: String?) throws -> Model {
        let (chosen, remark) = try networks.chosen(by: weightsKey, path: path, areEqual: areEqual)
        let sidecar = Sidecar(arrays)
        let published = try PublishedConfiguration(arrays.documents, family: chosen.names.family, path: path)
        let content = sort(chosen)
        var (table, head) = (content.table, content.head)
        let found = try chosen.names.network(&table, &head, published.graph, path: path)
        var design = found.design
        for stranger in head.strangers(
            channels: design.inputChannels, isInside: { content.inside.contains($0.fileName) })
        {
            table.strangers.append(stranger.fileName)
        }
        let leftOut = head.complete(&design, &table)
        let segmentation = leftOut == nil ? nil : head.segmentationWarning
        let network = design.network()
        var model = Model(
            network: network, weights: try table.weights(for: network, path: path), recipe: found.convention,
            recipeSource: found.conventionSource,
            dialect: "\(chosen.names.library) state dict in \(arrays.container.rawValue)")
        model.leftOutHead = leftOut
        model.remarks = [remark].compactMap { $0 } + content.remarks + (sidecar.isOwn ? [] : found.remarks)
        let beside = head.entries.contains { !content.inside.contains($0.fileName) }
        let adapter = beside ? head.warningOfAdapters(channels: design.inputChannels) : nil
        model.notes =
            [segmentation, adapter, content.normalization.warning(channels: design.inputChannels)].compactMap { $0 }
            + found.notes
        // Networks that learn by comparing end in a projection, not in classes.
        if model.headOutputs == 1 || networks.areContrastive { model.outputMeaning = .unknown }
        if let (pixels, source) = content.normalization.pixels(channels: design.inputChannels) {
            model.recipe = found.convention.with(pixels)
            model.recipeSource = source
        }
        try published.apply(to: &model, convention: found.convention, path: path)
        sidecar.applyOwn(to: &model)
        return model
    }

    // MARK: Whose each tensor is

    private struct Content {
        var table = TensorTable()
        var head = ListedHead()
        var normalization = ListedNormalization()
        /// File names of tensors that stand in the network, not beside it.
        var inside: Set<String> = []
        var remarks: [String] = []
    }

    private func sort(_ network: StateDictNetwork) -> Content {
        var content = Content()
        var fileNames: [String: String] = [:]
        var elsewhere: Set<String> = []
        var averages = 0
        let parent = network.prefix.split(separator: ".").dropLast().map { "\($0)." }.joined()
        let folders = Set(arrays.arrays.keys.filter { Self.dotted($0).hasPrefix(network.prefix) }.map(folder))

        func add(_ name: String, _ tensor: Tensor?, _ problem: String?) {
            let full = Self.dotted(name)
            if full.hasSuffix(Self.ignored) || networks.all.contains(where: { owns($0, full, beside: network) }) {
                return
            }
            if !network.names.isTrunk(full), full.hasPrefix(parent), folders.contains(folder(name)),
                content.normalization.take(String(full.dropFirst(parent.count)), tensor, fileName: name)
            {
                return
            }
            // Beside the parameters lie things like `epoch`.
            if !full.contains("."), (tensor?.shape.count ?? 0) < 2 {
                if full == "p" {
                    content.head.add(.init(name: full, fileName: name, tensor: tensor, problem: problem))
                }
                if ["temperature", "logit_scale", "logit_bias"].contains(full) { elsewhere.insert(full) }
                return
            }
            // mmcv keeps an average beside the network, under names of its own.
            if full.split(separator: ".").last?.hasPrefix("ema_") == true {
                averages += 1
                return
            }
            if full.hasPrefix(network.prefix) {
                let canonical = network.names.canonical(String(full.dropFirst(network.prefix.count)))
                content.inside.insert(name)
                fileNames[canonical] = name
                if network.names.isTrunk(canonical) {
                    content.table.add(canonical, tensor, fileName: name, problem: problem)
                } else if !StateDictNetwork.isTrainingState(canonical) {
                    content.head.add(.init(name: canonical, fileName: name, tensor: tensor, problem: problem))
                }
            } else if full.hasPrefix(parent), folders.contains(folder(name)),
                !StateDictNetwork.isTrainingState(full.dropFirst(parent.count).description)
            {
                content.head.add(
                    .init(name: String(full.dropFirst(parent.count)), fileName: name, tensor: tensor, problem: problem))
            } else if !StateDictNetwork.isTrainingState(full) {
                // The first part of the name that is not the network's own.
                let parts = full.split(separator: ".").map(String.init)
                let shared = zip(parts, network.prefix.split(separator: ".")).prefix { $0 == $1 }.count
                elsewhere.insert(parts.prefix(shared + 1).joined(separator: "."))
            }
        }
        for (name, entry) in arrays.arrays.sorted(by: { $0.key < $1.key }) { add(name, entry.tensor, nil) }
        for (name, problem) in arrays.problems.sorted(by: { $0.key < $1.key })
        where name.split(whereSeparator: { $0 == "." || $0 == "/" }).count < 16
            && !problem.hasPrefix("is a second link")
        {
            add(name, nil, problem)
        }
        content.table.fileName = { fileNames[$0] ?? network.prefix + $0 }
        if averages > 0 {
            content.remarks.append(
                "Also in the file, and not used: \(averages) tensors named ema_…; OpenMMLab saves the averaged weights under the plain names."
            )
        }
        let training: Set = ["callbacks", "loops", "hyper_parameters", "state"]
        elsewhere = elsewhere.filter { name in
            !training.contains(name) && !networks.all.contains { "\($0.prefix).".hasPrefix("\(name).") }
        }
        if !elsewhere.isEmpty {
            let names = elsewhere.sorted().prefix(6).map { "'\($0)'" }.joined(separator: ", ")
            content.remarks.append("Also in the file, and not used: \(names).")
        }
        return content
    }

    /// Whether a name belongs to another network than the one that is read.
    private func owns(_ other: StateDictNetwork, _ name: String, beside chosen: StateDictNetwork) -> Bool {
        other.prefix != chosen.prefix && name.hasPrefix(other.prefix)
            && (!name.hasPrefix(chosen.prefix) || other.prefix.count > chosen.prefix.count)
    }

    /// The dictionary that a tensor stands in. In HDF5 a slash may as well be part of a tensor's name.
    private func folder(_ name: String) -> String {
        guard arrays.container != .hdf5, let slash = name.lastIndex(of: "/") else { return "" }
        return String(name[..<slash])
    }

    private func areEqual(_ a: StateDictNetwork, _ b: StateDictNetwork) -> Bool {
        func tensors(_ network: StateDictNetwork) -> [String: Tensor] {
            var tensors: [String: Tensor] = [:]
            for (name, entry) in arrays.arrays {
                let full = Self.dotted(name)
                guard full.hasPrefix(network.prefix) else { continue }
                let canonical = network.names.canonical(String(full.dropFirst(network.prefix.count)))
                if network.names.isTrunk(canonical), !full.hasSuffix(Self.ignored) { tensors[canonical] = entry.tensor }
            }
            return tensors
        }
        let (own, others) = (tensors(a), tensors(b))
        return own.count == others.count
            && own.allSatisfy { name, tensor in
                others[name].map { $0.shape == tensor.shape && $0.values == tensor.values } ?? false
            }
    }

    private static func dotted(_ path: String) -> String { path.split(separator: "/").joined(separator: ".") }
}
