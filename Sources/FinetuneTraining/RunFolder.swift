// The folder of one run: every file whole or not there, and nothing of an earlier run overwritten unasked.

package import FinetuneEvaluation
internal import FinetuneFiles

/// A folder that a run fills.
package struct RunFolder: Sendable {
    package let path: String

    /// Where a run goes that was given no name: `runs/<base>-<data>-<n>`, the first number that is free.
    package static func defaultPath(base: String, data: String) -> String { firstFree(stem(base, data)) }

    /// Where the last run of that base and data stands; the first name where there is none.
    package static func latestPath(base: String, data: String) -> String { latest(stem(base, data)) }

    /// The same of a comparison: `runs/compare-<base>-<data>-<n>`.
    ///
    /// - Parameter resumes: Whether the last one goes on.
    package static func comparisonPath(base: String, data: String, resumes: Bool) -> String {
        let name = "runs/compare-" + stem(base, data).dropFirst("runs/".count)
        return resumes ? latest(name) : firstFree(name)
    }

    private static func stem(_ base: String, _ data: String) -> String {
        "runs/\(Path.stem(of: base))-\(Path.stem(of: data))"
    }

    private static func firstFree(_ name: String) -> String {
        var number = 1
        while FileSystem.kind(of: "\(name)-\(number)") != nil { number += 1 }
        return "\(name)-\(number)"
    }

    private static func latest(_ name: String) -> String {
        let number = Int(firstFree(name).dropFirst(name.count + 1)) ?? 1
        return "\(name)-\(max(1, number - 1))"
    }

    /// Opens the folder, making it where there is none.
    ///
    /// - Parameters:
    ///   - isForced: Whether an earlier run there may be overwritten.
    ///   - resumes: Whether an earlier run there goes on.
    /// - Throws: `TrainingError` where an earlier run is in the way, `FileError`.
    package init(_ path: String, isForced: Bool, resumes: Bool = false) throws {
        self.path = path
        guard let kind = FileSystem.kind(of: path) else {
            try FileSystem.makeDirectory(path)
            return
        }
        guard kind == .directory else {
            throw TrainingError(.cannotCreate, "cannot write the run to '\(path)': it is a file. Choose another --out.")
        }
        let files = try FileSystem.list(path)
        if !isForced, !resumes, !files.isEmpty {
            throw TrainingError(
                .cannotCreate,
                "cannot write the run to '\(path)': the folder is not empty. Choose another --out, or add --resume or --force."
            )
        }
        // What a killed run left half written, and a checkpoint that nobody will go on from.
        for name in files where name.hasSuffix(".tmp") || (!resumes && name == Self.checkpointName) {
            FileSystem.remove(file(name))
        }
    }

    /// The folder of a run that another rank opened.
    package init(sharing path: String) { self.path = path }

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
