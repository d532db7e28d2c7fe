// PyTorch state dicts of ResNets, from whatever container: torchvision, timm, transformers, OpenMMLab, fastai, CIFAR.

internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels

struct TorchDialect {
    private static let ignored = "num_batches_tracked"

    private let arrays: NamedArrays
    private let path: String
    private let networks: StateDictNetworks

    /// - Returns: Nil if the arrays do not look like a state dict of a ResNet, complete or not.
    init?(_ arrays: NamedArrays, path: String) {
        let names = (Array(arrays.arrays.keys) + Array(arrays.problems.keys)).map(Self.dotted)
        guard let networks = StateDictNetworks(names) else { return nil }
        (self.arrays, self.path, self.networks) = (arrays, path, networks)
    }

    /// - Parameter weightsKey: Which of several networks; nil to take the one that the libraries take.
    func model(weightsKey: String?) throws -> Model {
        let (chosen, remark) = try networks.chosen(by: weightsKey, path: path, areEqual: areEqual)
        let sidecar = Sidecar(arrays)
        let published = try PublishedConfiguration(arrays.documents, path: path)
        let content = sort(chosen)
        var table = content.table
        let head = content.head
        var traits = ResNetTraits(stridePlace: .middle, epsilon: 1e-5, statisticsKept: 0.9)
        if published.graph.stridesFirst { traits.stridePlace = .first }
        (traits.firstStride, traits.activation) = (published.graph.firstStride, published.graph.activation)
        traits.innerActivation = published.graph.innerActivation
        if case .children(let first) = chosen.naming, first > 2 { traits.stemPools = first > 3 }
        var resNet = try ResNet(table, traits, path: path)
        let isSmall = resNet.stem == .small
        for stranger in head.strangers(
            channels: resNet.inputChannels, isInside: { content.inside.contains($0.fileName) })
        {
            table.strangers.append(stranger.fileName)
        }
        if case .children(let first) = chosen.naming {
            // A batch norm right after the last stage comes before the pooling.
            let next = "\(first + resNet.stages.count)"
            table.strangers += head.entries.filter { $0.module == next && $0.role == "running_mean" }.map(\.fileName)
        }
        for name in table.entries.keys where name.hasPrefix("layer") && name.contains(".se.fc") { table.flatten(name) }
        let leftOut = head.complete(&resNet, &table)
        let segmentation = leftOut == nil ? nil : head.segmentationWarning
        let network = resNet.network()
        let library = chosen.naming == .transformers ? "transformers" : "PyTorch"
        var model = Model(
            network: network, weights: try table.weights(for: network, path: path), recipe: nil,
            dialect: "\(library) state dict in \(arrays.container.rawValue)")
        model.leftOutHead = leftOut
        model.remarks = [remark].compactMap { $0 } + content.remarks
        let beside = head.entries.contains { !content.inside.contains($0.fileName) }
        let adapter = beside ? head.warningOfAdapters(channels: resNet.inputChannels) : nil
        model.notes = [segmentation, adapter, content.normalization.warning(channels: resNet.inputChannels)].compactMap
        { $0 }
        if !isSmall, resNet.stages.count < 4 {
            model.notes.append(
                "The network has \(resNet.stages.count) stages, and ResNets with such a stem have four. Check that the file is whole."
            )
        }
        // torchvision's ResNets are often given such a stem, and keep their pooling or not.
        if isSmall, resNet.stages.count == 4, resNet.shortcutName == "downsample", !sidecar.isOwn {
            model.remarks.append(
                "The first convolution is 3×3: read as a ResNet for small images, with stride 1\(resNet.stemPools ? "" : " and no pooling")."
            )
        }
        // Networks that learn by comparing end in a projection, not in classes.
        if model.headOutputs == 1 || networks.areContrastive { model.outputMeaning = .unknown }
        let convention = InputRecipe(
            height: isSmall ? 32 : 224, width: isSmall ? 32 : 224, channels: resNet.inputChannels,
            pixels: .torch.spread(over: resNet.inputChannels), resizeRatio: isSmall ? 1 : 256.0 / 224)
        model.recipe = convention
        model.recipeSource = "the convention of \(isSmall ? "CIFAR ResNets" : "torchvision")"
        if let (pixels, source) = content.normalization.pixels(channels: resNet.inputChannels) {
            model.recipe = convention.with(pixels)
            model.recipeSource = source
        }
        try published.apply(to: &model, convention: convention, path: path)
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
            if !TorchNaming.isTrunk(full), full.hasPrefix(parent), folders.contains(folder(name)),
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
                let canonical = network.naming.canonical(String(full.dropFirst(network.prefix.count)))
                content.inside.insert(name)
                fileNames[canonical] = name
                if TorchNaming.isTrunk(canonical) {
                    content.table.add(canonical, tensor, fileName: name, problem: problem)
                } else if !TorchNaming.isBeside(canonical) {
                    content.head.add(.init(name: canonical, fileName: name, tensor: tensor, problem: problem))
                }
            } else if full.hasPrefix(parent), folders.contains(folder(name)),
                !TorchNaming.isBeside(full.dropFirst(parent.count).description)
            {
                content.head.add(
                    .init(name: String(full.dropFirst(parent.count)), fileName: name, tensor: tensor, problem: problem))
            } else if !TorchNaming.isBeside(full) {
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
        other != chosen && name.hasPrefix(other.prefix)
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
                let canonical = network.naming.canonical(String(full.dropFirst(network.prefix.count)))
                if TorchNaming.isTrunk(canonical), !full.hasSuffix(Self.ignored) { tensors[canonical] = entry.tensor }
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
