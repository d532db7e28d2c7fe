// Flags that several commands share, and what they amount to.

internal import ArgumentParser
internal import FinetuneCheckpoints
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneRanks
internal import FinetuneTraining
internal import Glibc

extension LogLevel: ExpressibleByArgument {}
extension InputRecipe.Fit: ExpressibleByArgument {}
extension InputRecipe.Exif: ExpressibleByArgument {}

/// What is printed.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print errors only.") var quiet = false
    @Flag(help: "Print JSON lines on standard output; the last one holds the result.") var json = false
    @Option(help: "How much to print: debug, info, warning or error.") var logLevel = LogLevel.info
}

/// How the work is done.
struct ComputeOptions: ParsableArguments {
    @Option(
        help:
            "Arithmetic of the frozen layers: fp32, bf16 or int8. (default: bf16 if the processor computes it natively, else fp32)"
    )
    var precision: Precision?
    @Option(help: "Threads that compute. (default: all processors)") var threads: Int?

    /// - Parameter learning: The arithmetic of what learns, where a flag names one.
    /// - Throws: `UnavailableError` for arithmetic that this processor lacks.
    func makeThread(learning: Precision? = nil, _ console: Console) throws -> EngineThread {
        for (flag, precision) in [("--precision", precision), ("--train-precision", learning)] {
            guard let precision, !precision.isAvailable else { continue }
            throw UnavailableError(
                description:
                    "cannot compute in \(precision.rawValue): \(precision.lack). Leave \(flag) out, or use \(flag) fp32."
            )
        }
        do { try Machine.checkMatrixKernels() } catch let error as EngineError {
            throw UnavailableError(description: error.description)
        }
        let count = threads ?? Machine.availableProcessors
        guard Machine.hasMatrixMemory(threads: count) else {
            throw UnavailableError(
                description:
                    "cannot compute with \(count) threads: each needs 128 MiB of memory, and \(ThreadShortage.reason). Raise the limit, or use fewer --threads."
            )
        }
        return EngineThread(threads: count) {
            console.report(.unknownKernel($0))
        }
    }
}

