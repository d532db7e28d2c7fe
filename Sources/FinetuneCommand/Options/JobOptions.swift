// The flags that train and compare share: what a training is made of, and where it goes.

internal import ArgumentParser
internal import FinetuneCheckpoints
internal import FinetuneDatasets
internal import FinetuneEngine
internal import FinetuneFiles
internal import FinetuneModels
internal import FinetunePipeline
internal import FinetuneTraining

/// The base, the validation and test images, and the folder of the run.
struct JobOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A pretrained network: \(weightsHelp). (default: the bundled one)",
            valueName: "file"))
    var base: String?
    @OptionGroup var weights: WeightsOptions
    @Option(
        help: ArgumentHelp(
            "Validation images: a path, or a fraction of each class such as 0.2 or 20%. (default: the data set's own, else 0.2)",
            valueName: "path|fraction"))
    var val: String?
    @Option(
        help: ArgumentHelp(
            "Test images: a path, or a fraction of each class. (default: the data set's own, if it has any)",
            valueName: "path|fraction"))
    var test: String?
    @Option(help: ArgumentHelp("The run folder. (default: runs/<base>-<data>-<n>)", valueName: "folder"))
    var out: String?
    @Flag(help: "Overwrite the files of an earlier run in that folder.") var force = false
    @Flag(help: "Continue the stopped run in that folder, or the last one of this base and data.")
    var resume = false

    func validate() throws {
        if resume, force {
            throw ValidationError("--resume continues a run and --force overwrites it. Leave one of them out.")
        }
    }

    /// The data set with the images that `--val` and `--test` add to it.
    func load(_ data: DataOptions) throws -> ImageDataset {
        var dataset = try data.load(forTraining: true).labelled
        for (flag, value, part) in [("--val", val ?? "0", Split.Part.validation), ("--test", test ?? "0", .test)]
        where Double(value) == nil {
            guard FileSystem.kind(of: value) != nil else {
                throw FileSystem.obstacle(to: value)
                    ?? FileError(
                        .missing,
                        "cannot use \(flag) '\(value)': it is neither a fraction, such as 0.2, nor the path of a file or folder."
                    )
            }
            let added = try ImageDataset(value).labelled
            if let reason = added.obstacle ?? added.noClasses, added.classes.isEmpty || added.obstacle != nil {
                throw DatasetError.unusable(value, "\(reason) (It is the data set of \(flag).)")
            }
            if let item = added.items.first(where: { $0.label == nil }) {
                throw DatasetError.unusable(
                    value, "'\(item.name)' has no label. Images for \(flag) need the same classes as those of --data.")
            }
            dataset = try dataset.adding(added, as: part)
        }
        try dataset.checkClasses()
        return dataset
    }

    /// The fraction that validates if the data set has no validation images of its own.
    var validation: Double { Double(val ?? "0.2") ?? 0 }

    /// What is said of a fraction that is given and divides nothing, because the data set is divided already.
    ///
    /// - Parameters:
    ///   - part: The split that the flag is about.
    ///   - own: The split of the data set that takes its place.
    func warning(of part: Split.Part, in dataset: ImageDataset, replacedBy own: Split.Part) -> String? {
        guard let value = part == .test ? test : val, Double(value) != nil, dataset.ownParts.contains(own) else {
            return nil
        }
        let images = own == .test ? "test" : "validation"
        let use = part == own ? "" : ", which are scored"
        return "--\(part.rawValue) \(value) has no effect: the data set has its own \(images) images\(use)."
    }

    /// The base, or a new network.
    func loadBase(_ architecture: String?, _ dataset: ImageDataset, seed: UInt64, _ console: Console) throws -> Model {
        guard let architecture else {
            return try Installation.load(basePath(), weightsKey: weights.weightsKey, console)
        }
        return try Architecture(architecture, outputs: max(dataset.classes.count, 1)).model(seed: seed)
    }

    /// What the run begins with, by name: a file, or an architecture.
    func basePath(_ architecture: String? = nil) throws -> String {
        try architecture ?? base ?? Installation.defaultBase()
    }

    /// The path of the run folder.
    ///
    /// - Parameter kind: What stands before the names of base and data; nothing for a training.
    func folderPath(_ kind: String, _ basePath: String, _ data: DataOptions) -> String {
        out ?? RunFolder.defaultPath(kind, base: basePath, data: data.data, resumes: resume)
    }

    /// Takes the run folder for this process. To be asked first of all: what cannot be written costs no time then.
    func openFolder(_ path: String) throws -> RunFolder { try RunFolder(path, isForced: force, resumes: resume) }
}

extension TrainingSettings {
    /// What the flags say that mean the same to every strategy.
    init(
        _ strategy: Strategy, job: JobOptions, _ data: DataOptions, _ head: HeadOptions,
        _ compute: ComputeOptions
    ) {
        self.init(strategy, head: head.kind(strategy))
        scaling = head.featureScaling ?? scaling
        classWeights = head.classWeights ?? classWeights
        validation = job.validation
        test = job.test.flatMap { Double($0) } ?? 0
        seed = data.seed
        // An earlier run's precision belongs to its head, which is replaced.
        precision = compute.precision ?? .native
    }
}
