// The paths of a command line: which of them is the data set, and what was meant by those that cannot be.

internal import FinetuneDatasets
internal import FinetuneFiles

extension ArgumentReader {
    /// Makes the path without a flag the data set.
    mutating func takeFolder() throws {
        guard let folder = paths.first?.path else { return }
        for (path, _) in paths where FileSystem.kind(of: path) == nil { try checkCommand(path) }
        try checkValues()
        try checkWeights()
        try check(folder)
        if data != nil {
            throw UsageError(
                description:
                    "cannot use '\(folder)': --data names the images already. Leave one of the two out; a value with blanks needs quotation marks."
            )
        }
        if let second = paths.dropFirst().first?.path {
            if FileSystem.kind(of: second) == nil { try checkName(second) }
            throw UsageError(
                description:
                    "cannot use '\(second)': '\(folder)' names the images already. A command reads one data set, and a flag takes one value. Put the images into one folder, or name more with --val or --test."
            )
        }
        takeData(folder)
    }

    /// - Throws: `UsageError` for a path after a flag that takes none, if it is not the data set.
    private func checkValues() throws {
        for (index, (path, before)) in paths.enumerated() where FlagRules.switches.contains(before) {
            let isRun = FileSystem.kind(of: Path.join(path, "run.json")) == .file
            let isCheckpoint = before == "--resume" && Self.weightEndings.contains(Path.fileExtension(of: path))
            let isNoData = paths.count > 1 && FileSystem.kind(of: path) == nil
            guard isRun || isCheckpoint || isNoData || data != nil || index > 0 else { continue }
            throw UsageError(
                description: "cannot use '\(before) \(path)': \(Self.sentence(about: before, before: path))")
        }
    }

    /// - Throws: `UsageError` for a trained network among the paths.
    private func checkWeights() throws {
        let weights = paths.map(\.path).filter(Self.isWeights)
        guard let path = weights.first else { return }
        let model = FileSystem.kind(of: path) == .directory ? Path.join(path, "model.h5") : path
        let imgs = (paths.map(\.path).first { !weights.contains($0) } ?? data ?? "./imgs").shellWord
        let found =
            model == path
            ? "cannot use the weights file '\(path)' as a data set."
            : "cannot use the run folder '\(path)' as a data set."
        let (name, flag) = (model.shellWord, command == "evaluate" ? "--model" : "--base")
        throw UsageError(
            description: command == "train"
                ? "\(found) To train with it: finetune --base \(name) --data \(imgs). To see what it holds: finetune inspect \(name)"
                : "\(found) Did you mean finetune \(command) \(flag) \(name) --data \(imgs)?")
    }

    /// Whether a path leads to a weights file, or to a run folder with one.
    private static func isWeights(_ path: String) -> Bool {
        switch FileSystem.kind(of: path) {
        case .file: weightEndings.contains(Path.fileExtension(of: path))
        case .directory:
            ["model.h5", "run.json"].allSatisfy { FileSystem.kind(of: Path.join(path, $0)) == .file }
        default: false
        }
    }

    /// - Throws: `UsageError` for a network among the pictures that `predict` is to label, if no other is named.
    func checkPictures() throws {
        guard given["--model"] == nil, let path = paths.map(\.path).first(where: Self.isWeights) else { return }
        let pictures = paths.map(\.path).filter { $0 != path }
        let line = (pictures.isEmpty ? ["photo.jpg"] : pictures).map(\.shellWord).joined(separator: " ")
        throw UsageError(
            description:
                "cannot label '\(path)': it holds weights. Did you mean finetune predict --model \(path.shellWord) \(line)?"
        )
    }

    /// - Throws: What was probably meant by a path that is no data set.
    private func check(_ path: String) throws {
        guard let kind = FileSystem.kind(of: path) else {
            try checkVerb(path)
            try checkName(path)
            let isBare = Self.isBare(path)
            if path.contains("://") {
                throw FileError(
                    .missing, "cannot read '\(path)': it is an address, and a path was expected. Download it first.")
            }
            throw FileSystem.obstacle(to: path)
                ?? FileError(
                    .missing,
                    "cannot read '\(path)': there is nothing at that path\(isBare ? ", and no command has that name" : ""). Check the name\(isBare ? "; finetune --help lists the commands" : "")."
                )
        }
        guard kind == .file else { return }
        let head = (try? FileSystem.head(of: path, count: 64)) ?? []
        if PictureFormat.endings.contains(Path.fileExtension(of: path)) || PictureFormat(of: head) != nil {
            throw UsageError(
                description:
                    "cannot use the picture '\(path)' as a data set: expected a folder with a folder of images for each class. To label the picture: finetune predict --model runs/NAME/model.h5 \(path)"
            )
        }
    }
}
