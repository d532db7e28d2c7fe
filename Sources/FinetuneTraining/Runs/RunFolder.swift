// The folder of one run: every file whole or not there, and nothing of an earlier run overwritten unasked.

package import FinetuneEvaluation
package import FinetuneFiles
internal import Synchronization

/// A folder that a run fills.
package final class RunFolder: Sendable {
    package let path: String
    private let lock: RunLock?
    private let resumes: Bool
    private let record = Mutex(Record())

    /// What `run.json` says about the start of the run.
    private struct Record {
        var about: [JSON.Member] = []
        /// Hash of the images' contents; nil before all were read.
        var contents: String?
    }

    /// Where a run goes that was given no name: `runs/<kind><base>-<data>-<n>`, the first number that is free.
    ///
    /// - Parameters:
    ///   - kind: What stands before the names of base and data.
    ///   - resumes: Whether the last such run is continued; the first name if there is none.
    package static func defaultPath(_ kind: String, base: String, data: String, resumes: Bool) -> String {
        let name = "runs/\(kind)\(Path.stem(of: base))-\(Path.stem(of: data))"
        return resumes ? latest(name) : firstFree(name)
    }

    private static func firstFree(_ name: String) -> String {
        var number = 1
        while !RunLock.isFree("\(name)-\(number)") { number += 1 }
        return "\(name)-\(number)"
    }

    private static func latest(_ name: String) -> String {
        var number = 1
        while FileSystem.kind(of: "\(name)-\(number + 1)") != nil { number += 1 }
        return "\(name)-\(number)"
    }

    /// Locks the folder for this process, and creates it if necessary. Its files stay as they are.
    ///
    /// - Parameters:
    ///   - isForced: Whether an earlier run there may be overwritten.
    ///   - resumes: Whether an earlier run there goes on.
    /// - Throws: `TrainingError` if an earlier run is in the way, if there is none to continue, or if another process is
    ///   writing there; `FileError`.
    package init(_ path: String, isForced: Bool, resumes: Bool = false) throws {
        (self.path, self.resumes) = (path, resumes)
        let kind = FileSystem.kind(of: path)
        guard kind == nil || kind == .directory else {
            throw TrainingError(.cannotCreate, "cannot write the run to '\(path)': it is a file. Choose another --out.")
        }
        // First of all: what another process is writing says nothing yet.
        lock = try RunLock(path)
        let files = try FileSystem.list(path).filter { $0 != RunLock.name || lock?.wasThere == true }
        if resumes, !files.contains(where: { [Self.recordName, Self.checkpointName, RunLock.name].contains($0) }) {
            throw TrainingError(
                .missingRun, "cannot resume: there is no run in '\(path)'. Leave --resume out, or check --out.")
        }
        let hasRun = files.contains { [Self.recordName, Self.checkpointName, Self.comparisonName].contains($0) }
        // The files of a run that ended before it produced anything may be overwritten.
        if !isForced, !resumes, !RunLock.holdsNothing(files) {
            let found =
                hasRun
                ? "there is an earlier run in the folder. Choose another --out, or add --resume to continue it or --force to replace it."
                : "the folder holds other files, such as '\(files[0])'. Choose another --out."
            throw TrainingError(.cannotCreate, "cannot write the run to '\(path)': \(found)")
        }
        if isForced, !hasRun, let other = files.first(where: Self.results.contains) {
            throw TrainingError(
                .cannotCreate,
                "cannot write the run to '\(path)': '\(other)' is not from an earlier run of finetune, so --force does not replace it. Choose another --out."
            )
        }
    }

    /// Begins the run after its inputs were loaded: checks that it is the run to be continued, or removes the files of an
    /// earlier run.
    ///
    /// - Parameters:
    ///   - identity: What decides the result, but for what the images hold.
    ///   - arguments: Those of the program, without its name.
    /// - Throws: `TrainingError` if the folder holds a different run; `FileError`.
    package func begin(_ identity: RunIdentity, command: String, arguments: [String]) throws {
        TemporaryFiles.removeLeftovers(in: path)
        record.withLock {
            $0.about = [
                .init("command", .string(command)), .init("arguments", JSON(arguments)),
                .init("identity", identity.json),
            ]
        }
        let recordPath = file(Self.recordName)
        guard resumes, FileSystem.kind(of: recordPath) != nil || FileSystem.kind(of: file(Self.checkpointName)) != nil
        else {
            // What an earlier run could be continued from goes now; its results stay until there are new ones.
            for name in [Self.checkpointName, Self.recordName, Self.eventsName] { FileSystem.remove(file(name)) }
            TensorBoardLog.remove(file(Self.curvesName))
            StrategyComparison.removeFiles(in: path)
            return try writeRecord("running")
        }
        let json: JSON?
        do {
            json = FileSystem.kind(of: recordPath) == nil ? nil : try JSON(parsing: FileSystem.read(recordPath))
        } catch let error as JSON.SyntaxError {
            throw TrainingError(
                .contradiction, "cannot resume from '\(recordPath)': it is \(error). Start anew with --force.")
        }
        if let other = json?["command"]?.stringValue, other != command {
            throw TrainingError(
                .contradiction,
                "cannot resume: '\(path)' holds a run of '\(other)', not of '\(command)'. Choose another --out.")
        }
        try identity.check(json?["identity"], in: recordPath)
        record.withLock { $0.contents = json?["contents"]?.stringValue }
    }

    /// Records the contents of the images after all were read.
    ///
    /// - Parameter hashes: Their content hashes, in order.
    /// - Throws: `TrainingError` if the run that is continued had other images.
    package func settle(_ hashes: [ContentHash]) throws {
        let contents = ContentHash(of: hashes.flatMap { $0.low.littleEndianBytes + $0.high.littleEndianBytes }).text
        let known = record.withLock { record in
            defer { record.contents = contents }
            return record.contents
        }
        guard known == nil || known == contents else {
            throw TrainingError(
                .contradiction,
                "cannot resume from '\(file(Self.recordName))': the images have the same names and other contents. Give the same images, or start anew with --force."
            )
        }
        if known == nil { try writeRecord("running") }
    }

    /// Completes `run.json`.
    ///
    /// - Parameter members: The results.
    package func finish(_ members: [JSON.Member] = []) throws { try writeRecord("finished", members) }

    /// Does what a run does, and records the error that ends it: a record that says `running` is that of a run which can go
    /// on.
    package func recordingFailure<Result>(_ body: () async throws -> Result) async throws -> Result {
        do { return try await body() } catch {
            let kind = (error as? TrainingError)?.kind
            if kind != .stopped {
                // The run's own error counts, not that its folder is gone.
                try? writeRecord(kind == .diverged ? "diverged" : "failed", [.init("error", .string("\(error)"))])
            }
            throw error
        }
    }

    private func writeRecord(_ state: String, _ members: [JSON.Member] = []) throws {
        let (about, contents) = record.withLock { ($0.about, $0.contents) }
        try write(
            JSON.object(
                [.init("state", .string(state))] + about + [.init("contents", contents.map { .string($0) } ?? .null)]
                    + members
            ).prettyText, as: Self.recordName)
    }

    /// The folder of a run that another rank opened.
    package init(sharing path: String) { (self.path, lock, resumes) = (path, nil, false) }

    /// What the run is, and what came of it.
    package static let recordName = "run.json"
    /// Every event as a line.
    package static let eventsName = "events.jsonl"
    /// Curves for TensorBoard.
    package static let curvesName = "tensorboard"
    private static let comparisonName = "comparison.json"
    /// All files in which a run may leave its results.
    private static let results = [
        "model.h5", "metrics.csv", "health.csv", "evaluation.json", "predictions.csv", "confusion.csv", "split.csv",
        "skipped.csv", "report.html", comparisonName,
    ]

    /// Creates the folder again if it was removed during the run: that must not cost the results.
    package func prepareForResults() throws { try FileSystem.makeDirectory(path) }

    /// Removes the results of an earlier run that this one replaces, after the first file of this one was written.
    ///
    /// - Parameter written: The name of that file; nil if there is none yet.
    package func removeOldResults(except written: String? = nil) {
        for name in Self.results where name != written { FileSystem.remove(file(name)) }
    }

    /// Where a run that is stopped can go on from.
    package static let checkpointName = "last.checkpoint.h5"

    package func file(_ name: String) -> String { Path.join(path, name) }

    package func write(_ text: String, as name: String) throws { try AtomicFile.write(text, to: file(name)) }

    /// Writes `evaluation.json`, `predictions.csv` and `confusion.csv`.
    ///
    /// - Parameter scores: Name of the split, its evaluation and the images' names.
    package func write(_ scores: [(name: String, evaluation: Evaluation, images: [String])]) throws {
        try write(
            JSON.object(
                scores.map { score in
                    let half = OperatingPoint(.half, positive: 1, in: score.evaluation)
                    return .init(score.name, score.evaluation.report(score.images, half.map { [$0] } ?? []))
                }
            ).prettyText, as: "evaluation.json")
        guard let first = scores.first?.evaluation else { return }
        var predictions = CSV.line(["path", "split"] + Evaluation.predictionColumns(first.classes))
        for score in scores {
            for (index, image) in score.images.enumerated() {
                predictions += CSV.line([image, score.name] + score.evaluation.predictionFields(index))
            }
        }
        try write(predictions, as: "predictions.csv")
        try write((scores.last { $0.name == "test" } ?? scores[0]).evaluation.confusionCSV, as: "confusion.csv")
    }
}