/// How pixels become numbers, where the base should not decide.
struct RecipeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Preprocessing of pixels: auto (what the base says, or what fits its statistics), torch, caffe, tf, unit, raw, or a JSON file.",
            valueName: "recipe"))
    var recipe = "auto"
    @Option(help: "How an image fits the network's input: crop, squash, pad or unscaled. (default: as the base says)")
    var fit: InputRecipe.Fit?
    @Option(
        name: [.long, .customLong("image-size")],
        help: ArgumentHelp("Pixels of the network's square input. (default: as the base says)", valueName: "pixels"))
    var size: Int?
    @Option(help: "Whether pictures are rotated as their EXIF data say: upright or ignore. (default: upright)")
    var exif: InputRecipe.Exif?
    @Option(
        help: ArgumentHelp(
            "The range of 16-bit images: full (all 16 bits), auto (as many as the training images use) or a number of bits from 1 to 16, such as 12. (default: full, or as the model says)",
            valueName: "depth"))
    var depth: DepthChoice?

    /// For commands that apply a model: its depth is part of it, and no data set may choose another.
    func refuseAutomaticDepth() throws {
        guard depth == .auto else { return }
        throw ValidationError(
            "--depth auto looks at the images that a network is adapted to. Leave --depth out to use the model's, or give a number of bits."
        )
    }

    /// The model with the recipe that the flags, the file or the user's images give it.
    ///
    /// - Parameters:
    ///   - dataset: Images by which an unknown recipe is found and a known one is tested.
    ///   - ranks: Those that share this. Collective.
    func resolve(
        _ model: Model, _ dataset: ImageDataset, ranks: Ranks = .alone, _ thread: EngineThread, _ console: Console
    ) async throws -> Model {
        var model = model
        let bits = await bits(dataset, lanes: thread.count, console)
        if let bits { model.recipe?.depth = bits }
        guard recipe == "auto" else { return try resolve(model, depth: bits) }
        return try resolve(
            try await model.findingRecipe(on: dataset, ranks: ranks, thread, console.report), depth: bits)
    }

    /// The number of bits that the flag or the data set says; nil if the model decides.
    private func bits(_ dataset: ImageDataset, lanes: Int, _ console: Console) async -> Int? {
        guard depth == .auto else { return depth?.bits }
        let highest = await dataset.highestNumber(lanes: lanes)
        let bits = highest.map { PictureDepth(holding: $0).bits } ?? InputRecipe.fullDepth
        console.report(
            .note(
                highest.map {
                    "Depth: 16-bit images use \(bits) bits (highest value \($0)), as with --depth \(bits)."
                } ?? "Depth: no 16-bit images found, as with --depth full.",
                ["depth": .integer(bits), "highest": highest.map { .integer($0) } ?? .null]))
        return bits
    }

    /// The model with the recipe that the flags or the file give it, if any.
    ///
    /// - Parameter depth: The bits of 16-bit images, if the data set chose them.
    func resolve(_ model: Model, depth bits: Int? = nil) throws -> Model {
        var model = model
        let size = model.inputSize ?? ImageSize(height: 224, width: 224)
        let channels = model.network.inputChannels
        var result = model.recipe
        if recipe != "auto", !model.readsPictures {
            throw UsageError(
                description:
                    "--recipe is for pictures; the network reads \(channels) channels, which come as 'inputs' of an .npz."
            )
        }
        if let named = InputRecipe.Pixels.named.first(where: { $0.name == recipe }) {
            guard channels == 3 || named.pixels.isEven else {
                throw UsageError(
                    description:
                        "--recipe \(named.name) is for colour images; the network reads one channel. Use raw, unit, tf or a file."
                )
            }
            let base =
                result
                ?? InputRecipe(height: size.height, width: size.width, channels: channels, pixels: .unit, fit: .squash)
            result = base.with(named.pixels.spread(over: channels))
            model.recipeSource = "--recipe \(named.name)"
        } else if recipe != "auto" {
            var base = result
            if base == nil, model.inputSize != nil {
                base = InputRecipe(height: size.height, width: size.width, pixels: .unit, fit: .squash)
            }
            let text = try FileSystem.read(recipe, atMost: 1 << 24)
            do {
                result = try InputRecipe(json: JSON(parsing: text), base: base)
            } catch {
                throw UsageError(description: "cannot use the recipe '\(recipe)': \(error)")
            }
            model.recipeSource = "--recipe \(recipe)"
        }
        model.recipe = result
        if let fit { model.recipe = model.recipe?.with(fit) }
        if let size = self.size {
            model.recipe?.height = size
            model.recipe?.width = size
        }
        if let exif { model.recipe?.exif = exif }
        if let bits = bits ?? depth?.bits { model.recipe?.depth = bits }
        return model
    }
}

/// What all flags that name a base or a model accept.
let weightsHelp = "weights of Keras or PyTorch, a folder with them, or a model.h5 of an earlier run"

/// Which network of a file.
struct WeightsOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The network to use if a file holds several, such as state_dict and state_dict_ema; finetune inspect lists their names. (default: the average of the weights or the teacher; of MoCo and BYOL the network that was trained by gradients)",
            valueName: "name"))
    var weightsKey: String?
}

extension LeftOutHead {
    /// What is said of it when the network is loaded.
    var text: String { "The head in the file (\(layers)) is left out: \(reason). Features do not need it." }
}

/// Which images.
struct DataOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A folder with a folder of images for each class (or train/ and val/ above them), a zip or tar of it, a CSV (path,label), an .npz, or MNIST's IDX files.",
            valueName: "path"))
    var data: String
    @Option(
        help: ArgumentHelp(
            "Use the first N training images only, or a stratified sample: N,stratified.", valueName: "N"))
    var limit: String?
    @Option(
        help: ArgumentHelp(
            "A regular expression for the part of a path that names its group (animal, patient, camera); all images of a group are in the same split.",
            valueName: "pattern"))
    var groupBy: String?
    @Option(help: "Seed of all random numbers.") var seed: UInt64 = 0

    /// What `--limit` says; nil if it says nothing.
    static func limit(_ text: String) -> ImageDataset.Limit? {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard let count = Int(parts[0]), count > 0, parts.count == 1 || parts.dropFirst() == ["stratified"] else {
            return nil
        }
        return ImageDataset.Limit(count: count, isStratified: parts.count == 2)
    }

    /// - Parameter forTraining: Whether a class that `--limit` leaves without a training image is an error.
    func load(forTraining: Bool = false) throws -> ImageDataset {
        var dataset = try ImageDataset(data)
        if let pattern = groupBy { dataset = try dataset.grouped(by: pattern) }
        guard let limit = limit.flatMap(Self.limit) else { return dataset }
        let limited = dataset.limited(to: limit, seed: seed)
        if forTraining { try check(limited, cutFrom: dataset, limit) }
        return limited
    }

    /// - Throws: `UsageError` if the limit leaves a class without a training image.
    private func check(_ limited: ImageDataset, cutFrom whole: ImageDataset, _ limit: ImageDataset.Limit) throws {
        func trained(_ dataset: ImageDataset) -> Set<Int> {
            Set(dataset.items.filter { $0.part == nil || $0.part == .train }.compactMap(\.label))
        }
        let (all, left) = (trained(whole), trained(limited))
        guard left.count < all.count, let missing = all.subtracting(left).min() else { return }
        // Two images of each class, so that one can validate.
        let enough = max(limit.count, 2 * all.count)
        throw UsageError(
            description:
                "cannot train with '--limit \(self.limit ?? "")': it leaves images of \(left.count) of \(all.count) classes, and none of '\(whole.classes[missing])'. For some of every class: --limit \(enough),stratified"
        )
    }
}

