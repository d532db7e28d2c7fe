// Flags that several commands share, and what they amount to.

internal import ArgumentParser
internal import FinetuneCheckpoints
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetuneTraining

extension LogLevel: ExpressibleByArgument {}
extension Precision: ExpressibleByArgument {}
extension InputRecipe.Fit: ExpressibleByArgument {}
extension InputRecipe.Exif: ExpressibleByArgument {}

/// What is printed.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print errors only.") var quiet = false
    @Flag(help: "Print JSON lines on standard output; the last one holds the result.") var json = false
    @Option(help: "How much to say: debug, info, warning or error.") var logLevel = LogLevel.info
}

/// How the work is done.
struct ComputeOptions: ParsableArguments {
    @Option(
        help: "Arithmetic of the frozen part: fp32 or bf16. (default: bf16 where the processor computes it natively)")
    var precision: Precision?
    @Option(help: "Threads that compute. (default: all processors)") var threads: Int?

    func validate() throws {
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is a number from 1 to 1024.") }
    }

    func makeThread() -> EngineThread { EngineThread(threads: threads ?? EngineThread.availableProcessors) }

    /// The precision asked for, or the one that a model was adapted in, or the fastest.
    func precision(for model: Model, _ console: Console) -> Precision {
        if let precision { return precision }
        let wanted = model.precision ?? .native
        guard wanted.isNative else {
            console.report(
                .warning("This processor has no \(wanted.rawValue); computing in fp32, results may differ slightly."))
            return .fp32
        }
        return wanted
    }
}

/// How pixels become numbers, where the base should not decide.
struct RecipeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "How pixels become numbers: auto (as the base says), torch, caffe, tf, unit, raw, or a JSON file.",
            valueName: "recipe"))
    var recipe = "auto"
    @Option(help: "How an image fits the network's input: crop, squash or pad. (default: as the base says)")
    var fit: InputRecipe.Fit?
    @Option(help: "Pixels of the network's square input. (default: as the base says)") var size: Int?
    @Option(help: "Whether photographs are turned as their EXIF data say: upright or ignore. (default: upright)")
    var exif: InputRecipe.Exif?

    func validate() throws {
        if let size, !(1...8192).contains(size) {
            throw ValidationError("--size is a number of pixels from 1 to 8192.")
        }
    }

    /// The recipe for a model; nil where neither the flags nor the model give one.
    func resolve(for model: Model) throws -> InputRecipe? {
        var result = model.recipe
        if let named = InputRecipe.Pixels.named.first(where: { $0.name == recipe }) {
            let pixels = named.pixels
            guard model.network.inputChannels == 3 || named.name == "unit" || named.name == "raw" || named.name == "tf"
            else {
                throw UsageError(
                    description:
                        "--recipe \(named.name) is for colour images; the network reads one channel. Use raw, unit, tf or a file."
                )
            }
            let size = model.inputSize ?? ImageSize(height: 224, width: 224)
            var base = result ?? InputRecipe(height: size.height, width: size.width, pixels: pixels, fit: .squash)
            base.channels = model.network.inputChannels
            (base.order, base.scale) = (pixels.order, pixels.scale)
            base.mean = Array(pixels.mean.prefix(base.channels))
            base.standardDeviation = Array(pixels.standardDeviation.prefix(base.channels))
            result = base
        } else if recipe != "auto" {
            let text = try FileSystem.read(recipe)
            var base = result
            if base == nil, let size = model.inputSize {
                base = InputRecipe(height: size.height, width: size.width, pixels: .unit, fit: .squash)
            }
            do {
                result = try InputRecipe(json: JSON(parsing: text), base: base)
            } catch {
                throw UsageError(description: "cannot use the recipe '\(recipe)': \(error)")
            }
        }
        if let fit { result?.fit = fit }
        if let size {
            result?.height = size
            result?.width = size
        }
        if let exif { result?.exif = exif }
        return result
    }
}

/// Which images.
struct DataOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A folder with a folder of images for each class (or train/ and val/ above them), a CSV (path,label), an .npz, or MNIST's IDX files.",
            valueName: "path"))
    var data: String
    @Option(
        help: ArgumentHelp("Keep the first N training images, or a stratified sample: N,stratified.", valueName: "N"))
    var limit: String?
    @Option(
        help: ArgumentHelp(
            "A regular expression for the part of a path that names its group (animal, patient, camera); a group is never on both sides of a split.",
            valueName: "pattern"))
    var groupBy: String?
    @Option(help: "Seed of everything that is drawn.") var seed: UInt64 = 0

    func validate() throws {
        if limit != nil, parsedLimit == nil { throw ValidationError("--limit is a number of images, or N,stratified.") }
    }

    private var parsedLimit: ImageDataset.Limit? {
        guard let limit else { return nil }
        let parts = limit.split(separator: ",")
        guard let count = parts.first.flatMap({ Int($0) }), count > 0,
            parts.count == 1 || parts.dropFirst() == ["stratified"]
        else { return nil }
        return ImageDataset.Limit(count: count, isStratified: parts.count == 2)
    }

    func load() throws -> ImageDataset {
        var dataset = try ImageDataset(data)
        if let pattern = groupBy { dataset = try dataset.grouped(by: pattern) }
        if let limit = parsedLimit { dataset = dataset.limited(to: limit, seed: seed) }
        return dataset
    }
}

/// Where the program's own files are.
enum Installation {
    /// The reading helper stands beside the program.
    static var helper: String { Path.join(Path.parent(of: FileSystem.programPath), "finetune-read-weights") }

    /// The bundled base: in the package above the build folder, or under the prefix that it was installed to.
    static func defaultBase() throws -> String {
        var folder = Path.parent(of: FileSystem.programPath)
        for _ in 0..<5 {
            for place in ["pretrained", "share/finetune/pretrained"] {
                let candidate = Path.join(Path.join(folder, place), "resnet20-random.h5")
                if FileSystem.kind(of: candidate) == .file { return candidate }
            }
            folder = Path.parent(of: folder)
        }
        throw UsageError(description: "there is no bundled base beside this program. Name one with --base FILE.")
    }

    static func load(_ path: String) throws -> Model { try WeightFile(path, helper: helper).model() }
}

/// The names in a file, one a line.
func classNames(in path: String) throws -> [String] {
    let text = String(decoding: try FileSystem.read(path), as: UTF8.self)
    return text.split(whereSeparator: \.isNewline).map(String.init)
}