/// Where the program's own files are.
enum Installation {
    /// The reading helper stands beside the program.
    static var helper: String { WeightFile.helperBesideProgram }

    /// The bundled base: in the package above the build folder, or under the prefix that it was installed to.
    static func defaultBase() throws -> String {
        var folder = Path.parent(of: FileSystem.programPath)
        for _ in 0..<5 {
            for place in ["pretrained", "share/finetune/pretrained"] {
                let candidate = Path.join(Path.join(folder, place), "resnet18-tiny-imagenet.h5")
                if FileSystem.kind(of: candidate) == .file { return candidate }
            }
            folder = Path.parent(of: folder)
        }
        throw UsageError(description: "there is no bundled base beside this program. Name one with --base FILE.")
    }

    /// The cache in that folder.
    static func cache(_ option: String?) -> FeatureCache? { cacheFolder(option).map { FeatureCache(folder: $0) } }

    /// Where outputs of frozen parts stay: what `--cache` says, else the user's cache folder; nil for `off`.
    static func cacheFolder(_ option: String?) -> String? {
        if let option { return option == "off" ? nil : option }
        let variable = FileSystem.variable
        let folder = variable("XDG_CACHE_HOME") ?? variable("HOME").map { Path.join($0, ".cache") }
        return folder.map { Path.join($0, "finetune") }
    }

    /// The network at a path, and what there is to say about how it was read.
    ///
    /// - Parameter weightsKey: Which of several networks in a file.
    static func load(_ path: String, weightsKey: String?, _ console: Console) throws -> Model {
        let model = try WeightFile(path, helper: helper).model(weightsKey: weightsKey)
        for remark in model.remarks { console.report(.note(remark, [:])) }
        for note in model.notes { console.report(.warning(note)) }
        return model
    }

    /// The same for a network whose features are used, and what is not read of it.
    static func loadFeatures(_ path: String, weightsKey: String?, _ console: Console) throws -> Model {
        let model = try load(path, weightsKey: weightsKey, console)
        if let head = model.leftOutHead {
            console.report(
                .note(head.text, ["head_layers": .string(head.layers), "head_reason": .string(head.reason)]))
        }
        return model
    }

    /// The same for a network whose outputs are to be probabilities of classes.
    static func loadClassifier(_ path: String, weightsKey: String?, _ console: Console) throws -> Model {
        let model = try load(path, weightsKey: weightsKey, console)
        do {
            return try model.asClassifier()
        } catch let error as ModelError {
            throw TrainingError(.unusableData, "cannot predict with '\(path)': \(error).")
        }
    }
}

/// A file that a command read, with its content hash as it was then: it may have gone when the result is written.
struct HashedFile {
    let path: String
    let hash: String

    /// - Parameter path: A file of weights, or a folder with one. Sharded weights have one hash for all files.
    /// - Throws: `FileError`, `CheckpointError`.
    init(_ path: String) throws {
        self.path = path
        let hashes = try WeightFile.files(path).map { ContentHash(of: try FileSystem.read($0)).text }
        hash = hashes.count == 1 ? hashes[0] : ContentHash(of: Array(hashes.joined().utf8)).text
    }
}

/// The names in a file, one a line.
func classNames(in path: String) throws -> [String] {
    let text = String(decoding: try FileSystem.read(path, atMost: 1 << 26), as: UTF8.self)
    return text.split(whereSeparator: \.isNewline).map(String.init)
}
